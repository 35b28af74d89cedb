"""The pictures of an episode that is watched, within a budget of memory."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

BUDGET = 64_000_000  # bytes of one episode's pictures
MOST = 2000  # pictures of one episode
LARGEST = 1_000_000  # pixels of one picture


class FrameRecorder(Sequence[np.ndarray]):
    """Keeps an episode's pictures, from the first to the last, for a GIF or a video.

    Past the budget they are compressed, without loss; where that is not enough, every second one
    is dropped, and of what follows only every second is kept, as often as needed. `stride` is how
    many steps lie between two, so `fps` is what shows the episode at its speed. Very large
    pictures are shrunk.
    """

    def __init__(self, budget: int = BUDGET, most: int = MOST) -> None:
        self.budget, self.most = budget, max(2, most)
        self.stride = 1
        self.bytes = 0
        self._count = 0  # pictures seen
        self._kept: list[np.ndarray | _Compressed] = []
        self._compresses = False
        self._last: np.ndarray | None = None  # it ends the episode, whatever the stride

    def append(self, picture: np.ndarray) -> None:
        # A copy: an environment may draw the next picture into the same array.
        picture = np.array(_shrunk(picture))
        if self._count % self.stride == 0:
            self._keep(picture)
        self._last = picture
        self._count += 1

    def fps(self, steps_per_second: float) -> float:
        """Pictures a second."""
        return steps_per_second / self.stride

    def _keep(self, picture: np.ndarray) -> None:
        self._kept.append(_Compressed(picture) if self._compresses else picture)
        self.bytes += self._kept[-1].nbytes
        if self.bytes > self.budget and not self._compresses:
            self._compresses = True
            for index, kept in enumerate(self._kept):  # one by one: not both of all at once
                if isinstance(kept, np.ndarray):
                    self._kept[index] = _Compressed(kept)
            self._weigh()
        while len(self._kept) > 2 and (self.bytes > self.budget or len(self._kept) > self.most):
            self._kept = self._kept[::2]
            self.stride *= 2
            self._weigh()

    def _weigh(self) -> None:
        self.bytes = sum(kept.nbytes for kept in self._kept)

    def __len__(self) -> int:
        return len(self._kept) + self._ends_between

    @property
    def _ends_between(self) -> bool:
        """The last picture is none of those that the stride keeps."""
        return self._count > 0 and (self._count - 1) % self.stride != 0

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
        index = range(len(self))[index]
        if index == len(self._kept):
            assert self._last is not None
            return self._last
        kept = self._kept[index]
        return kept if isinstance(kept, np.ndarray) else kept.picture()


class _Compressed:
    """A picture, compressed without loss."""

    def __init__(self, picture: np.ndarray) -> None:
        self.shape, self.dtype = picture.shape, picture.dtype
        self.data = zlib.compress(np.ascontiguousarray(picture), 1)
        self.nbytes = len(self.data)

    def picture(self) -> np.ndarray:
        return np.frombuffer(zlib.decompress(self.data), self.dtype).reshape(self.shape)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """A picture of at most `LARGEST` pixels: means of blocks."""
    height, width = picture.shape[:2]
    block = math.ceil(math.sqrt(height * width / LARGEST))
    if block <= 1 or picture.ndim != 3:
        return picture
    rows, columns = height // block, width // block
    blocks = picture[: rows * block, : columns * block]
    blocks = blocks.reshape(rows, block, columns, block, picture.shape[2])
    return (blocks.sum((1, 3), dtype=np.uint32) // block**2).astype(picture.dtype)
