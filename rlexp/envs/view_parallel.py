"""An environment whose seats move at once as a PettingZoo ParallelEnv: one game at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Space
from pettingzoo import ParallelEnv

from rlexp.envs.view import drawing, first_row, players
from rlexp.errors import UserError
from rlexp.types import Env, Seat, Tick, Tree


class ParallelView(ParallelEnv):  # type: ignore[misc]
    """A one-row environment with several seats behind `reset` and `step`, dicts by agent.

    Agents are the seats, with a number where they have none. All end with the game, its winner,
    too. Rows restart by themselves; here that shows nowhere: the step gives the true last
    observation, and the next `reset` the game that has begun meanwhile; one that cuts a game short
    or brings a seed begins another. `infos` hold the game's numbers and, where not every action is
    legal, `action_mask` (int8).
    """

    def __init__(self, env: Env, name: str) -> None:
        self.env = env
        self.seats = players(env)
        self.possible_agents = list(self.seats)
        spec = env.spec
        self.observation_spaces = {a: spec.observation_spaces[s] for a, s in self.seats.items()}
        self.action_spaces = {a: spec.action_spaces[s] for a, s in self.seats.items()}
        self.rng = np.random.default_rng()
        self.agents: list[str] = []
        self.tick: Tick | None = None  # what awaits actions
        self.ended = False
        self.last_picture: np.ndarray | None = None
        self.render_mode, self.metadata = drawing(env)
        if len(env.start(0).obs) < len(self.seats):
            raise UserError(f"in {name} seats move in turn: rlexp.aec_env")
        self.metadata |= {"name": f"{name}_v0", "is_parallelizable": True}

    def observation_space(self, agent: str) -> Space[Any]:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """A new game; `seed` makes it and all that follow repeatable. There are no `options`."""
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        if self.tick is None or seed is not None or not self.ended:
            own = seed if seed is not None else int(self.rng.integers(2**31))
            self.tick = self.env.start(own)
        self.ended, self.last_picture = False, None
        self.agents = list(self.possible_agents)
        tick = self.tick
        seen = {agent: first_row(tick.obs[seat]) for agent, seat in self.seats.items()}
        return seen, {agent: self._mask(seat) for agent, seat in self.seats.items()}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """(observations, rewards, terminations, truncations, infos), of all that moved."""
        if not self.agents:
            return {}, {}, {}, {}, {}
        sent: dict[Seat, Tree] = {}
        for agent in self.agents:
            space = self.action_spaces[agent]
            if agent not in actions or not space.contains(actions[agent]):
                raise ValueError(f"{agent}: {actions.get(agent)!r} is no action of {space}")
            sent[self.seats[agent]] = np.asarray(actions[agent], dtype=space.dtype)[None]
        self.env.send(sent)
        self.tick = tick = self.env.recv()
        done = {agent: tick.done[seat] for agent, seat in self.seats.items()}
        self.ended = bool(next(iter(done.values())).ended[0])
        self.last_picture = tick.pictures.get(0)
        if self.ended:
            self.agents = []
        infos = {
            agent: {name: float(values[0]) for name, values in move.info.items()}
            | ({} if self.ended else self._mask(self.seats[agent]))
            for agent, move in done.items()
        }
        return (
            {agent: first_row(move.next_obs) for agent, move in done.items()},
            {agent: float(move.reward[0]) for agent, move in done.items()},
            {agent: bool(move.terminated[0]) for agent, move in done.items()},
            {agent: bool(move.truncated[0]) for agent, move in done.items()},
            infos,
        )

    def _mask(self, seat: Seat) -> dict[str, Any]:
        assert self.tick is not None
        mask = self.tick.action_mask(seat)
        return {} if mask is None else {"action_mask": mask[0].astype(np.int8)}

    def state(self) -> np.ndarray:
        """What all see, agent by agent, flat."""
        assert self.tick is not None
        parts = [np.ravel(first_row(self.tick.obs[seat])) for seat in self.seats.values()]
        return np.concatenate(parts)

    def render(self) -> Any:
        """RGB uint8 [H, W, 3]; None for an environment that draws nothing."""
        return self.last_picture if self.ended else self.env.render(0)

    def close(self) -> None:
        self.env.close()
