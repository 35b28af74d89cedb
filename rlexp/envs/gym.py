"""Any Gymnasium environment by its id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gymnasium.envs.registration import registry

from rlexp.envs import gym_ids
from rlexp.envs.gym_game import GymGame, fitting_action
from rlexp.envs.vector import RowGroup, RowsEnv
from rlexp.errors import RunStopped, UserError
from rlexp.types import SOLO, Env, EnvSpec


def make(
    id: str,
    kwargs: dict[str, Any],
    wrappers: Sequence[Any],
    num_envs: int,
    vectorization: str,
    workers: int | None,
    max_steps: int | None,
    pixels: bool,
    resize: list[int] | None,
    gray: bool,
    stack: int,
) -> Env:
    """`num_envs` games of `id`: a numpy batch of ours ("native"), or Gymnasium's in rows."""
    gym_ids.check(id)
    if vectorization == "native":
        return _native(id, kwargs, wrappers, pixels, num_envs, max_steps)
    game = partial(GymGame, id, kwargs, wrappers, max_steps, pixels, resize, gray, stack)
    return rows(game, num_envs, vectorization, workers)


def rows(
    game: Callable[[], GymGame], num_envs: int, vectorization: str, workers: int | None
) -> RowsEnv:
    """`num_envs` of these games; one more is made, tried out and closed, to learn what it is."""
    trial = RowGroup([game])
    probe = trial.rows[0].game
    assert isinstance(probe, GymGame)
    try:
        _try_out(trial, probe)
        spec = EnvSpec(
            {SOLO: probe.observation_space},
            {SOLO: probe.action_space},
            num_envs,
            frame_stack=probe.stacked,
            resume=probe.resume,
            random_starts_only=probe.random_starts_only,
            fps=probe.fps,
            action_masks=False,
            notes=probe.notes,
            translator=probe.make_translator,
        )
    finally:
        trial.close()
    return RowsEnv([game] * num_envs, spec, workers, processes=vectorization == "process")


def _try_out(trial: RowGroup, probe: GymGame) -> None:
    """One reset and one step: what they return is refused before a run has a directory.

    What they raise is not judged by one random action; a run that meets it shows its traceback.
    """
    try:
        trial.start([0])
        if fitting_action(probe.action_space):
            probe.action_space.seed(0)
            trial.step([probe.action_space.sample()])
    except (UserError, RunStopped):
        raise
    except Exception:
        pass


def _native(
    id: str,
    kwargs: dict[str, Any],
    wrappers: Sequence[Any],
    pixels: bool,
    num_envs: int,
    max_steps: int | None,
) -> Env:
    asked = [
        name
        for name, value in (("kwargs", kwargs), ("wrappers", wrappers), ("pixels", pixels))
        if value
    ]
    if id not in ("CartPole-v0", "CartPole-v1") or asked:
        raise UserError(
            f"env.vectorization=native: rlexp has no numpy batch of {id}"
            + "".join(f" with env.{name}" for name in asked)
            + ". Write env.vectorization=thread or process."
        )
    from rlexp.envs.cartpole import CartPole

    limit = registry[id].max_episode_steps
    assert limit is not None
    return CartPole(num_envs, max_steps or limit)
