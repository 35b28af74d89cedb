"""Policy and value networks, with a trunk each or one for both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from rlexp.networks.distributions import Distribution, PolicyHead
from rlexp.networks.standardise import Standardise
from rlexp.networks.trunks import PixelTrunk, make_trunk

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class ActorCritic(nn.Module):
    """Observations [B, …] → (distribution over actions, values [B]).

    `shared`: one trunk serves both heads. `standardise`: None, "running", or the number of
    observations after which their mean and deviation stay.
    """

    def __init__(
        self,
        space: Space[Any],
        actions: Space[Any],
        hidden: Sequence[int] | None,
        *,
        activation: str = "tanh",
        shared: bool = False,
        init: str = "orthogonal",
        standardise: int | str | None = None,
    ) -> None:
        super().__init__()
        kind = ACTIVATIONS[activation]
        self.actor = make_trunk(space, hidden, kind)
        self.critic = self.actor if shared else make_trunk(space, hidden, kind)
        self.shared = shared
        features: int = self.actor.out_features  # type: ignore[assignment]
        self.policy_head = PolicyHead(features, actions)
        self.value_head = nn.Linear(features, 1)
        self.standardise: Standardise | None = None
        vector = isinstance(space, Box) and not isinstance(self.actor, PixelTrunk)
        if standardise is not None and vector:
            assert space.shape is not None
            until = None if standardise == "running" else int(standardise)
            self.standardise = Standardise(space.shape, until)
        if init == "orthogonal":
            orthogonal(self.actor, math.sqrt(2))
            orthogonal(self.critic, math.sqrt(2))
            # A policy that starts near uniform, whatever it sees (Andrychowicz et al. 2021).
            orthogonal(self.policy_head, 0.01)
            orthogonal(self.value_head, 1.0)

    def forward(self, obs: Tensor, legal: Tensor | None = None) -> tuple[Distribution, Tensor]:
        if self.standardise is not None:
            obs = self.standardise(obs)
        features = self.actor(obs)
        value = self.value_head(features if self.shared else self.critic(obs)).squeeze(-1)
        return self.policy_head(features, legal), value

    def policy(self, obs: Tensor, legal: Tensor | None = None) -> Distribution:
        """The distribution alone."""
        if self.standardise is not None:
            obs = self.standardise(obs)
        found: Distribution = self.policy_head(self.actor(obs), legal)
        return found

    def values(self, obs: Tensor) -> Tensor:
        """Values [B] alone."""
        if self.standardise is not None:
            obs = self.standardise(obs)
        found: Tensor = self.value_head(self.critic(obs)).squeeze(-1)
        return found


def orthogonal(module: nn.Module, gain: float) -> None:
    """Orthogonal weights (Saxe, McClelland and Ganguli 2014) and zero biases in every layer."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            # Into a plain tensor first: weights of convolutions may lie channels-last.
            weight = nn.init.orthogonal_(torch.empty(layer.weight.shape), gain)
            with torch.no_grad():
                layer.weight.copy_(weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
