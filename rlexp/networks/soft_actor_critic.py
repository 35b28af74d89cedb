"""Networks of soft actor-critic: a squashed Gaussian policy and two critics, stacked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from rlexp.networks.distributions import TanhGaussian
from rlexp.networks.standardise import make_standardise
from rlexp.networks.trunks import ACTIVATIONS, mlp

# The log of a policy's deviation stays in here, as in the authors' code.
LOG_STD = (-20.0, 2.0)


class TwinQ(nn.Module):
    """Two critics of the same shape, weights stacked: every layer is one operation for both.

    Rows of observation and action [B, inputs] → values [2, B].
    """

    def __init__(self, inputs: int, hidden: Sequence[int], activation: str) -> None:
        super().__init__()
        sizes = [inputs, *hidden, 1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            limit = 1 / math.sqrt(before)  # torch's default of a dense layer
            self.weights.append(torch.empty(2, before, after).uniform_(-limit, limit))
            self.biases.append(torch.empty(2, 1, after).uniform_(-limit, limit))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(2, *x.shape)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = self.activation(x)
        return x.squeeze(-1)


class SoftActorCritic(nn.Module):
    """Everything that plays and judges. Vectors [B, …]; actions [B, entries] in -1..1."""

    def __init__(
        self,
        space: Box,
        actions: Box,
        hidden: Sequence[int],
        activation: str,
        standardise: int | str | None,
    ) -> None:
        super().__init__()
        size, entries = int(np.prod(space.shape)), int(np.prod(actions.shape))
        self.standardise = make_standardise(space, standardise)
        self.actor = mlp([size, *hidden], ACTIVATIONS[activation])
        self.actor.append(nn.Linear([size, *hidden][-1], 2 * entries))
        self.critics = TwinQ(size + entries, hidden, activation)

    def seen(self, obs: Tensor) -> Tensor:
        """What both networks get, [B, size], of raw observations."""
        if self.standardise is not None:
            obs = self.standardise(obs)
        return obs.flatten(1).float()

    def policy(self, seen: Tensor) -> TanhGaussian:
        mean, log_std = self.actor(seen).chunk(2, -1)
        return TanhGaussian(mean, log_std.clamp(*LOG_STD))
