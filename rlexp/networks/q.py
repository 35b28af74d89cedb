"""Action-value networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium.spaces import Space
from torch import Tensor, nn

from rlexp.networks.initial import initialise
from rlexp.networks.standardise import make_standardise
from rlexp.networks.trunks import default_hidden, make_trunk, mlp


class DuelingHead(nn.Module):
    """Features [B, features] → V(s) + A(s, a) - mean over a of A(s, a), [B, actions].

    (Wang et al. 2016, eq. 9.) Value and advantages have dense layers of their own, of `hidden`.
    """

    def __init__(self, features: int, hidden: Sequence[int], actions: int) -> None:
        super().__init__()
        units = [features, *hidden]
        self.value = nn.Sequential(mlp(units), nn.Linear(units[-1], 1))
        self.advantage = nn.Sequential(mlp(units), nn.Linear(units[-1], actions))

    def forward(self, features: Tensor) -> Tensor:
        value: Tensor = self.value(features)
        advantage: Tensor = self.advantage(features)
        return value + advantage - advantage.mean(1, keepdim=True)


class QNetwork(nn.Module):
    """Observations [B, …] → one value an action [B, actions]; no activation on the outputs.

    `dueling`: the last of the dense layers is there twice, once for each stream.
    """

    def __init__(
        self,
        space: Space[Any],
        actions: int,
        hidden: Sequence[int] | None,
        padding: str = "valid",
        init: str = "default",
        standardise: int | str | None = None,
        pixels: str = "scaled",
        dueling: bool = False,
    ) -> None:
        super().__init__()
        self.standardise = make_standardise(space, standardise)
        units = list(hidden if hidden is not None else default_hidden(space))
        own = units[-1:] if dueling else []
        shared = units[:-1] if dueling else units
        self.trunk = make_trunk(space, shared, padding=padding, pixels=pixels)
        size: int = self.trunk.out_features  # type: ignore[assignment]
        self.head = DuelingHead(size, own, actions) if dueling else nn.Linear(size, actions)
        initialise(self, init)

    def forward(self, obs: Tensor) -> Tensor:
        if self.standardise is not None:
            obs = self.standardise(obs)
        values: Tensor = self.head(self.trunk(obs))
        return values
