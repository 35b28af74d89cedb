"""Policy and value networks, with a trunk each or one for both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gymnasium.spaces import Space
from torch import Tensor, nn

from rlexp.networks.distributions import Distribution, PolicyHead
from rlexp.networks.initial import initialise
from rlexp.networks.standardise import make_standardise
from rlexp.networks.trunks import ACTIVATIONS, make_trunk


class ActorCritic(nn.Module):
    """Observations [B, …] → (distribution over actions, values [B]).

    `shared`: one trunk serves both heads. `log_std`: as PolicyHead has it.
    `standardise`: None, "running", or the number of observations after which their mean and
    deviation stay.
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
        log_std: float = 0.0,
        padding: str = "valid",
        vision: str = "mlp",
        pixels: str = "scaled",
        standardise: int | str | None = None,
    ) -> None:
        super().__init__()
        kind = ACTIVATIONS[activation]
        self.actor = make_trunk(space, hidden, kind, padding, vision, pixels)
        self.critic = self.actor
        if not shared:
            self.critic = make_trunk(space, hidden, kind, padding, vision, pixels)
        self.shared = shared
        features: int = self.actor.out_features  # type: ignore[assignment]
        self.policy_head = PolicyHead(features, actions, log_std)
        self.value_head = nn.Linear(features, 1)
        self.standardise = make_standardise(space, standardise)
        initialise(self.actor, init, math.sqrt(2))
        initialise(self.critic, init, math.sqrt(2))
        # A policy that starts near uniform, whatever it sees (Andrychowicz et al. 2021).
        initialise(self.policy_head, init, 0.01)
        initialise(self.value_head, init)

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
