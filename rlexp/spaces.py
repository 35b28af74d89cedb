"""Spaces for what Gymnasium's own don't say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete

if TYPE_CHECKING:
    from rlexp.types import EnvSpec, Seat

Shape = tuple[int, int, int]


class Packed(Box):
    """Pictures and numbers as one float32 vector, so that buffers and agents see an array.

    First the pictures, flattened, each pixel 0..255; then `rest` other entries. Networks take it
    apart again (networks/trunks.py).
    """

    def __init__(self, pictures: Sequence[Shape], rest: int) -> None:
        self.pictures, self.rest = tuple(pictures), rest
        self.pixels = sum(int(np.prod(shape)) for shape in pictures)
        low = np.concatenate([np.zeros(self.pixels), np.full(rest, -np.inf)])
        high = np.concatenate([np.full(self.pixels, 255), np.full(rest, np.inf)])
        super().__init__(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def __repr__(self) -> str:
        return f"Packed({list(self.pictures)}, {self.rest})"


def mask_size(spec: EnvSpec, seat: Seat) -> int:
    """Return how many entries the action mask of a seat has; 0 where it has no mask."""
    space = spec.action_spaces[seat]
    if spec.action_masks is False:
        return 0
    if isinstance(space, Discrete):
        return int(space.n)
    return int(space.nvec.sum()) if isinstance(space, MultiDiscrete) else 0


def is_image(space: object) -> bool:
    """True for a uint8 box of three axes: a picture, channel-first."""
    shape = getattr(space, "shape", None)
    return shape is not None and len(shape) == 3 and getattr(space, "dtype", None) == np.uint8
