"""Proximal policy optimisation with clipping (Schulman et al. 2017, algorithm 1).

Departures from the paper, all as in common implementations (Huang et al. 2022): advantages are
normalised within each batch, the gradient's norm is clipped, learning rate and clip range may fall.
`target_kl` is checked after each epoch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlexp.agents.common import share
from rlexp.agents.returns import explained_variance
from rlexp.agents.rollout_agent import RolloutAgent
from rlexp.guard import require_finite
from rlexp.types import Metrics, Transition


def policy_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """-min(r A, clip(r, 1 - clip, 1 + clip) A), [B] (eq. 7).

    The second counts only where it is the smaller: beyond the end that A pushes the ratio to.
    """
    limit = torch.where(advantage >= 0, 1 + clip, 1 - clip) * advantage
    return -torch.min(ratio * advantage, limit)


def value_loss(value: Tensor, old: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """(V - R)^2, [B]; with `clip`, the worse of that and V kept within old ± clip."""
    error = (value - returns).square()
    if clip is None:
        return error
    near = old + (value - old).clamp(-clip, clip)
    return torch.max(error, (near - returns).square())


def target_loss(log_prob: Tensor) -> Tensor:
    """-log pi(right answer | s), [B]: the cross-entropy of a supervised learner."""
    return -log_prob


def approximate_kl(log_ratio: Tensor) -> Tensor:
    """(r - 1) - log r, [B]: an estimate of KL(old || new) without a negative value."""
    return log_ratio.exp() - 1 - log_ratio


class PPO(RolloutAgent):
    """`epochs` passes over each rollout in batches of `batch_size`.

    Metrics are means over the last pass, which shows how far the policy has moved.
    """

    def __init__(
        self,
        *args: Any,
        epochs: int,
        batch_size: int,
        clip: float,
        clip_decay: int | None,
        clip_value_loss: float | None,
        target_kl: float | None,
        target_loss: str,
        **others: Any,
    ) -> None:
        super().__init__(*args, **others)
        self.epochs, self.batch_size = epochs, batch_size
        self.clip_range, self.clip_decay = clip, clip_decay
        self.clip_value_loss, self.target_kl = clip_value_loss, target_kl
        # Who is told the answers has none to try out.
        self.told_answers = self.greedy = target_loss == "cross_entropy"

    def observe(self, t: Transition) -> None:
        if self.told_answers:
            self.pending["target"] = t.info["target"]
        super().observe(t)

    def update(self, data: dict[str, np.ndarray]) -> Metrics:
        rollout = self.flat({name: data[name] for name in LEARNT_FROM if name in data})
        size = len(rollout["obs"])
        batch_size = min(self.batch_size, size)
        # The rows that don't fill a batch wait for another epoch's order.
        starts = range(0, size - batch_size + 1, batch_size)
        told, order = np.zeros(len(NAMES)), torch.arange(size)
        for epoch in range(self.epochs):
            # Metrics cost a tenth of an update: only where somebody looks.
            look = self.target_kl is not None or epoch == self.epochs - 1
            if batch_size < size:
                order = torch.from_numpy(self.rng.permutation(size)).to(self.device)
            told = np.zeros(len(NAMES))
            for start in starts:
                batch = rollout
                if batch_size < size:
                    rows = order[start : start + batch_size]
                    batch = {name: column.index_select(0, rows) for name, column in rollout.items()}
                told += self._step(batch, look)
                self.update_count += 1
            told /= len(starts)
            if self.target_kl is not None and told[KL] > 1.5 * self.target_kl:
                break
        metrics = dict(zip(NAMES, told.tolist(), strict=True))
        if self.told_answers:
            metrics["loss/cross_entropy"] = metrics.pop("loss/policy")
        found = explained_variance(data["value"], data["returns"])
        return metrics | {"train/explained_variance": found}

    def _step(self, batch: dict[str, Tensor], look: bool) -> np.ndarray:
        """One gradient step; the batch's metrics in the order of NAMES, zeros if not to `look`."""
        size, clip = len(batch["obs"]), self.clip_range * self.remaining(self.clip_decay)
        advantage, weight = batch["advantage"], self.entropy_weight()
        if self.normalise_advantage and size > 1:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        batch = batch | {"advantage": advantage}

        def loss(rows: slice) -> tuple[Tensor, Tensor]:
            part = share(batch, rows, size)
            policy, value = self.net(part["obs"], part.get("legal"))
            log_ratio = policy.log_prob(part["action"]) - part["log_prob"]
            ratio = log_ratio.exp()
            if "target" in part:
                actor = target_loss(policy.log_prob(part["target"]))
            else:
                actor = policy_loss(ratio, part["advantage"], clip)
            critic = value_loss(value, part["value"], part["returns"], self.clip_value_loss)
            total = actor + self.value_coef * critic
            if weight > 0:
                total = total - weight * policy.entropy()
            if not look:
                return total.sum() / size, torch.empty(0)
            with torch.no_grad():
                outside = ((ratio - 1).abs() > clip).to(ratio)
                kl = approximate_kl(log_ratio)
                sums = torch.stack([total, actor, critic, policy.entropy(), kl, outside]).sum(1)
            return total.sum() / size, sums / size

        parts = self.shards.backward(self.parameters, size, loss)
        norm = self.clip()
        require_finite({"train/grad_norm": norm}, batch)
        self.optimizer.step()
        if not look:
            return np.zeros(len(NAMES))
        return np.array([*torch.stack(parts).sum(0).tolist(), norm])


LEARNT_FROM = ("obs", "action", "log_prob", "value", "advantage", "returns", "legal", "target")
NAMES = (
    "loss/total", "loss/policy", "loss/value", "train/entropy", "train/kl", "train/clip_fraction",
    "train/grad_norm",
)  # fmt: skip
KL = NAMES.index("train/kl")
