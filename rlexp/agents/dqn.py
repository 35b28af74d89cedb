"""Deep Q-learning (Mnih et al. 2015) and Double DQN (van Hasselt, Guez and Silver 2016).

Departures from the papers: Adam instead of RMSProp; the Huber loss is a choice; limits are no
deaths, so the value after a truncated game is bootstrapped; the target may follow softly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rlexp.agents.common import clip_gradients
from rlexp.agents.replay_agent import ReplayAgent
from rlexp.buffers.base import Batch
from rlexp.guard import require_finite
from rlexp.types import Metrics


def td_target(
    reward: Tensor,
    discount: Tensor,
    target_q: Tensor,
    online_q: Tensor | None = None,
    next_action_mask: Tensor | None = None,
) -> Tensor:
    """y = r + discount Q'(s', a*), [B]; discount is 0 where the game terminated.

    a* maximises `online_q` (Double DQN, eq. 4) or, without it, `target_q` itself (DQN, eq. 2), over
    the actions that are legal in the next observation. All three are [B, actions].
    """
    q = target_q if online_q is None else online_q
    if next_action_mask is not None:
        q = q.masked_fill(~next_action_mask, -torch.inf)
    chosen = q.argmax(1, keepdim=True)
    return reward + discount * target_q.gather(1, chosen).squeeze(1)


def td_loss(q: Tensor, action: Tensor, target: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """(losses [B], TD errors [B]) of q [B, actions] at the actions taken [B]."""
    error = target - q.gather(1, action.unsqueeze(1)).squeeze(1)
    if kind == "huber":
        return F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none"), error.detach()
    return error.square(), error.detach()


class DQN(ReplayAgent):
    """One learner for all rows. `double` makes it Double DQN."""

    def __init__(
        self,
        *args: Any,
        double: bool,
        loss: str,
        clip_norm: float | None,
        clip_value: float | None,
        **others: Any,
    ) -> None:
        super().__init__(*args, **others)
        self.double, self.loss = double, loss
        self.clip_norm, self.clip_value = clip_norm, clip_value

    def update(self, batch: Batch) -> Metrics:
        size = len(batch.reward)

        def loss(rows: slice) -> tuple[Tensor, tuple[Tensor, ...]]:
            target = self._targets(batch, rows)
            q = self.online(self.tensor(batch.obs, rows))
            action = self.tensor(batch.action, rows).long()
            losses, error = self.losses(q, action, target)
            if batch.weights is not None:
                losses = losses * self.tensor(batch.weights, rows)
            total = losses.sum() / size
            return total, (
                total.detach(),
                q.detach().mean(1).sum() / size,
                error.abs().sum() / size,
                error,
            )

        parts = self.shards.backward(self.parameters, size, loss)
        norm = clip_gradients(self.parameters, self.clip_norm, self.clip_value)
        *sums, errors = zip(*parts, strict=True)
        td, q, error = (torch.stack(values).sum() for values in sums)
        names = ("loss/td", "train/q", "train/td_error", "train/grad_norm")
        metrics = dict(zip(names, (td, q, error, norm), strict=True))
        require_finite(metrics, batch)
        self.optimizer.step()
        if batch.index is not None:
            self.surprised(batch.index, torch.cat(errors))
        return metrics

    def losses(self, q: Tensor, action: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(losses [B], TD errors [B]); what a variant of DQN would override."""
        return td_loss(q, action, target, self.loss)

    @torch.no_grad()
    def _targets(self, batch: Batch, rows: slice) -> Tensor:
        next_obs = self.tensor(batch.next_obs, rows)
        online_q = self.online(next_obs) if self.double else None
        reward, discount = self.tensor(batch.reward, rows), self.tensor(batch.discount, rows)
        mask = batch.next_action_mask
        legal = None if mask is None else self.tensor(mask, rows)
        return td_target(reward, discount, self.target(next_obs), online_q, legal)
