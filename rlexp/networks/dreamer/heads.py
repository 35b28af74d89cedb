"""What is read off a model's state: rewards, values, whether the game goes on, what to do."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium.spaces import Discrete, Space
from torch import Tensor, nn
from torch.nn import functional

from rlexp.networks.dreamer.distributions import (
    symexp_bins,
    two_hot_loss,
    two_hot_mean,
)  # fmt: skip
from rlexp.networks.dreamer.layers import Style, mlp


class NumberHead(nn.Module):
    """Features [..., F] → outputs [..., outputs], which `mean` and `loss` make sense of.

    `bins` None: the output is the number, the loss half the squared error (a normal distribution
    of deviation 1). Else a distribution over that many bins, learnt by cross-entropy, whose last
    layer begins as zeros (Hafner et al. 2023).
    """

    def __init__(
        self, inputs: int, units: int, layers: int, bins: int | None, style: Style
    ) -> None:
        super().__init__()
        self.trunk = mlp(inputs, units, layers, style)
        self.linear = nn.Linear(units, bins or 1)
        self.bins: Tensor | None
        self.register_buffer("bins", None if bins is None else symexp_bins(bins), persistent=False)

    def zero(self) -> None:
        """Outputs begin as 0."""
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.linear(self.trunk(features))
        return outputs

    def mean(self, outputs: Tensor) -> Tensor:
        """[...]"""
        return outputs.squeeze(-1) if self.bins is None else two_hot_mean(outputs, self.bins)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """[...]"""
        if self.bins is None:
            return 0.5 * (outputs.squeeze(-1) - target).square()
        return two_hot_loss(outputs, target, self.bins)


class MaskHead(nn.Module):
    """Features [..., F] → logits [..., actions] of each action being legal."""

    def __init__(self, inputs: int, units: int, layers: int, actions: int, style: Style) -> None:
        super().__init__()
        self.trunk = mlp(inputs, units, layers, style)
        self.linear = nn.Linear(units, actions)

    def zero(self) -> None:
        """Begin with logits of 0, by which every action counts as legal."""
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.trunk(features))
        return logits

    def predict(self, features: Tensor) -> Tensor:
        """Return which actions are likelier legal than not, bool [..., actions]; one at least."""
        logits = self(features)
        return (logits >= 0) | (logits == logits.amax(-1, keepdim=True))

    def loss(self, features: Tensor, mask: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return (binary cross-entropy, share of right predictions) of masks [..., actions].

        The cross-entropy is summed over the actions; both are means over the steps that `counts`
        [...] names. What a terminated game would allow is nobody's business.
        """
        logits, target = self(features), mask.to(features)
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        steps = counts.sum().clamp_min(1)
        right = ((logits >= 0) == mask).to(losses).mean(-1)
        return (losses.sum(-1) * counts).sum() / steps, (right.detach() * counts).sum() / steps


class ActorHead(nn.Module):
    """Features [..., F] → logits [..., actions], or means and deviations of a tanh-Gaussian."""

    def __init__(
        self, inputs: int, units: int, layers: int, actions: int, gaussian: bool, style: Style
    ) -> None:
        super().__init__()
        self.trunk = mlp(inputs, units, layers, style)
        self.linear = nn.Linear(units, 2 * actions if gaussian else actions)

    @torch.no_grad()
    def shrink(self, factor: float) -> None:
        """A policy that begins near uniform, whatever it sees."""
        self.linear.weight.mul_(factor)
        self.linear.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.linear(self.trunk(features))
        return outputs


def action_size(space: Space[Any]) -> int:
    """Numbers of an action as the model sees it: one-hot, or one for each axis."""
    if isinstance(space, Discrete):
        return int(space.n)
    assert space.shape is not None
    size = 1
    for side in space.shape:
        size *= side
    return size
