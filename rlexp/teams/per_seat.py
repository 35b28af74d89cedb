"""An agent at every seat, each learning from its own moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rlexp.clock import Clock
from rlexp.seeds import derive
from rlexp.teams.solo import Solo
from rlexp.types import Agent, Metrics, Seat, State, Tick, Tree


class PerSeat:
    """Hands each agent what concerns its seat; their metrics are named "NAME/SEAT"."""

    def __init__(self, agents: Mapping[Seat, Agent], overlap: bool) -> None:
        self.solos = {seat: Solo(agent, seat, overlap) for seat, agent in agents.items()}
        self.overlap = overlap

    @property
    def finished(self) -> bool:
        return all(solo.finished for solo in self.solos.values())

    def act(self, tick: Tick) -> dict[Seat, Tree]:
        actions: dict[Seat, Tree] = {}
        for seat in tick.obs:  # only those who move now
            actions |= self.solos[seat].act(tick)
        return actions

    def observe(self, tick: Tick) -> None:
        for solo in self.solos.values():
            solo.observe(tick)

    def truncate(self, rows: np.ndarray) -> None:
        """Close all agents' games in these rows, which were cut, as truncated."""
        for solo in self.solos.values():
            solo.truncate(rows)

    def learn(self, clock: Clock) -> Metrics | None:
        found = {seat: solo.learn(clock) for seat, solo in self.solos.items()}
        return self._named({seat: metrics for seat, metrics in found.items() if metrics}) or None

    def policy(self, greedy: bool, seed: int) -> Callable[[Tick], dict[Seat, Tree]]:
        players = {
            seat: solo.policy(greedy, derive(seed, f"policy {seat}"))
            for seat, solo in self.solos.items()
        }

        def play(tick: Tick) -> dict[Seat, Tree]:
            actions: dict[Seat, Tree] = {}
            for seat in tick.obs:
                actions |= players[seat](tick)
            return actions

        return play

    def metrics(self) -> Metrics:
        return self._named({seat: solo.metrics() for seat, solo in self.solos.items()})

    def _named(self, by_seat: Mapping[Seat, Metrics]) -> Metrics:
        return {
            f"{name}/{seat}": value
            for seat, metrics in by_seat.items()
            for name, value in metrics.items()
        }

    def state_dict(self) -> State:
        state: State = {}
        for solo in self.solos.values():
            state |= solo.state_dict()
        return state

    def load_state_dict(self, state: State) -> None:
        for solo in self.solos.values():
            solo.load_state_dict(state)

    def load_weights(self, weights: State) -> None:
        for solo in self.solos.values():
            solo.load_weights(weights)
