"""From observations to features: convolutions for pictures, dense layers for vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from torch import Tensor, nn
from torch.nn import functional

from rlexp.errors import UserError

# (channels, kernel, stride): Mnih et al. 2015, table of the methods section.
NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Dense layers through `sizes`, each followed by the activation."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers)


class VectorTrunk(nn.Module):
    """Flat observations [B, …] → features [B, hidden[-1]]."""

    def __init__(
        self, size: int, hidden: Sequence[int], activation: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        self.layers = mlp([size, *hidden], activation)
        self.out_features = [size, *hidden][-1]

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(obs.flatten(1).float())
        return features


class PixelTrunk(nn.Module):
    """uint8 pictures [B, C, H, W], divided by 255 → features [B, hidden[-1]]."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        hidden: Sequence[int],
        convolutions: Sequence[tuple[int, int, int]] = NATURE,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = []
        for out, kernel, stride in convolutions:
            layers += [nn.Conv2d(channels, out, kernel, stride), nn.ReLU()]
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
            channels = out
            if min(height, width) < 1:
                raise UserError(
                    f"pictures of {shape[1]}x{shape[2]} are too small for these convolutions: "
                    "write env.resize=[84,84]"
                )
        self.convolutions = nn.Sequential(*layers)
        self.dense = mlp([channels * height * width, *hidden])
        self.out_features = [channels * height * width, *hidden][-1]
        # oneDNN and cuDNN convolve channels-last about a tenth faster.
        self.to(memory_format=torch.channels_last)

    def forward(self, obs: Tensor) -> Tensor:
        x = obs.to(torch.float32, memory_format=torch.channels_last)
        features: Tensor = self.dense(self.convolutions(x.mul_(1 / 255)).flatten(1))
        return features


class OneHotTrunk(nn.Module):
    """Numbers int64 [B] of 0..count-1, as one-hot vectors → features [B, hidden[-1]]."""

    def __init__(
        self, count: int, hidden: Sequence[int], activation: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        self.count = count
        self.layers = mlp([count, *hidden], activation)
        self.out_features = [count, *hidden][-1]

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(functional.one_hot(obs.long(), self.count).float())
        return features


def make_trunk(
    space: Space[Any], hidden: Sequence[int] | None, activation: type[nn.Module] = nn.ReLU
) -> nn.Module:
    """The trunk that suits the observation; `hidden` null: [512] for pictures, [128, 128] else.

    Convolutions have ReLUs, whatever the activation of the others.
    """
    if isinstance(space, Discrete):
        return OneHotTrunk(int(space.n), hidden if hidden is not None else [128, 128], activation)
    shape = space.shape
    if shape is None:
        raise UserError(f"no network for observations {space}: only arrays so far")
    if len(shape) == 3 and space.dtype == np.uint8:
        return PixelTrunk((shape[0], shape[1], shape[2]), hidden if hidden is not None else [512])
    size = int(np.prod(shape)) if shape else 1
    return VectorTrunk(size, hidden if hidden is not None else [128, 128], activation)
