"""Rewards of a size that a critic can learn, whatever the environment pays."""

from __future__ import annotations

import numpy as np

from rlexp.types import State


class RewardScale:
    """Divides rewards by the running deviation of the discounted return (Engstrom et al. 2020).

    For every row R = gamma R + r since its game began; the deviation is that of all R so far. The
    mean is not taken off: it would pay for staying alive, or for dying. What comes out is cut to
    ±limit. Belongs to training alone: returns are reported, and games evaluated, as they are.
    """

    def __init__(self, gamma: float, limit: float = 10.0) -> None:
        self.gamma, self.limit = gamma, limit
        self.returns = np.zeros(0)  # R of each row
        # As if one return of mean 0 and variance 1 had been seen.
        self.count, self.mean, self.variance = 1.0, 0.0, 1.0

    def update(self, rows: np.ndarray, reward: np.ndarray, ended: np.ndarray) -> None:
        """Take in a move of these rows [B]."""
        missing = int(rows.max()) + 1 - len(self.returns)
        if missing > 0:
            self.returns = np.append(self.returns, np.zeros(missing))
        found = self.gamma * self.returns[rows] + reward
        new, total = len(found), self.count + len(found)
        gap = found.mean() - self.mean
        # Chan, Golub and LeVeque 1979: parallel variance.
        squares = self.variance * self.count + found.var() * new
        self.variance = float((squares + gap**2 * self.count * new / total) / total)
        self.mean += float(gap * new / total)
        self.count = float(total)
        self.returns[rows] = np.where(ended, 0.0, found)

    def truncate(self, rows: np.ndarray) -> None:
        """Begin R anew in these rows."""
        self.returns[rows[rows < len(self.returns)]] = 0.0

    def __call__(self, reward: np.ndarray) -> np.ndarray:
        """Rewards [B], scaled, float32."""
        scaled = reward / np.sqrt(self.variance + 1e-8)
        return np.clip(scaled, -self.limit, self.limit).astype(np.float32)

    def state_dict(self) -> State:
        return {
            "returns": self.returns.copy(),
            "moments": [self.count, self.mean, self.variance],
        }

    def load_state_dict(self, state: State) -> None:
        self.returns = np.array(state["returns"])
        self.count, self.mean, self.variance = state["moments"]
