"""One agent at one seat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlexp.clock import Clock
from rlexp.types import Agent, Metrics, Seat, State, Tick, Tree, truncate_games


class Solo:
    """Passes a Tick's only seat on to its agent."""

    def __init__(self, agent: Agent, seat: Seat, overlap: bool) -> None:
        self.agent, self.seat, self.overlap = agent, seat, overlap

    @property
    def finished(self) -> bool:
        return bool(getattr(self.agent, "finished", False))

    def act(self, tick: Tick) -> dict[Seat, Tree]:
        mask = tick.action_mask(self.seat)
        return {self.seat: self.agent.act(tick.obs[self.seat], tick.first, mask)}

    def observe(self, tick: Tick) -> None:
        if self.seat in tick.done:
            self.agent.observe(tick.done[self.seat])

    def truncate(self, rows: np.ndarray) -> None:
        """Close the agent's games in these rows, which were cut, as truncated."""
        truncate_games(self.agent, rows)

    def learn(self, clock: Clock) -> Metrics | None:
        return self.agent.learn(clock)

    def policy(self, greedy: bool, seed: int) -> Callable[[Tick], dict[Seat, Tree]]:
        policy = self.agent.policy(greedy, seed)

        def play(tick: Tick) -> dict[Seat, Tree]:
            mask = tick.action_mask(self.seat)
            return {self.seat: policy.act(tick.obs[self.seat], tick.first, mask)}

        return play

    def metrics(self) -> Metrics:
        return self.agent.metrics()

    def state_dict(self) -> State:
        return {self.seat: self.agent.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.agent.load_state_dict(state[self.seat])

    def load_weights(self, weights: State) -> None:
        self.agent.load_weights(weights[self.seat]["weights"])
