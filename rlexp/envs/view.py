"""Any one-seat environment as a Gymnasium environment, for code that expects one."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Space

from rlexp.errors import UserError
from rlexp.types import Env, Seat, Tick, Tree


class GymView(gymnasium.Env[Any, Any]):
    """A one-row, one-seat environment behind `reset`, `step`, `render` and `close`.

    Rows restart by themselves in the step that ends their game. Here that shows nowhere: the step
    gives the game's true last observation and picture, and the next `reset` the game that has
    begun meanwhile (one that cuts a game short begins another). `info` holds the game's numbers
    and, where not every action is legal, `action_mask` (int8, what `action_space.sample` takes).
    """

    def __init__(self, env: Env) -> None:
        seats = list(env.spec.observation_spaces)
        if len(seats) != 1 or env.spec.num_envs != 1:
            raise UserError(
                "a Gymnasium environment has one seat and one row; "
                f"this one has {len(seats)} and {env.spec.num_envs}"
            )
        self.env, (self.seat,) = env, seats
        self.observation_space: Space[Any] = env.spec.observation_spaces[self.seat]
        self.action_space: Space[Any] = env.spec.action_spaces[self.seat]
        self.tick: Tick | None = None  # what awaits an action
        self.ended = False
        self.last_picture: np.ndarray | None = None
        self.render_mode, self.metadata = drawing(env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """A new game; `seed` makes it and all that follow repeatable. There are no `options`."""
        super().reset(seed=seed)
        if self.tick is None or seed is not None or not self.ended:
            own = seed if seed is not None else int(self.np_random.integers(2**31))
            self.tick = self.env.start(own)
        self.ended, self.last_picture = False, None
        return first_row(self.tick.obs[self.seat]), self._mask()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """(observation, reward, terminated, truncated, info). ResetNeeded once a game has ended."""
        if self.tick is None or self.ended:
            raise ResetNeeded("this game is over: call reset()" if self.ended else "call reset()")
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is no action of {self.action_space}")
        self.env.send({self.seat: np.asarray(action, dtype=self.action_space.dtype)[None]})
        self.tick = self.env.recv()
        moved = self.tick.done[self.seat]
        self.ended = bool(moved.ended[0])
        self.last_picture = self.tick.pictures.get(0)
        info = {name: first_row(values) for name, values in moved.info.items()}
        if not self.ended:
            info |= self._mask()
        ends = bool(moved.terminated[0]), bool(moved.truncated[0])
        return first_row(moved.next_obs), float(moved.reward[0]), *ends, info

    def _mask(self) -> dict[str, Any]:
        assert self.tick is not None
        mask = self.tick.action_mask(self.seat)
        return {} if mask is None else {"action_mask": mask[0].astype(np.int8)}

    def render(self) -> Any:
        """RGB uint8 [H, W, 3]; None for an environment that draws nothing."""
        if self.tick is None:
            raise ResetNeeded("call reset()")
        return self.last_picture if self.ended else self.env.render(0)

    def close(self) -> None:
        self.env.close()


def players(env: Env) -> dict[str, Seat]:
    """PettingZoo's names of the seats, which end in a number: sender_0. UserError for one seat."""
    seats = list(env.spec.observation_spaces)
    if len(seats) < 2 or env.spec.num_envs != 1:
        raise UserError(
            "a PettingZoo environment has two seats or more and one row; "
            f"this one has {len(seats)} and {env.spec.num_envs}"
        )
    return {seat if seat[-1].isdigit() else f"{seat}_0": seat for seat in seats}


def drawing(env: Env) -> tuple[str | None, dict[str, Any]]:
    """(render_mode, metadata) of an environment, which is watched from now on."""
    env.watch([0])
    env.start(0)
    mode = "rgb_array" if env.render(0) is not None else None
    return mode, {"render_modes": [mode] if mode else [], "render_fps": env.spec.fps}


def first_row(tree: Tree) -> Any:
    """The only row of a batch, as a copy: the environment may go on writing to its arrays."""
    if isinstance(tree, dict):
        return {name: first_row(values) for name, values in tree.items()}
    return np.copy(tree[0]) if np.ndim(tree[0]) else tree[0]
