"""Layers that all networks of a Dreamer are made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU, "silu": nn.SiLU}
EPS = 1e-3


@dataclass(frozen=True)
class Style:
    """How layers look: activation after each, `norm` (layer normalisation) before it."""

    activation: str
    norm: bool

    def act(self) -> nn.Module:
        return ACTIVATIONS[self.activation]()


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of every pixel of [B, C, H, W] (channels-last)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def dense(inputs: int, units: int, style: Style) -> list[nn.Module]:
    """One dense layer: linear, norm, activation."""
    if not style.norm:
        return [nn.Linear(inputs, units), style.act()]
    return [nn.Linear(inputs, units, bias=False), nn.LayerNorm(units, EPS), style.act()]


def mlp(inputs: int, units: int, layers: int, style: Style) -> nn.Sequential:
    """`layers` dense layers of `units`."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += dense(inputs, units, style)
        inputs = units
    return nn.Sequential(*parts)
