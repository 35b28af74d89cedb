"""What every buffer shares: batches, storage in memory or on disk, and saving only what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from rlexp.types import State, Transition, Tree


@dataclass(slots=True)
class Batch:
    """Sampled moves, each looked ahead for k <= n_step moves of its own game.

    obs, action      of the move
    reward    [B]    r_t + gamma r_{t+1} + … of the k moves
    next_obs         after the last of them
    discount  [B]    gamma^k, or 0 where the game terminated: the factor of next_obs' value
    weights   [B]    of the losses, 0..1, and
    index     [B]    numbers of the moves: where TD errors decide what is drawn (priorities.py)
    """

    obs: Tree
    action: np.ndarray
    reward: np.ndarray
    next_obs: Tree
    discount: np.ndarray
    weights: np.ndarray | None = None
    index: np.ndarray | None = None


class Buffer(Protocol):
    capacity: int

    def __len__(self) -> int: ...
    def add(self, t: Transition) -> None: ...
    def sample(
        self, batch_size: int, rng: np.random.Generator, n_step: int = 1, gamma: float = 1.0
    ) -> Batch: ...
    def update_priorities(self, index: np.ndarray, error: np.ndarray) -> None: ...
    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


class Segments:
    """Arrays that share their leading axis, saved in blocks of rows.

    Every block has a version, raised when it is written to. A checkpoint writes the blocks whose
    version it has not seen and links the others, so that a save costs what changed since the last.
    """

    def __init__(self, length: int, block: int) -> None:
        self.length, self.block = length, max(1, min(block, length))
        self.arrays: dict[str, np.ndarray] = {}
        self.versions = np.zeros(-(-length // self.block), dtype=np.int64)

    def touch(self, rows: np.ndarray | int) -> None:
        """Rows were written to."""
        self.versions[np.asarray(rows) // self.block] += 1

    def blocks(self) -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
        """(index, version, views) of every block that was ever written to."""
        for index in np.flatnonzero(self.versions):
            rows = slice(index * self.block, min(self.length, (index + 1) * self.block))
            views = {name: array[rows] for name, array in self.arrays.items()}
            yield int(index), int(self.versions[index]), views

    def load(self, index: int, version: int, views: dict[str, np.ndarray]) -> None:
        """Put a saved block back."""
        start = index * self.block
        for name, view in views.items():
            self.arrays[name][start : start + len(view)] = view
        self.versions[index] = version

    def restore(self, into: Segments) -> None:
        """Copy everything into another buffer's segments of the same shape."""
        for index, version, views in self.blocks():
            into.load(index, version, views)


class Storage:
    """Makes a buffer's arrays: zeros in memory, or a memory-mapped file in `folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def make(self, name: str, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        if self.folder is None:
            return np.zeros(shape, dtype)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.bin"
        return np.memmap(path, dtype=dtype, mode="w+", shape=shape)
