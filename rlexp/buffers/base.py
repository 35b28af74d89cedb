"""What every buffer shares: batches, storage in memory or on disk, and saving only what changed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rlexp.spaces import mask_size
from rlexp.types import EnvSpec, Seat, State, Transition, Tree

MASKS = ("action_mask", "next_action_mask")
"""Columns of action masks, named as in a Transition. A row that lacks its mask is all true."""


@dataclass(slots=True)
class Batch:
    """Sampled moves, each looked ahead for k <= n_step moves of its own game.

    obs, action      of the move
    reward    [B]    r_t + gamma r_{t+1} + … of the k moves
    next_obs         after the last of them
    discount  [B]    gamma^k, or 0 where the game terminated: the factor of next_obs' value
    weights   [B]    of the losses, 0..1, and
    index     [B]    numbers of the moves: where TD errors decide what is drawn (priorities.py)
    next_action_mask bool [B, actions]  what is legal in next_obs; None where everything always is
    """

    obs: Tree
    action: np.ndarray
    reward: np.ndarray
    next_obs: Tree
    discount: np.ndarray
    weights: np.ndarray | None = None
    index: np.ndarray | None = None
    next_action_mask: np.ndarray | None = None


class Buffer(Protocol):
    capacity: int

    def __len__(self) -> int: ...
    def add(self, t: Transition) -> None: ...
    def truncate(self, rows: np.ndarray) -> None: ...  # games in progress there were cut
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
        if any(name in MASKS and name not in views for name in self.arrays):
            warnings.warn(
                "the buffer was saved without action masks: in what it holds, all actions count as "
                "legal",
                stacklevel=2,
            )
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

    def make_all(
        self, length: int, columns: Mapping[str, tuple[tuple[int, ...], Any]]
    ) -> dict[str, np.ndarray]:
        """Make arrays of `length` rows from each column's shape of a row and its dtype."""
        arrays = {
            name: self.make(name, (length, *shape), dtype)
            for name, (shape, dtype) in columns.items()
        }
        for name in arrays.keys() & set(MASKS):
            arrays[name][:] = True
        return arrays


def item_bytes(columns: Mapping[str, tuple[tuple[int, ...], Any]]) -> int:
    """Return the bytes that a row of all columns takes."""
    sizes = (int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in columns.values())
    return sum(sizes)


def mask_column(
    spec: EnvSpec, seat: Seat, name: str
) -> dict[str, tuple[tuple[int, ...], type[np.bool_]]]:
    """Return the shape and dtype of a column of action masks by its name; {} without masks."""
    size = mask_size(spec, seat)
    return {name: ((size,), np.bool_)} if size else {}


def mask_or_all(t: Transition, name: str) -> np.ndarray | bool:
    """Return what a column of action masks stores of a transition."""
    mask: np.ndarray | None = getattr(t, name)
    return True if mask is None else mask
