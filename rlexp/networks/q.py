"""Action-value networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium.spaces import Space
from torch import Tensor, nn

from rlexp.networks.initial import initialise
from rlexp.networks.standardise import make_standardise
from rlexp.networks.trunks import make_trunk


class QNetwork(nn.Module):
    """Observations [B, …] → one value an action [B, actions]; no activation on the outputs."""

    def __init__(
        self,
        space: Space[Any],
        actions: int,
        hidden: Sequence[int] | None,
        padding: str = "valid",
        init: str = "default",
        standardise: int | str | None = None,
    ) -> None:
        super().__init__()
        self.standardise = make_standardise(space, standardise)
        self.trunk = make_trunk(space, hidden, padding=padding)
        self.head = nn.Linear(self.trunk.out_features, actions)  # type: ignore[arg-type]
        initialise(self, init)

    def forward(self, obs: Tensor) -> Tensor:
        if self.standardise is not None:
            obs = self.standardise(obs)
        values: Tensor = self.head(self.trunk(obs))
        return values
