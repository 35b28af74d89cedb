"""Advantage actor-critic, synchronous (Mnih et al. 2016, section 4 and algorithm S3).

Departures from the paper: rows step together and share one update (A2C) instead of asynchronous
workers (A3C); Adam instead of RMSProp; generalised advantages, of which `gae_lambda` 1 is the
paper's n-step return; advantages may be normalised.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rlexp.agents.returns import explained_variance
from rlexp.agents.rollout_agent import RolloutAgent
from rlexp.guard import require_finite
from rlexp.types import Metrics


def policy_loss(log_prob: Tensor, advantage: Tensor) -> Tensor:
    """-log pi(a|s) A, [B]; its gradient is that of the policy, A being a number."""
    return -log_prob * advantage.detach()


def value_loss(value: Tensor, returns: Tensor) -> Tensor:
    """(V(s) - R)^2, [B]."""
    return (value - returns.detach()).square()


class A2C(RolloutAgent):
    """One gradient step on each rollout: policy + value_coef value - entropy_coef entropy."""

    def update(self, data: dict[str, np.ndarray]) -> Metrics:
        advantage = data["advantage"]
        if self.normalise_advantage and advantage.size > 1:  # a single one would always become 0
            data["advantage"] = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        batch = self.flat(data)
        size = len(batch["obs"])

        def loss(rows: slice) -> tuple[Tensor, Tensor]:
            part = {name: column[rows] for name, column in batch.items()}
            policy, value = self.net(part["obs"], part.get("legal"))
            actor = policy_loss(policy.log_prob(part["action"]), part["advantage"]).sum() / size
            critic = value_loss(value, part["returns"]).sum() / size
            entropy = policy.entropy().sum() / size
            total = actor + self.value_coef * critic - self.entropy_weight() * entropy
            return total, torch.stack([total, actor, critic, entropy]).detach()

        parts = self.shards.backward(self.parameters, size, loss)
        norm = self.clip()
        names = ("loss/total", "loss/policy", "loss/value", "train/entropy")
        metrics = dict(zip(names, torch.stack(parts).sum(0), strict=True))
        metrics["train/grad_norm"] = norm
        require_finite(metrics, data)
        self.optimizer.step()
        self.update_count += 1
        found = explained_variance(data["value"], data["returns"])
        return metrics | {
            "train/explained_variance": found,
            "train/advantage": float(data["advantage"].mean()),
        }
