"""An environment whose seats move one after another as a PettingZoo AECEnv: one game at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space
from pettingzoo import AECEnv

from rlexp.envs.view import drawing, first_row, players
from rlexp.errors import UserError
from rlexp.types import Env, Tick


class AECView(AECEnv):  # type: ignore[misc]
    """A one-row environment with several seats behind `reset`, `step`, `observe` and `last`.

    Seats become agents with a number, as PettingZoo wants them: sender_0, receiver_0. Every game
    ends for all of them at once, in the step of the last to move; then each has its reward, its
    `info`, and `terminations` or `truncations`. What an agent has not seen yet is zeros. Rows
    restart by themselves; here that shows nowhere: the next `reset` gives the game that has begun
    meanwhile, one that cuts a game short or brings a seed begins another.
    """

    def __init__(self, env: Env, name: str) -> None:
        super().__init__()
        self.env = env
        self.seats = players(env)
        self.possible_agents = list(self.seats)
        spec = env.spec
        self.observation_spaces = {a: spec.observation_spaces[s] for a, s in self.seats.items()}
        self.action_spaces = {a: spec.action_spaces[s] for a, s in self.seats.items()}
        spaces = list(self.observation_spaces.values())
        assert all(isinstance(space, Box) for space in spaces)
        low, high = (
            np.concatenate([getattr(space, end).ravel() for space in spaces])
            for end in ("low", "high")
        )
        # Zeros stand for what was not seen yet.
        self.state_space = Box(np.minimum(low, 0), np.maximum(high, 0), dtype=np.float32)
        self.rng = np.random.default_rng()
        self.agents: list[str] = []
        self.tick: Tick | None = None  # what awaits an action
        self.ended = False
        self.last_picture: np.ndarray | None = None
        self.render_mode, metadata = drawing(env)
        self.metadata = metadata | {"name": f"{name}_v0", "is_parallelizable": False}
        if len(env.start(0).obs) > 1:
            raise UserError(f"in {name} seats move at once: rlexp.parallel_env")

    def observation_space(self, agent: str) -> Space[Any]:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """A new game; `seed` makes it and all that follow repeatable. There are no `options`."""
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        if self.tick is None or seed is not None or not self.ended:
            own = seed if seed is not None else int(self.rng.integers(2**31))
            self.tick = self.env.start(own)
        self.ended, self.last_picture = False, None
        self.agents = list(self.possible_agents)
        self.rewards: dict[str, float] = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards: dict[str, float] = dict.fromkeys(self.agents, 0.0)
        self.terminations: dict[str, bool] = dict.fromkeys(self.agents, False)
        self.truncations: dict[str, bool] = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        self.seen: dict[str, Any] = {
            agent: np.zeros(space.shape or (), space.dtype)
            for agent, space in self.observation_spaces.items()
        }
        self._turn(self.tick)

    def _turn(self, tick: Tick) -> None:
        """Note what the seat to move sees."""
        (agent,) = [agent for agent, seat in self.seats.items() if seat in tick.obs]
        self.seen[agent] = first_row(tick.obs[self.seats[agent]])
        self.agent_selection = agent

    def observe(self, agent: str) -> Any:
        """What the agent saw last, in this game."""
        return self.seen[agent].copy()

    def state(self) -> np.ndarray:
        """All that was seen in this game, float32, agent by agent."""
        return np.concatenate([np.ravel(obs) for obs in self.seen.values()]).astype(np.float32)

    def step(self, action: Any) -> None:
        """Play the action of `agent_selection`: None for one whose game is over."""
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        space = self.action_space(agent)
        if not space.contains(action):
            raise ValueError(f"{action!r} is no action of {space}")
        self.env.send({self.seats[agent]: np.asarray(action, dtype=space.dtype)[None]})
        self.tick = self.env.recv()
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        if self.tick.done:
            self._end(self.tick)
        else:
            self._turn(self.tick)
        self._accumulate_rewards()
        self._deads_step_first()

    def _end(self, tick: Tick) -> None:
        self.ended, self.last_picture = True, tick.pictures.get(0)
        for agent, seat in self.seats.items():
            move = tick.done[seat]
            self.rewards[agent] = float(move.reward[0])
            self.terminations[agent] = bool(move.terminated[0])
            self.truncations[agent] = bool(move.truncated[0])
            self.infos[agent] = {k: first_row(values) for k, values in move.info.items()}
            self.seen[agent] = first_row(move.next_obs)

    def render(self) -> Any:
        """RGB uint8 [H, W, 3]; None for an environment that draws nothing."""
        return self.last_picture if self.ended else self.env.render(0)

    def close(self) -> None:
        self.env.close()
