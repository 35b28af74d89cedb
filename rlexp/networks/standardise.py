"""Observations with mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from rlexp.spaces import Packed, is_image

OFF = -1.0
"""The count of a layer that is off."""


class Standardise(nn.Module):
    """(x - mean) / deviation per entry, learnt from what `update` is shown; part of the weights.

    `until`: observations after which the statistics stay as they are; None goes on for ever.
    `limit`: larger results are cut to ±limit. `skip`: so many of the first entries stay as they
    are. `optional`: weights may come from a network without this layer, which then stays off.
    """

    def __init__(
        self,
        shape: Sequence[int],
        until: int | None,
        limit: float = 10.0,
        skip: int = 0,
        optional: bool = False,
    ) -> None:
        super().__init__()
        self.optional, self.off = optional, False
        self.until, self.limit, self.skip = until, limit, skip
        self.mean: Tensor
        self.square: Tensor
        self.count: Tensor
        self.register_buffer("mean", torch.zeros(*shape, dtype=torch.float64))
        self.register_buffer("square", torch.ones(*shape, dtype=torch.float64))  # of deviations
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def _load_from_state_dict(  # type: ignore[override]
        self, state: dict[str, Any], prefix: str, *others: Any, **more: Any
    ) -> None:
        if self.optional and f"{prefix}count" not in state:
            off = {
                "mean": self.mean,
                "square": self.square,
                "count": torch.full_like(self.count, OFF),
            }
            state |= {f"{prefix}{name}": value for name, value in off.items()}
        super()._load_from_state_dict(state, prefix, *others, **more)
        self.off = float(self.count) == OFF

    @torch.no_grad()
    def update(self, obs: Tensor) -> None:
        """Take in a batch [B, …] (Chan, Golub and LeVeque 1979: parallel variance)."""
        if self.off:
            return
        count = float(self.count)
        if self.until is not None:
            obs = obs[: max(0, self.until - int(count))]
        if not len(obs):
            return
        x = obs.to(self.mean)
        new = float(len(x))
        total = count + new
        gap = x.mean(0) - self.mean
        within = (self.square * count + x.var(0, correction=0) * new) / total
        self.square.copy_(within + gap.square() * (count * new / total**2))
        self.mean.add_(gap * (new / total))
        self.count.fill_(total)

    def forward(self, obs: Tensor) -> Tensor:
        """As float32; the observations themselves before the first update."""
        if self.off:
            return obs.float()
        if not self.skip:
            return self._even(obs, self.mean, self.square)
        rest = slice(self.skip, None)
        even = self._even(obs[:, rest], self.mean[rest], self.square[rest])
        return torch.cat([obs[:, : self.skip].float(), even], 1)

    def _even(self, obs: Tensor, mean: Tensor, square: Tensor) -> Tensor:
        deviation = (square + 1e-8).sqrt()
        return ((obs.to(mean) - mean) / deviation).float().clamp(-self.limit, self.limit)


def make_standardise(space: Space[Any], until: int | str | None) -> Standardise | None:
    """For vectors, whatever their type, and the numbers beside the images of a Packed one.

    None where `until` is None, for images, and for a single number, which networks see one-hot.
    `until`: "running", or the observations after which the statistics stay.
    """
    if until is None or not isinstance(space, Box) or is_image(space):
        return None
    skip = space.pixels if isinstance(space, Packed) else 0
    kept = None if until == "running" else int(until)
    # Runs from before bytes were standardised, too, play on as they learned.
    return Standardise(space.shape, kept, skip=skip, optional=space.dtype == np.uint8)
