"""What a policy network's outputs mean: distributions over actions, and the head that makes them.

Sampling draws its noise from a NumPy generator, whose state a checkpoint holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from torch import Tensor, nn
from torch.nn import functional


class Distribution(Protocol):
    """Over the actions of B rows."""

    def sample(self, rng: np.random.Generator) -> Tensor: ...
    def mode(self) -> Tensor: ...  # the most probable action
    def log_prob(self, action: Tensor) -> Tensor: ...  # [B]
    def entropy(self) -> Tensor: ...  # [B]


class Categorical:
    """One of A actions: logits [B, A]; `legal` bool [B, A] rules the others out."""

    def __init__(self, logits: Tensor, legal: Tensor | None = None) -> None:
        if legal is not None:
            logits = logits.masked_fill(~legal, -1e9)  # finite: 0 times it stays 0 in the entropy
        self.log_probs = logits.log_softmax(-1)

    def sample(self, rng: np.random.Generator) -> Tensor:
        # The Gumbel trick: arg max of log p + Gumbel noise is distributed as p.
        noise = rng.gumbel(size=tuple(self.log_probs.shape))
        return (self.log_probs + torch.from_numpy(noise).to(self.log_probs)).argmax(-1)

    def mode(self) -> Tensor:
        return self.log_probs.argmax(-1)

    def log_prob(self, action: Tensor) -> Tensor:
        return -functional.nll_loss(self.log_probs, action.long(), reduction="none")

    def entropy(self) -> Tensor:
        return -(self.log_probs.exp() * self.log_probs).sum(-1)


class Categoricals:
    """Several independent choices: logits [B, sum(counts)], actions [B, len(counts)]."""

    def __init__(self, logits: Tensor, counts: Sequence[int], legal: Tensor | None = None) -> None:
        masks: Sequence[Tensor | None] = [None] * len(counts)
        if legal is not None:
            masks = legal.split(list(counts), -1)
        parts = zip(logits.split(list(counts), -1), masks, strict=True)
        self.choices = [Categorical(part, mask) for part, mask in parts]

    def sample(self, rng: np.random.Generator) -> Tensor:
        return torch.stack([c.sample(rng) for c in self.choices], -1)

    def mode(self) -> Tensor:
        return torch.stack([c.mode() for c in self.choices], -1)

    def log_prob(self, action: Tensor) -> Tensor:
        parts = zip(self.choices, action.unbind(-1), strict=True)
        return torch.stack([c.log_prob(a) for c, a in parts]).sum(0)

    def entropy(self) -> Tensor:
        return torch.stack([c.entropy() for c in self.choices]).sum(0)


class Gaussian:
    """Independent normal entries: mean [B, D], log of the deviation [D]."""

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.mean, self.log_std = mean, log_std.expand_as(mean)

    def sample(self, rng: np.random.Generator) -> Tensor:
        noise = torch.from_numpy(rng.standard_normal(tuple(self.mean.shape))).to(self.mean)
        return self.mean + self.log_std.exp() * noise

    def mode(self) -> Tensor:
        return self.mean

    def log_prob(self, action: Tensor) -> Tensor:
        z = (action - self.mean) * (-self.log_std).exp()
        return (-0.5 * z.square() - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Tensor:
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


def log_tanh_slope(u: Tensor) -> Tensor:
    """log(1 - tanh² u), without the difference of nearly equal numbers where |u| is large."""
    return 2 * (math.log(2) - u - functional.softplus(-2 * u))


class TanhGaussian:
    """tanh of independent normal entries: mean and log of the deviation [B, D], actions in (-1, 1).

    Its entropy has no closed form; minus the mean log-density of what was drawn estimates it.
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.mean, self.log_std = mean, log_std

    def draw(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(action [B, D], its log-density [B]) that standard normal noise [B, D] leads to.

        Both are differentiable in the parameters. With u = mean + deviation noise and a = tanh u,
        log p(a) = log N(u) - sum log(1 - tanh² u) (Haarnoja et al. 2018b, appendix C).
        """
        u = self.mean + self.log_std.exp() * noise
        normal = -0.5 * noise.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return u.tanh(), (normal - log_tanh_slope(u)).sum(-1)

    def sample(self, rng: np.random.Generator) -> Tensor:
        noise = rng.standard_normal(tuple(self.mean.shape))
        return self.draw(torch.from_numpy(noise).to(self.mean))[0]

    def mode(self) -> Tensor:
        """tanh of the mean: the median, which is what greedy play takes."""
        return self.mean.tanh()


class PolicyHead(nn.Module):
    """Features [B, F] → a distribution over the space's actions.

    `log_std`: what the log of a Gaussian's deviation begins with.
    """

    def __init__(self, features: int, space: Space[Any], log_std: float = 0.0) -> None:
        super().__init__()
        self.counts: list[int] | None = None
        self.gaussian = isinstance(space, Box)
        if isinstance(space, Discrete):
            outputs = int(space.n)
        elif isinstance(space, MultiDiscrete):
            self.counts = [int(n) for n in space.nvec.flatten()]
            outputs = sum(self.counts)
        else:
            assert isinstance(space, Box)
            outputs = int(np.prod(space.shape))
            self.log_std = nn.Parameter(torch.full((outputs,), log_std))
        self.linear = nn.Linear(features, outputs)

    def forward(self, features: Tensor, legal: Tensor | None = None) -> Distribution:
        outputs = self.linear(features)
        if self.counts is not None:
            return Categoricals(outputs, self.counts, legal)
        if self.gaussian:
            return Gaussian(outputs, self.log_std)
        return Categorical(outputs, legal)
