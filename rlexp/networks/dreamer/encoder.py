"""From observations to embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlexp.errors import UserError
from rlexp.networks.dreamer.distributions import symlog
from rlexp.networks.dreamer.layers import EPS, ChannelNorm, Style, mlp

VALID = 4
"""Layers that make 64x64 of a point, or a point of it, with padding "valid"."""


def to_floats(pictures: Tensor) -> Tensor:
    """uint8 [B, C, H, W] → float32 in -0.5..0.5, channels last, which convolves faster."""
    floats = pictures.to(torch.float32, memory_format=torch.channels_last)
    return floats.mul_(1 / 255).sub_(0.5)


class ConvEncoder(nn.Module):
    """Pictures [B, C, H, W] as `to_floats` gives them → [B, out_features].

    So many convolutions 4/2 of depth, 2, 4, … times `depth` channels. `padding` "valid" is that of
    Ha and Schmidhuber 2018 (64x64 and four alone: 31, 14, 6, 2); "same" halves a picture each time.
    The largest layer has no normalisation, which would take a tenth of an update.
    """

    def __init__(
        self, shape: tuple[int, int, int], depth: int, padding: str, style: Style, count: int = 4
    ) -> None:
        super().__init__()
        channels, height, width = shape
        check_size(height, width, padding, count)
        layers: list[nn.Module] = []
        for i in range(count):
            out = depth * 2**i
            pad = 1 if padding == "same" else 0
            normed = style.norm and i > 0
            layers.append(nn.Conv2d(channels, out, 4, 2, pad, bias=not normed))
            layers += [ChannelNorm(out, EPS)] if normed else []
            layers.append(style.act())
            channels = out
            height, width = (height + 2 * pad - 4) // 2 + 1, (width + 2 * pad - 4) // 2 + 1
        self.layers = nn.Sequential(*layers)
        self.grid = height, width  # of the last picture; features are its cells, one by one
        self.out_features = channels * height * width
        self.to(memory_format=torch.channels_last)

    def forward(self, obs: Tensor) -> Tensor:
        # Flattened as it lies in memory, so that nothing is copied.
        return self.layers(obs).permute(0, 2, 3, 1).flatten(1)


class VectorEncoder(nn.Module):
    """Vectors [B, …], through symlog if `squash`, → [B, units]."""

    def __init__(self, size: int, units: int, layers: int, squash: bool, style: Style) -> None:
        super().__init__()
        self.squash = squash
        self.layers = mlp(size, units, layers, style)
        self.out_features = units

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(symlog(obs) if self.squash else obs)
        return features


def check_size(height: int, width: int, padding: str, layers: int) -> None:
    """UserError for pictures that the decoder could not make."""
    if padding == "valid":
        if layers != VALID:
            raise UserError(
                f"agent.padding=valid has {VALID} convolutions: write agent.conv_layers={VALID} "
                "or agent.padding=same"
            )
        if (height, width) != (64, 64):
            raise UserError(
                f"agent.padding=valid makes pictures of 64x64; the environment's are "
                f"{height}x{width}: write env.resize=[64,64] or agent.padding=same"
            )
        return
    part = 2**layers
    if height % part or width % part:
        near = [max(part, round(size / part) * part) for size in (height, width)]
        raise UserError(
            f"pictures of {height}x{width} can't be made: agent.padding=same doubles a picture "
            f"{layers} times (agent.conv_layers), so sides are multiples of {part}: "
            f"write env.resize=[{near[0]},{near[1]}]"
        )
