"""From the picture a game shows to the observation an agent gets."""

from __future__ import annotations

import cv2
import numpy as np

from rlexp.errors import UserError

# Rows already run in threads; OpenCV's own threads would only get in their way.
cv2.setNumThreads(0)


class Pixels:
    """RGB picture [H, W, 3] or gray [H, W] → channel-first uint8, gray, resized, stacked.

    A stack holds the last `stack` pictures along the channels, the newest last; a game starts with
    its first picture repeated.
    """

    def __init__(self, gray: bool, size: list[int] | None, stack: int) -> None:
        self.gray, self.size, self.stack = gray, size, stack
        self.pictures: np.ndarray | None = None

    def shape(self, height: int, width: int, channels: int) -> tuple[int, int, int]:
        """Of the observation, for pictures of this shape."""
        height, width = self.size or (height, width)
        if self.gray and channels not in (1, 3):
            raise UserError(f"env.gray=true needs RGB images; these have {channels} channels")
        return (1 if self.gray else channels) * self.stack, height, width

    def process(self, picture: np.ndarray) -> np.ndarray:
        """One picture, or several along a first axis → [C, H, W]."""
        if picture.ndim == 4:
            return np.concatenate([self.process(each) for each in picture])
        if self.gray and picture.ndim == 3 and picture.shape[2] == 3:
            picture = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
        if self.size is not None:
            height, width = self.size
            shrinks = height * width < picture.shape[0] * picture.shape[1]
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            picture = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=how)
        if picture.ndim == 2:
            return picture[None]
        return np.ascontiguousarray(picture.transpose(2, 0, 1))

    def first(self, picture: np.ndarray) -> np.ndarray:
        """The observation that opens a game."""
        channels = self.process(picture)
        self.pictures = np.tile(channels, (self.stack, 1, 1))
        return self.pictures.copy()

    def next(self, picture: np.ndarray) -> np.ndarray:
        """The observation after one more picture."""
        channels = self.process(picture)
        if self.stack == 1:
            # Where nothing was computed this is the environment's own array, which it may reuse.
            return channels.copy() if np.may_share_memory(channels, picture) else channels
        assert self.pictures is not None
        count = len(channels)
        self.pictures[:-count] = self.pictures[count:]
        self.pictures[-count:] = channels
        return self.pictures.copy()
