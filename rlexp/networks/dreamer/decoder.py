"""From a model's state back to observations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlexp.networks.dreamer.encoder import check_size
from rlexp.networks.dreamer.layers import EPS, ChannelNorm, Style, mlp

KERNELS = (5, 5, 6, 6)
"""Of the transposed convolutions that make 64x64 out of a point: 5, 13, 30, 64."""


class ConvDecoder(nn.Module):
    """Features [B, F] → pictures [B, C, H, W], about -0.5..0.5, channels last.

    `padding` "valid": a dense layer of 32 times `depth`, then transposed convolutions 5, 5, 6, 6
    of stride 2 (Ha and Schmidhuber 2018). "same": a dense layer to a small picture, whose sides are
    doubled `count` times. `local`: so many of the features, the last ones, are an
    equal share for each cell of that small picture, and go there alone, through common weights.
    """

    def __init__(
        self,
        inputs: int,
        shape: tuple[int, int, int],
        depth: int,
        padding: str,
        style: Style,
        local: int = 0,
        count: int = 4,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        check_size(height, width, padding, count)
        self.valid = padding == "valid"
        self.dense: nn.Module
        first = 0
        layers: list[nn.Module] = []
        if self.valid:
            # A transposed convolution of a single point is a dense layer, and much faster as one.
            first, self.start = 1, (4 * depth, KERNELS[0], KERNELS[0])
            units = 4 * depth * KERNELS[0] ** 2
            self.dense = nn.Sequential(
                nn.Linear(inputs, 32 * depth), nn.Linear(32 * depth, units), style.act()
            )
        else:
            self.start = (depth << count - 1, height >> count, width >> count)
            units = self.start[0] * self.start[1] * self.start[2]
            self.dense = nn.Linear(inputs - local, units)
        self.inputs, self.cells = inputs - local, self.start[1] * self.start[2]
        self.local = nn.Linear(local // self.cells, self.start[0], bias=False) if local else None
        size = self.start[0]
        for i in range(first, count):
            last = i == count - 1
            out = channels if last else depth * 2 ** (count - 2 - i)
            normed = style.norm and i < count - 2  # as in the encoder, not in the largest layer
            kernel, pad = (KERNELS[i], 0) if self.valid else (4, 1)
            layers.append(nn.ConvTranspose2d(size, out, kernel, 2, pad, bias=not normed))
            layers += [ChannelNorm(out, EPS)] if normed else []
            layers += [] if last else [style.act()]
            size = out
        self.layers = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)

    def forward(self, features: Tensor) -> Tensor:
        depth, height, width = self.start
        # As it lies in memory a channels-last picture, so that nothing is copied.
        if self.local is None:
            flat = self.dense(features)
        else:
            mine, theirs = features[:, : self.inputs], features[:, self.inputs :]
            flat = self.dense(mine) + self.local(theirs.unflatten(1, (self.cells, -1))).flatten(1)
        small = flat.view(-1, height, width, depth).permute(0, 3, 1, 2)
        pictures: Tensor = self.layers(small)
        return pictures


class VectorDecoder(nn.Module):
    """Features [B, F] → vectors [B, size]; of symlog values if the encoder squashes."""

    def __init__(self, inputs: int, size: int, units: int, layers: int, style: Style) -> None:
        super().__init__()
        self.layers = nn.Sequential(mlp(inputs, units, layers, style), nn.Linear(units, size))

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.layers(features)
        return found
