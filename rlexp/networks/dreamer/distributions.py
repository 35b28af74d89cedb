"""What a world model's outputs mean: latent states, and numbers of any size. Pure functions.

Noise is handed in as an array of uniform or normal numbers, so that whoever samples keeps the RNG.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from rlexp.networks.distributions import log_tanh_slope


def symlog(x: Tensor) -> Tensor:
    """sign(x) ln(|x| + 1): like x near 0, like a logarithm far away (Hafner et al. 2023, eq. 1)."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """sign(x) (exp(|x|) - 1), the inverse of symlog."""
    return x.sign() * x.abs().expm1()


def symexp_bins(count: int, limit: float = 10.0) -> Tensor:
    """`count` (odd) numbers, evenly spaced in symlog's space between -limit and limit, [count]."""
    if count < 3 or count % 2 == 0:
        raise ValueError("must be odd, at least 3")
    return symexp(torch.linspace(-limit, limit, count))


def between_bins(x: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
    """(index of the bin below, weight of the one above), each like x; x is cut to the ends."""
    below = (torch.searchsorted(bins, x.contiguous(), right=True) - 1).clamp(0, len(bins) - 2)
    low, high = bins[below], bins[below + 1]
    return below, ((x - low) / (high - low)).clamp(0, 1)


def two_hot(x: Tensor, bins: Tensor) -> Tensor:
    """Weights [..., bins] of the two bins around each x, whose mean is x (2023, eq. 9)."""
    below, weight = between_bins(x, bins)
    found = x.new_zeros((*x.shape, len(bins)))
    found.scatter_(-1, below.unsqueeze(-1), (1 - weight).unsqueeze(-1))
    return found.scatter_add_(-1, (below + 1).unsqueeze(-1), weight.unsqueeze(-1))


def two_hot_loss(logits: Tensor, x: Tensor, bins: Tensor) -> Tensor:
    """Cross-entropy of logits [..., bins] to two_hot(x), without writing that down; like x."""
    below, weight = between_bins(x, bins)
    near = torch.stack([below, below + 1], -1)
    ours = logits.log_softmax(-1).gather(-1, near)
    return -(ours[..., 0] * (1 - weight) + ours[..., 1] * weight)


def two_hot_mean(logits: Tensor, bins: Tensor) -> Tensor:
    """The mean of logits [..., bins]. Bins that mirror each other are paired before the sum: equal
    weights, as of outputs that begin as zeros, give exactly 0."""
    half = len(bins) // 2
    weights = logits.softmax(-1)
    difference = weights[..., half + 1 :] - weights[..., :half].flip(-1)
    return (difference * bins[half + 1 :]).sum(-1)


def pick(probs: Tensor, uniform: Tensor) -> Tensor:
    """Indices of classes, drawn from probs [..., C] by numbers [...] of 0..1 (inverse CDF)."""
    cdf = probs.cumsum(-1)
    drawn = uniform.unsqueeze(-1) * cdf[..., -1:]
    return (cdf <= drawn).sum(-1).clamp_max(probs.shape[-1] - 1)


def straight_through(one_hot: Tensor, probs: Tensor) -> Tensor:
    """Exactly `one_hot`, with the gradient of `probs` (Bengio, Leonard and Courville 2013)."""
    return one_hot + (probs - probs.detach())


def mix_uniform(probs: Tensor, share: float) -> Tensor:
    """A share of uniform probability in probs [..., C]: none is 0, no KL infinite."""
    return probs if share == 0 else probs * (1 - share) + share / probs.shape[-1]


class Latents(Protocol):
    """A family of distributions over the stochastic state; `stats` [..., outputs] are what a
    network gave, made into probabilities, or means and deviations."""

    @property
    def size(self) -> int: ...  # numbers of a sample
    @property
    def outputs(self) -> int: ...  # numbers that a network gives
    @property
    def noise(self) -> int: ...  # random numbers that a sample takes
    def stats(self, raw: Tensor) -> Tensor: ...
    def sample(self, stats: Tensor, noise: Tensor) -> Tensor: ...  # [..., size]
    def kl(self, p: Tensor, q: Tensor) -> Tensor: ...  # KL(p || q) in nats, [...]
    def entropy(self, stats: Tensor) -> Tensor: ...  # nats, [...]
    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class CategoricalLatents:
    """`count` choices of `classes` each, one-hot; stats are probabilities (Hafner et al. 2021)."""

    count: int
    classes: int
    unimix: float

    @property
    def size(self) -> int:
        return self.count * self.classes

    @property
    def outputs(self) -> int:
        return self.size

    @property
    def noise(self) -> int:
        return self.count

    def _split(self, flat: Tensor) -> Tensor:
        return flat.unflatten(-1, (self.count, self.classes))

    def stats(self, raw: Tensor) -> Tensor:
        return mix_uniform(self._split(raw).softmax(-1), self.unimix).flatten(-2)

    def sample(self, stats: Tensor, noise: Tensor) -> Tensor:
        probs = self._split(stats)
        with torch.no_grad():
            index = pick(probs, noise).unsqueeze(-1)
            one_hot = torch.zeros_like(probs).scatter_(-1, index, 1.0)
        if stats.requires_grad:
            one_hot = straight_through(one_hot, probs)
        return one_hot.flatten(-2)

    def kl(self, p: Tensor, q: Tensor) -> Tensor:
        return (p * (p.log() - q.log())).sum(-1)

    def entropy(self, stats: Tensor) -> Tensor:
        return -torch.xlogy(stats, stats).sum(-1)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.rand((*shape, self.noise), generator=generator)


@dataclass(frozen=True)
class GaussianLatents:
    """`count` normal numbers; stats are means, then deviations softplus + `min_std` (2020)."""

    count: int
    min_std: float

    @property
    def size(self) -> int:
        return self.count

    @property
    def outputs(self) -> int:
        return 2 * self.count

    @property
    def noise(self) -> int:
        return self.count

    def stats(self, raw: Tensor) -> Tensor:
        mean, std = raw.chunk(2, -1)
        return torch.cat([mean, functional.softplus(std) + self.min_std], -1)

    def sample(self, stats: Tensor, noise: Tensor) -> Tensor:
        mean, std = stats.chunk(2, -1)
        return torch.addcmul(mean, std, noise)

    def kl(self, p: Tensor, q: Tensor) -> Tensor:
        (mean, std), (other, wide) = p.chunk(2, -1), q.chunk(2, -1)
        ratio = (std / wide).square()
        gap = ((mean - other) / wide).square()
        return 0.5 * (ratio + gap - 1 - ratio.log()).sum(-1)

    def entropy(self, stats: Tensor) -> Tensor:
        _, std = stats.chunk(2, -1)
        return (std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.randn((*shape, self.noise), generator=generator)


def tanh_gaussian(raw: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, deviation) before the tanh, of raw [..., 2 A]: 5 tanh(m / 5), and
    softplus(s + ln(e^5 - 1)) + 1e-4, which begins at 5 (Hafner et al. 2020, appendix A)."""
    mean, std = raw.chunk(2, -1)
    begin = math.log(math.expm1(5.0))
    return 5 * (mean / 5).tanh(), functional.softplus(std + begin) + 1e-4


def tanh_gaussian_entropy(mean: Tensor, std: Tensor, drawn: Tensor) -> Tensor:
    """-log p(tanh(drawn)) [...]: one sample's estimate of the entropy, its gradient included."""
    z = (drawn - mean) / std
    log_normal = -0.5 * z.square() - std.log() - 0.5 * math.log(2 * math.pi)
    return (log_tanh_slope(drawn) - log_normal).sum(-1)
