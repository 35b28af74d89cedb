"""Action-value networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium.spaces import Space
from torch import Tensor, nn

from rlexp.networks.trunks import make_trunk


class QNetwork(nn.Module):
    """Observations [B, …] → one value an action [B, actions]; no activation on the outputs."""

    def __init__(self, space: Space[Any], actions: int, hidden: Sequence[int] | None) -> None:
        super().__init__()
        self.trunk = make_trunk(space, hidden)
        self.head = nn.Linear(self.trunk.out_features, actions)  # type: ignore[arg-type]

    def forward(self, obs: Tensor) -> Tensor:
        values: Tensor = self.head(self.trunk(obs))
        return values
