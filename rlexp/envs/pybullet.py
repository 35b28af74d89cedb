"""PyBullet's pendulums and walking robots (pybullet-envs-gymnasium), from state or pictures."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import registry

from rlexp.envs import gym_ids
from rlexp.envs.gym import rows
from rlexp.envs.gym_game import GymGame
from rlexp.envs.vector import RowsEnv
from rlexp.errors import UserError

PACKAGE = "pybullet_envs_gymnasium"
# A replay of its games ends in other bits now and then.
INEXACT = {"HumanoidFlagrunHarderBulletEnv-v0"}
SHOWN = (240, 320)  # height and width of what people get to see


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
    camera: Sequence[float] | None,
    oversample: int,
) -> RowsEnv:
    """`num_envs` games of one of the package's ids."""
    if any(importlib.util.find_spec(name) is None for name in ("pybullet", PACKAGE)):
        raise UserError(
            "env=pybullet needs PyBullet: pip install 'rlexp[pybullet]' (where it has no wheel, "
            "as on Python 3.13, this compiles it: a C++ compiler and about ten minutes)"
        )
    with quiet():
        importlib.import_module(PACKAGE)
    own = [name for name, spec in registry.items() if PACKAGE in str(spec.entry_point)]
    gym_ids.check(id, own)
    if vectorization == "native":
        raise UserError(
            "env.vectorization=native: rlexp has no numpy batch of PyBullet's tasks. "
            "Write env.vectorization=thread or process."
        )
    # The module's name lets a worker process import what registers the id. Gymnasium's checker
    # would tell that pictures come as int64, which is mended here.
    whole, options = f"{PACKAGE}:{id}", {"disable_env_checker": True} | kwargs
    game = partial(
        BulletGame, camera, oversample, whole, options, wrappers, max_steps, pixels, resize, gray,
        stack,
    )  # fmt: skip
    return rows(game, num_envs, vectorization, workers)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the library prints when it connects: it would stand in `rlexp eval --json`."""
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        if libc is not None:
            libc.fflush(None)  # what C has printed but not yet written
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(nowhere)


class BulletGame(GymGame):
    """Loaded with the same seed in every process, so that a replay begins from the same world.

    The package keeps the world of its first reset and restores it at every later one. What an
    agent sees is drawn `oversample` times as large and then shrunk: the renderer smoothes nothing.
    """

    def __init__(self, camera: Sequence[float] | None, oversample: int, *args: Any) -> None:
        self.place, self.oversample = camera, oversample
        self.drawn: Sequence[int] = SHOWN
        with quiet():
            super().__init__(*args)
            self.env.reset(seed=0)
        if self.env.spec is not None and self.env.spec.id in INEXACT:
            self.resume = "none"

    def _rendered(self, id: str, size: Sequence[int]) -> gymnasium.Env[Any, Any]:
        self.drawn = [side * self.oversample for side in size]
        self._camera(self.drawn)
        return super()._rendered(id, size)

    def _camera(self, size: Sequence[int]) -> None:
        """Draw pictures of this height and width: the tiny renderer's time goes by pixels."""
        world: Any = self.env.unwrapped
        world._render_height, world._render_width = size
        if self.place is not None:
            world._cam_dist, world._cam_yaw, world._cam_pitch = self.place

    def render(self) -> np.ndarray | None:
        self._camera(SHOWN)
        try:
            return super().render()
        finally:
            self._camera(self.drawn)
