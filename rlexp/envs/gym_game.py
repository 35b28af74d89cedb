"""One Gymnasium environment as a Game: made by its id, wrapped, seen as arrays."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from gymnasium.wrappers import AddRenderObservation

from rlexp.envs import gym_checks
from rlexp.envs.gym_seen import is_picture, left_out, make_seen, short
from rlexp.envs.rendering import described
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
        self.name = f"env.id={id}"
        self.env = construct(id, kwargs, max_steps)
        try:
            for spec in wrappers:
                self.env = wrapped(self.env, spec)
            self.size = (resize or RENDERED) if pixels else None
            if self.size is not None:
                self.env = self._rendered(id, self.size)
                resize = self.size
            space = self.env.observation_space
            actions = self.env.action_space
            pixels_of = partial(Pixels, gray, resize, stack)
            self.make_translator = partial(GymTranslator, self.name, space, actions, pixels_of)
            self.translator = self.make_translator()
            if not self.translator.seen.has_images and (resize is not None or gray or stack > 1):
                raise UserError(
                    f"env.resize, gray and stack are for pictures; {id} gives {short(space)}"
                )
        except BaseException:
            with contextlib.suppress(Exception):
                self.env.close()
            raise
        self.observation_space = self.translator.seen.space
        self.action_space = self.translator.from_zero
        self.stacked = stack if is_picture(space) else 1
        declared = self.env.spec
        random = declared is not None and declared.nondeterministic
        # Games are replayed from their random numbers, which older environments keep elsewhere.
        kept = isinstance(self.env.unwrapped.np_random, np.random.Generator)
        self.resume: Any = "replay" if kept and not random else "none"
        self.random_starts_only = not wrappers and draws_at_start_only(self.env)
        names = left_out(space)
        self.notes: tuple[str, ...] = ()
        if names:
            self.notes = (f"{self.name}: text is left out of the observations: {', '.join(names)}",)
        self.fps = gym_checks.frames_per_second(self.env)

    def _rendered(self, id: str, size: Sequence[int]) -> gymnasium.Env[Any, Any]:
        """The environment with its picture as observation; makes a first one to learn its size."""
        if self.env.render_mode != "rgb_array":
            raise UserError(f"env.pixels=true: {id} renders no pictures (render mode rgb_array)")
        try:
            return AddRenderObservation(self.env, render_only=True)
        except Exception as ex:  # a library or a display is missing, whatever that raises
            raise UserError(f"env.pixels=true: {type(ex).__name__}: {ex}") from ex

    def seed(self, seed: int) -> None:
        try:
            self.env.reset(seed=seed)
        except TypeError as ex:
            if "unexpected keyword argument" not in str(ex):
                raise
            raise UserError(
                f"{self.name}: {ex}; it must be reset(self, *, seed=None, options=None)"
            ) from ex

    def reset(self) -> Tree:
        obs = gym_checks.reset_observation(self.name, self.env.reset())
        return self._arrays(self.translator.first, "reset", obs)

    def step(self, action: Any) -> tuple[Tree, float, bool, bool, dict[str, float]]:
        taken = self.translator.action(action)
        result = gym_checks.step_results(self.name, self.env.step(taken))
        return self._arrays(self.translator.next, "step", result[0]), *result[1:]

    def _arrays(self, see: Callable[[Any], Tree], method: str, obs: Any) -> Tree:
        """The observation as agents see it; UserError where it is none of its space."""
        try:
            return see(obs)
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as ex:
            space = self.env.observation_space
            raise UserError(
                f"{self.name}: {method}() returned the observation {described(obs)}, which does "
                f"not fit {short(space)}: {next(iter(str(ex).splitlines()), type(ex).__name__)}"
            ) from ex

    def rng_state(self) -> State:
        if self.resume == "none":
            return {}
        return {"np_random": self.env.unwrapped.np_random.bit_generator.state}

    def set_rng_state(self, state: State) -> None:
        self.env.unwrapped.np_random.bit_generator.state = state["np_random"]

    def render(self) -> Any:
        return self.env.render() if self.env.render_mode == "rgb_array" else None

    def close(self) -> None:
        self.env.close()


def fitting_action(space: Space[Any]) -> bool:
    """True for the kinds of action space that some agent plays."""
    return isinstance(space, Box | Discrete | MultiBinary | MultiDiscrete)


def draws_at_start_only(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether an environment is known to draw nothing once an episode has started.

    Gymnasium's classic control is; of its toy text what has one outcome a move; of other
    environments those that say so by "random_starts_only" in their metadata.
    """
    if gym_checks.declared(env, "random_starts_only"):
        return True
    world: Any = env.unwrapped
    package = type(world).__module__.rpartition(".")[0]
    if package == "gymnasium.envs.toy_text":
        moves = [
            outcomes for state in getattr(world, "P", {}).values() for outcomes in state.values()
        ]
        certain = bool(moves) and all(len(outcomes) == 1 for outcomes in moves)
        return certain and not getattr(world, "fickle_passenger", False)
    return package == "gymnasium.envs.classic_control"


class GymTranslator:
    """Translates between a Gymnasium environment's spaces and arrays, counted from 0."""

    def __init__(
        self,
        name: str,
        observations: Space[Any],
        actions: Space[Any],
        pixels: Callable[[], Pixels],
    ) -> None:
        self.observation_space, self.action_space = observations, actions
        self.seen = make_seen(name, observations, pixels)
        self.from_zero, self.start = _from_zero(actions)

    def first(self, obs: Any) -> np.ndarray:
        return self.seen.first(obs)

    def next(self, obs: Any) -> np.ndarray:
        return self.seen.next(obs)

    def action(self, action: Any) -> Any:
        if isinstance(self.from_zero, Discrete):
            return int(action) + self.start
        shifted = action if self.start is None else action + self.start
        # A copy: the environment may change what it is given.
        return np.array(shifted, dtype=self.action_space.dtype)


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
    if not all(id.partition(":")[::2]) and ":" in id:
        raise UserError(f"env.id={id}: write a registered name, or module:name")
    # Gymnasium's checker warns in several lines of what is told in one here (gym_checks.py).
    options: dict[str, Any] = {"disable_env_checker": True} | kwargs
    if max_steps is not None:
        options["max_episode_steps"] = max_steps
    if "render_mode" in options:
        return _made(id, options, kwargs)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*not in the possible render_modes")
            return _made(id, options | {"render_mode": "rgb_array"}, kwargs)
    except UserError:
        # The mode may be what was refused, in whatever way; where it was not, this says the same.
        return _made(id, options, kwargs)
    except Exception as ex:
        with contextlib.suppress(Exception):
            return _made(id, options, kwargs)
        raise ex


def _made(id: str, options: dict[str, Any], kwargs: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """`gymnasium.make`, what it refuses as UserErrors; `kwargs` are those that a user wrote."""
    try:
        return gymnasium.make(id, **options)
    except (TypeError, KeyError, ValueError, AssertionError) as ex:
        reason = str(ex).partition(" was raised from")[0]
        if isinstance(ex, TypeError) and ("argument" in reason or kwargs):
            raise UserError(f"env.kwargs: {id} does not take them: {reason}") from ex
        if isinstance(ex, TypeError) and "Gymnasium" in reason:
            raise UserError(f"env.id={id}: {reason.partition('. See')[0]}") from ex
        if not kwargs:
            raise
        reason = f"{type(ex).__name__}: {reason}"
        raise UserError(f"env.kwargs={kwargs}: {id} does not take them: {reason}") from ex
    except (gymnasium.error.Error, ImportError) as ex:
        raise UserError(f"env.id={id}: {str(ex).splitlines()[0]}") from ex


def _is_wrapper(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, gymnasium.Wrapper)


def _wrapper(name: str) -> Any:
    if ":" in name:
        return imported(name, "env.wrappers", _is_wrapper, "a wrapper of Gymnasium's")
    known = [n for n in gymnasium.wrappers.__all__ if n[0].isupper()]
    try:
        kind = getattr(gymnasium.wrappers, name, None) if name in known else None
    except ImportError as ex:  # a library that only this wrapper uses
        raise UserError(f"env.wrappers: {name}: {ex}") from ex
    if not _is_wrapper(kind):
        raise UserError(f"env.wrappers: no {name!r} in Gymnasium.{did_you_mean(name, known)}")
    return kind


def wrapped(env: gymnasium.Env[Any, Any], spec: Any) -> gymnasium.Env[Any, Any]:
    """One of gymnasium.wrappers by its name, or "module:Class"; a mapping adds its arguments."""
    arguments = {} if isinstance(spec, str) else {k: v for k, v in spec.items() if k != "name"}
    name = spec if isinstance(spec, str) else spec["name"]
    if name.partition(":")[2] in OURS or name in OURS:
        short = name.partition(":")[2] or name
        raise UserError(f"env.wrappers: instead of {short} write {OURS[short]}, which is saved")
    kind = _wrapper(name)
    try:
        made: gymnasium.Env[Any, Any] = kind(env, **arguments)
    except (TypeError, ValueError, AssertionError, gymnasium.error.Error) as ex:
        reason = (str(ex) or type(ex).__name__).splitlines()[0]
        raise UserError(f"env.wrappers: {name} can't wrap this: {reason}") from ex
    return made
