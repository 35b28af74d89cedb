"""Continuous actions: between what a policy draws and what an environment takes."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box


class Bounds:
    """Policies act in -1..1; each entry is stretched to the space's bounds where both are finite.

    So one width of noise suits every task, a torque of ±2 and a throttle of 0..0.1. Entries
    without bounds are taken as they are. The whole numbers of an integer box each own a cell of
    width 1 around them, so that all of them, the outermost too, take an equal share of -1..1.
    """

    def __init__(self, space: Box) -> None:
        self.shape, self.low, self.high = space.shape, space.low, space.high
        self.whole = space.dtype is not None and space.dtype.kind in "iub"
        # An integer box writes a missing bound as the smallest or largest number of its type.
        self.finite = space.bounded_below & space.bounded_above
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        cell = 0.5 if self.whole else 0.0
        # float32 would skip whole numbers beyond 2**24.
        kept = np.float64 if self.whole else np.float32
        with np.errstate(invalid="ignore"):
            self.middle = np.where(self.finite, (low + high) / 2, 0.0).astype(kept)
            half = np.where(self.finite, (high - low) / 2 + cell, 1.0)
        self.half: np.ndarray = half.astype(kept)

    def outside(self, action: np.ndarray) -> np.ndarray:
        """The policy's [B, entries] → the environment's [B, …], never beyond its bounds."""
        stretched = self.middle + self.half * action.reshape(-1, *self.shape)
        if self.whole:
            return self._nearest(stretched)
        return np.clip(stretched, self.low, self.high).astype(self.low.dtype)

    def _nearest(self, stretched: np.ndarray) -> np.ndarray:
        """The whole number whose cell a point lies in, in the type of the space."""
        cells = np.floor(stretched + 0.5)
        inside = (cells > self.low) & (cells < self.high)
        # Bounds are compared before the cast: the ends of int64 are no floats.
        cut = np.where(cells <= self.low, self.low, self.high)
        return np.where(inside, np.where(inside, cells, 0).astype(cut.dtype), cut)

    def inside(self, action: np.ndarray) -> np.ndarray:
        """The environment's [B, …] → the policy's, float32 [B, entries]."""
        # An entry that can only have one value is 0.
        scaled = (action - self.middle) / np.where(self.half > 0, self.half, 1)
        return scaled.reshape(len(action), -1).astype(np.float32)
