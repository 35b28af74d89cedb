"""Continuous actions: between what a policy draws and what an environment takes."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box


class Bounds:
    """Policies act in -1..1; each entry is stretched to the space's bounds where both are finite.

    So one width of noise suits every task, a torque of ±2 and a throttle of 0..0.1. Entries
    without bounds are taken as they are.
    """

    def __init__(self, space: Box) -> None:
        self.shape, self.low, self.high = space.shape, space.low, space.high
        self.finite = np.isfinite(space.low) & np.isfinite(space.high)
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        with np.errstate(invalid="ignore"):
            self.middle = np.where(self.finite, (low + high) / 2, 0.0).astype(np.float32)
            self.half = np.where(self.finite, (high - low) / 2, 1.0).astype(np.float32)

    def outside(self, action: np.ndarray) -> np.ndarray:
        """The policy's [B, entries] → the environment's [B, …], never beyond its bounds."""
        action = action.reshape(-1, *self.shape)
        stretched = np.clip(self.middle + self.half * action, self.low, self.high)
        return stretched.astype(self.low.dtype)

    def inside(self, action: np.ndarray) -> np.ndarray:
        """The environment's [B, …] → the policy's, float32 [B, entries]."""
        # An entry that can only have one value is 0.
        scaled = (action - self.middle) / np.where(self.half > 0, self.half, 1)
        return scaled.reshape(len(action), -1).astype(np.float32)
