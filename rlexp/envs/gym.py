"""Any Gymnasium environment by its id."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import registry as gym_ids
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.spaces.utils import flatten, flatten_space

from rlexp.envs.vector import RowsEnv
from rlexp.envs.wrappers import Pixels
from rlexp.errors import UserError, did_you_mean
from rlexp.types import SOLO, Env, EnvSpec, State, Tree


def make(
    id: str,
    kwargs: dict[str, Any],
    num_envs: int,
    vectorization: str,
    workers: int | None,
    max_steps: int | None,
    resize: list[int] | None,
    gray: bool,
    stack: int,
) -> Env:
    """`num_envs` games of `id`: a numpy batch of ours ("native"), or Gymnasium's in rows."""
    if id not in gym_ids and ":" not in id:
        raise UserError(f"env.id={id}: Gymnasium knows no such id.{did_you_mean(id, gym_ids)}")
    if vectorization == "native":
        return _native(id, kwargs, num_envs, max_steps)
    game = partial(GymGame, id, kwargs, max_steps, resize, gray, stack)
    probe = game()
    try:
        spec = EnvSpec(
            {SOLO: probe.observation_space},
            {SOLO: probe.action_space},
            num_envs,
            frame_stack=stack,
            resume=probe.resume,
            fps=probe.fps,
        )
    finally:
        probe.close()
    return RowsEnv([game] * num_envs, spec, workers, processes=vectorization == "process")


def _native(id: str, kwargs: dict[str, Any], num_envs: int, max_steps: int | None) -> Env:
    if id not in ("CartPole-v0", "CartPole-v1") or kwargs:
        raise UserError(
            f"env.vectorization=native: rlexp has no numpy batch of {id}"
            + (" with env.kwargs" if kwargs else "")
            + ". Write env.vectorization=thread or process."
        )
    from rlexp.envs.cartpole import CartPole

    limit = gym_ids[id].max_episode_steps
    assert limit is not None
    return CartPole(num_envs, max_steps or limit)


class GymGame:
    """One Gymnasium environment as a Game: pictures channel-first, numbers of its info kept."""

    def __init__(
        self,
        id: str,
        kwargs: dict[str, Any],
        max_steps: int | None,
        resize: list[int] | None,
        gray: bool,
        stack: int,
    ) -> None:
        self.env = _construct(id, kwargs, max_steps)
        space = self.env.observation_space
        self.pixels: Pixels | None = None
        if isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3):
            self.pixels = Pixels(gray, resize, stack)
            height, width, channels = (*space.shape, 1)[:3]
            shape = self.pixels.shape(height, width, channels)
            space = Box(0, 255, shape, np.uint8)
        elif resize is not None or gray or stack > 1:
            self.env.close()
            raise UserError(f"env.resize, gray and stack are for pictures; {id} gives {space}")
        self.flatten: Space[Any] | None = None
        self.obs_offset = 0
        if isinstance(space, Discrete):
            self.obs_offset = int(space.start)
            space = Discrete(int(space.n))
        elif not isinstance(space, Box) and space.is_np_flattenable:
            # Tuples and dicts become one vector.
            self.flatten, space = space, flatten_space(space)
        self.observation_space = space
        self.action_space = self.env.action_space
        self.offset = 0
        if isinstance(self.action_space, Discrete):
            self.offset = int(self.action_space.start)
            self.action_space = Discrete(int(self.action_space.n))
        declared = self.env.spec
        random = declared is not None and declared.nondeterministic
        self.resume: Any = "none" if random else "replay"
        self.cannot_draw = False
        self.fps = int(self.env.metadata.get("render_fps") or 30)

    def seed(self, seed: int) -> None:
        self.env.reset(seed=seed)

    def reset(self) -> Tree:
        obs, _ = self.env.reset()
        return self._see(obs, first=True)

    def step(self, action: Any) -> tuple[Tree, float, bool, bool, dict[str, float]]:
        if isinstance(self.action_space, Discrete):
            action = int(action) + self.offset
        obs, reward, terminated, truncated, info = self.env.step(action)
        seen = self._see(obs)
        numbers = {
            name: float(value)
            for name, value in info.items()
            if isinstance(value, int | float | bool | np.number | np.bool_)
        }
        return seen, float(reward), bool(terminated), bool(truncated), numbers

    def _see(self, obs: Any, first: bool = False) -> Tree:
        if self.pixels is not None:
            return self.pixels.first(obs) if first else self.pixels.next(obs)
        if self.flatten is not None:
            return np.asarray(flatten(self.flatten, obs))
        if isinstance(self.observation_space, Discrete):
            return np.array(int(obs) - self.obs_offset)
        return np.array(obs)

    def rng_state(self) -> State:
        return {"np_random": self.env.unwrapped.np_random.bit_generator.state}

    def set_rng_state(self, state: State) -> None:
        self.env.unwrapped.np_random.bit_generator.state = state["np_random"]

    def render(self) -> np.ndarray | None:
        if self.env.render_mode != "rgb_array" or self.cannot_draw:
            return None
        try:
            picture = self.env.render()
        except gymnasium.error.DependencyNotInstalled as ex:
            warnings.warn(f"no pictures: {ex}", stacklevel=1)
            self.cannot_draw = True
            return None
        return np.asarray(picture, dtype=np.uint8) if picture is not None else None

    def close(self) -> None:
        self.env.close()


def _construct(id: str, kwargs: dict[str, Any], max_steps: int | None) -> gymnasium.Env[Any, Any]:
    options = dict(kwargs)
    if "render_mode" not in options:
        options["render_mode"] = "rgb_array"
    if max_steps is not None:
        options["max_episode_steps"] = max_steps
    try:
        try:
            return gymnasium.make(id, **options)
        except TypeError as ex:
            if "unexpected keyword argument 'render_mode'" not in str(ex):
                raise
            options.pop("render_mode")
            return gymnasium.make(id, **options)
    except TypeError as ex:
        reason = str(ex).partition(" was raised from")[0]
        raise UserError(f"env.kwargs: {id} does not take them: {reason}") from ex
    except (gymnasium.error.Error, ImportError) as ex:
        raise UserError(f"env.id={id}: {str(ex).splitlines()[0]}") from ex
