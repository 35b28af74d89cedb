"""From rewards to what a state was worth. All arrays are [T, N]: T moves of N rows."""

from __future__ import annotations

import numpy as np


def gae(
    reward: np.ndarray,
    value: np.ndarray,
    next_value: np.ndarray,
    terminated: np.ndarray,
    ended: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    """Generalised advantages (Schulman et al. 2016, eq. 16), float32 [T, N].

        delta_t = r_t + gamma V(s_{t+1}) - V(s_t)
        A_t     = delta_t + gamma lambda A_{t+1}

    `next_value` is of the true successor; it counts unless the game terminated there. The sum stops
    wherever a game ended, by a limit, too. lambda 1 gives n-step returns minus the value.
    """
    delta = reward + gamma * np.where(terminated, 0.0, next_value) - value
    going = gamma * gae_lambda * ~ended
    advantage = np.zeros_like(delta)
    following = np.zeros_like(delta[0])
    for t in reversed(range(len(delta))):
        following = delta[t] + going[t] * following
        advantage[t] = following
    return advantage.astype(np.float32)


def discounted(reward: np.ndarray, gamma: float) -> np.ndarray:
    """G_t = r_t + gamma G_{t+1} of one whole game, [T] (Sutton and Barto 2018, eq. 3.9)."""
    returns = np.zeros(len(reward))
    following = 0.0
    for t in reversed(range(len(reward))):
        following = reward[t] + gamma * following
        returns[t] = following
    return returns.astype(np.float32)


def explained_variance(value: np.ndarray, returns: np.ndarray) -> float:
    """1 - Var(returns - value) / Var(returns): 1 is a perfect critic, 0 one that knows nothing."""
    total = float(returns.var())
    return 1.0 - float((returns - value).var()) / total if total > 0 else 0.0
