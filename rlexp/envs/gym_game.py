"""One Gymnasium environment as a Game: made by its id, wrapped, seen as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete, Space
from gymnasium.wrappers import AddRenderObservation

from rlexp.envs.gym_seen import is_picture, leaves, make_seen
from rlexp.envs.wrappers import Pixels
from rlexp.errors import UserError, did_you_mean
from rlexp.registry import imported
from rlexp.types import State, Tree

RENDERED = [64, 64]  # height and width of rendered observations, where env.resize gives none
# Wrappers with statistics of their own, which no checkpoint holds and evaluation never gets.
OURS = {
    "NormalizeObservation": "agent.standardise=running",
    "NormalizeReward": "agent.normalise_reward=true",
}


class GymGame:
    """`pixels`: the rendered picture is what the agent sees."""

    def __init__(
        self,
        id: str,
        kwargs: dict[str, Any],
        wrappers: Sequence[Any],
        max_steps: int | None,
        pixels: bool,
        resize: list[int] | None,
        gray: bool,
        stack: int,
    ) -> None:
        self.env = construct(id, kwargs, max_steps)
        try:
            for spec in wrappers:
                self.env = wrapped(self.env, spec)
            self.size = (resize or RENDERED) if pixels else None
            if self.size is not None:
                self.env = self._rendered(id, self.size)
                resize = self.size
            space = self.env.observation_space
            pictures = any(is_picture(leaf) for _, leaf in leaves(space))
            if not pictures and (resize is not None or gray or stack > 1):
                raise UserError(f"env.resize, gray and stack are for pictures; {id} gives {space}")
        except BaseException:
            self.env.close()
            raise
        pixels_of = partial(Pixels, gray, resize, stack)
        self.make_translator = partial(GymTranslator, space, self.env.action_space, pixels_of)
        self.translator = self.make_translator()
        self.observation_space = self.translator.seen.space
        self.action_space = self.translator.from_zero
        self.stacked = stack if is_picture(space) else 1
        declared = self.env.spec
        random = declared is not None and declared.nondeterministic
        self.resume: Any = "none" if random else "replay"
        self.cannot_draw = False
        self.fps = int(self.env.metadata.get("render_fps") or 30)

    def _rendered(self, id: str, size: Sequence[int]) -> gymnasium.Env[Any, Any]:
        """The environment with its picture as observation; makes a first one to learn its size."""
        if self.env.render_mode != "rgb_array":
            raise UserError(f"env.pixels=true: {id} renders no pictures (render mode rgb_array)")
        try:
            return AddRenderObservation(self.env, render_only=True)
        except Exception as ex:  # a library or a display is missing, whatever that raises
            raise UserError(f"env.pixels=true: {type(ex).__name__}: {ex}") from ex

    def seed(self, seed: int) -> None:
        self.env.reset(seed=seed)

    def reset(self) -> Tree:
        obs, _ = self.env.reset()
        return self.translator.first(obs)

    def step(self, action: Any) -> tuple[Tree, float, bool, bool, dict[str, float]]:
        taken = self.translator.action(action)
        obs, reward, terminated, truncated, info = self.env.step(taken)
        numbers = {
            name: float(value)
            for name, value in info.items()
            # To rlexp "score" is what a game's return is told by, in the place of its rewards.
            if isinstance(value, int | float | bool | np.number | np.bool_) and name != "score"
        }
        return self.translator.next(obs), float(reward), bool(terminated), bool(truncated), numbers

    def rng_state(self) -> State:
        return {"np_random": self.env.unwrapped.np_random.bit_generator.state}

    def set_rng_state(self, state: State) -> None:
        self.env.unwrapped.np_random.bit_generator.state = state["np_random"]

    def render(self) -> np.ndarray | None:
        if self.env.render_mode != "rgb_array" or self.cannot_draw:
            return None
        try:
            picture = self.env.render()
            shown = np.asarray(picture, dtype=np.uint8) if picture is not None else None
        except Exception as ex:  # a library or a display is missing: training needs neither
            warnings.warn(f"no pictures: {type(ex).__name__}: {ex}", stacklevel=1)
            self.cannot_draw = True
            return None
        # Depth, text and lists of pictures are none that a GIF could show.
        return shown[..., :3] if shown is not None and shown.ndim == 3 else None

    def close(self) -> None:
        self.env.close()


class GymTranslator:
    """Translates between a Gymnasium environment's spaces and arrays, counted from 0."""

    def __init__(
        self, observations: Space[Any], actions: Space[Any], pixels: Callable[[], Pixels]
    ) -> None:
        self.observation_space, self.action_space = observations, actions
        self.seen = make_seen(observations, pixels)
        self.from_zero, self.start = _from_zero(actions)

    def first(self, obs: Any) -> np.ndarray:
        return self.seen.first(obs)

    def next(self, obs: Any) -> np.ndarray:
        return self.seen.next(obs)

    def action(self, action: Any) -> Any:
        if isinstance(self.from_zero, Discrete):
            return int(action) + self.start
        if self.start is not None:
            return np.asarray(action + self.start, dtype=self.action_space.dtype)
        return action


def _from_zero(space: Space[Any]) -> tuple[Space[Any], Any]:
    """(actions counted from 0, what to add); MultiBinary is choices of two, others stay."""
    if isinstance(space, Discrete):
        return Discrete(int(space.n)), int(space.start)
    if isinstance(space, MultiBinary):
        return MultiDiscrete(np.full(space.shape, 2)), 0
    if isinstance(space, MultiDiscrete):
        return MultiDiscrete(space.nvec), np.asarray(space.start)
    return space, None


def construct(id: str, kwargs: dict[str, Any], max_steps: int | None) -> gymnasium.Env[Any, Any]:
    """The environment, drawing into arrays where it can; UserError with Gymnasium's reason."""
    options = dict(kwargs)
    if not all(id.partition(":")[::2]) and ":" in id:
        raise UserError(f"env.id={id}: write a registered name, or module:name")
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
    except (KeyError, ValueError, AssertionError) as ex:
        if not kwargs:
            raise
        reason = f"{type(ex).__name__}: {str(ex).partition(' was raised from')[0]}"
        raise UserError(f"env.kwargs={kwargs}: {id} does not take them: {reason}") from ex
    except (gymnasium.error.Error, ImportError) as ex:
        raise UserError(f"env.id={id}: {str(ex).splitlines()[0]}") from ex


def wrapped(env: gymnasium.Env[Any, Any], spec: Any) -> gymnasium.Env[Any, Any]:
    """One of gymnasium.wrappers by its name, or "module:Class"; a mapping adds its arguments."""
    arguments = {} if isinstance(spec, str) else {k: v for k, v in spec.items() if k != "name"}
    name = spec if isinstance(spec, str) else spec["name"]
    if name.partition(":")[2] in OURS or name in OURS:
        short = name.partition(":")[2] or name
        raise UserError(f"env.wrappers: instead of {short} write {OURS[short]}, which is saved")
    if ":" in name:
        kind = imported(name, "env.wrappers")
    else:
        kind = getattr(gymnasium.wrappers, name, None)
        if kind is None:
            known = [n for n in gymnasium.wrappers.__all__ if n[0].isupper()]
            raise UserError(f"env.wrappers: no {name!r} in Gymnasium.{did_you_mean(name, known)}")
    try:
        made: gymnasium.Env[Any, Any] = kind(env, **arguments)
    except (TypeError, ValueError, AssertionError, gymnasium.error.Error) as ex:
        reason = (str(ex) or type(ex).__name__).splitlines()[0]
        raise UserError(f"env.wrappers: {name} can't wrap this: {reason}") from ex
    return made
