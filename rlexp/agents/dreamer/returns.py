"""What imagined states are worth. Tensors are [H, N]: H steps of N imagined games."""

from __future__ import annotations

import torch
from torch import Tensor

from rlexp.types import State


def lambda_returns(reward: Tensor, discount: Tensor, value: Tensor, lam: float) -> Tensor:
    """G_i of the states 0 … H - 1, [H, N] (Hafner et al. 2020, eq. 6; 2023, eq. 7).

        G_i = r_{i+1} + d_{i+1} ((1 - lambda) v_{i+1} + lambda G_{i+1}),    G_H = v_H

    All arguments are of the states that follow, 1 … H: `reward` of the step into them, `discount`
    gamma times the probability that the game goes on there, `value`.
    """
    following = value[-1]
    found = []
    for i in reversed(range(len(reward))):
        following = reward[i] + discount[i] * torch.lerp(value[i], following, lam)
        found.append(following)
    return torch.stack(found[::-1])


def weights(goes_on: Tensor, discount: Tensor) -> Tensor:
    """How much the states 0 … H - 1 count, [H, N]: the chance that the game reaches them, times
    gamma for each step. `goes_on` [N] of state 0, `discount` [H, N] of the states 1 … H."""
    return torch.cat([goes_on.unsqueeze(0), discount[:-1]]).cumprod(0)


class ReturnRange:
    """The spread of returns, from their 5th to their 95th percentile, averaged over updates.

    Advantages are divided by it where it is more than 1: noise in tiny rewards is not blown up
    (Hafner et al. 2023, eq. 11). It begins with the first batch's percentiles, the authors' at 0.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.low = self.high = 0.0
        self.begun = False

    def update(self, returns: Tensor) -> None:
        ends = torch.quantile(returns.flatten(), torch.tensor([0.05, 0.95]).to(returns))
        low, high = ends.tolist()
        share = 1 - self.decay if self.begun else 1.0
        self.low += share * (low - self.low)
        self.high += share * (high - self.high)
        self.begun = True

    @property
    def size(self) -> float:
        return self.high - self.low

    @property
    def scale(self) -> float:
        return max(1.0, self.size)

    def state_dict(self) -> State:
        return {"low": self.low, "high": self.high, "begun": self.begun}

    def load_state_dict(self, state: State) -> None:
        self.low, self.high, self.begun = state["low"], state["high"], state["begun"]
