"""Deep Q-learning (Mnih et al. 2015) and Double DQN (van Hasselt, Guez and Silver 2016).

Departures from the papers: Adam instead of RMSProp; the Huber loss is a choice; limits are no
deaths, so the value after a truncated game is bootstrapped; the target may follow softly.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from torch import Tensor
from torch.nn import functional as F

from rlexp.agents.common import as_tensor, clip_gradients, random_actions
from rlexp.buffers.base import Batch, Buffer
from rlexp.clock import Clock
from rlexp.networks.adam import Adam
from rlexp.networks.q import QNetwork
from rlexp.schedules import Schedule
from rlexp.types import Metrics, Needs, State, Transition, Tree


def td_target(
    reward: Tensor, discount: Tensor, target_q: Tensor, online_q: Tensor | None = None
) -> Tensor:
    """y = r + discount Q'(s', a*), [B]; discount is 0 where the game terminated.

    a* maximises `online_q` (Double DQN, eq. 4) or, without it, `target_q` itself (DQN, eq. 2).
    Both are [B, actions], of the next observation.
    """
    chosen = (target_q if online_q is None else online_q).argmax(1, keepdim=True)
    return reward + discount * target_q.gather(1, chosen).squeeze(1)


def td_loss(q: Tensor, action: Tensor, target: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """(mean loss, TD errors [B]) of q [B, actions] at the actions taken [B]."""
    error = target - q.gather(1, action.unsqueeze(1)).squeeze(1)
    zero = torch.zeros_like(error)
    loss = F.smooth_l1_loss(error, zero) if kind == "huber" else F.mse_loss(error, zero)
    return loss, error.detach()


class DQN:
    """One learner for all rows. `double` makes it Double DQN."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete",), buffers=("frames", "replay"), overlap=True
    )

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        num_envs: int,
        buffer: Buffer,
        device: torch.device,
        seed: int,
        *,
        double: bool,
        hidden: list[int] | None,
        gamma: float,
        n_step: int,
        lr: float,
        lr_decay: int | None,
        adam_eps: float,
        loss: str,
        batch_size: int,
        learning_starts: int | str,
        train_every: int | str,
        updates: int,
        target_every: int | str,
        target_tau: float,
        clip_norm: float | None,
        clip_value: float | None,
        epsilon: Schedule,
        eval_epsilon: float,
    ) -> None:
        assert isinstance(action_space, Discrete)
        self.actions, self.num_envs = int(action_space.n), num_envs
        self.buffer, self.device = buffer, device
        self.double, self.gamma, self.n_step, self.loss = double, gamma, n_step, loss
        self.batch_size = batch_size
        self.learning_starts, self.train_every, self.updates = learning_starts, train_every, updates
        self.target_every, self.target_tau = target_every, target_tau
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.epsilon, self.eval_epsilon = epsilon, eval_epsilon
        self.lr, self.lr_decay = lr, lr_decay
        self.online = QNetwork(observation_space, self.actions, hidden).to(device)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.optimizer = Adam(self.online.parameters(), lr, adam_eps)
        self.rng = np.random.default_rng(seed)
        self.steps = self.episodes = self.update_count = 0

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        epsilon = self.epsilon.value(self.steps, self.episodes)
        explore = self.rng.random(len(first)) < epsilon
        action = random_actions(self.rng, len(first), self.actions, legal)
        if not explore.all():
            action = np.where(explore, action, greedy(self.online, obs, legal, self.device))
        return action

    def observe(self, t: Transition) -> None:
        self.buffer.add(t)
        self.steps += len(t.rows)
        self.episodes += int(t.ended.sum())

    def learn(self, clock: Clock) -> Metrics | None:
        metrics: Metrics | None = None
        full = len(self.buffer) >= self.buffer.capacity
        ready = len(self.buffer) > 0 and (full or clock.reached(self.learning_starts))
        if ready:
            self.optimizer.set_lr(self.learning_rate())
            for _ in range(clock.crossed(self.train_every) * self.updates):
                batch = self.buffer.sample(self.batch_size, self.rng, self.n_step, self.gamma)
                metrics = self._update(batch)
        if clock.crossed(self.target_every):
            self._follow()
        return metrics

    def learning_rate(self) -> float:
        """Falls linearly to zero within `lr_decay` steps, or stays."""
        if self.lr_decay is None:
            return self.lr
        return self.lr * max(0.0, 1.0 - self.steps / self.lr_decay)

    def _update(self, batch: Batch) -> Metrics:
        obs, next_obs = as_tensor(batch.obs, self.device), as_tensor(batch.next_obs, self.device)
        action = as_tensor(batch.action, self.device).long()
        reward = as_tensor(batch.reward, self.device)
        discount = as_tensor(batch.discount, self.device)
        with torch.no_grad():
            online_q = self.online(next_obs) if self.double else None
            target = td_target(reward, discount, self.target(next_obs), online_q)
        q = self.online(obs)
        loss, error = td_loss(q, action, target, self.loss)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip_gradients(self.online.parameters(), self.clip_norm, self.clip_value)
        self.optimizer.step()
        self.update_count += 1
        return {
            "loss/td": loss.detach(),
            "train/q": q.detach().mean(),
            "train/td_error": error.abs().mean(),
            "train/grad_norm": norm,
        }

    @torch.no_grad()
    def _follow(self) -> None:
        """The target moves `target_tau` of the way to the online net."""
        for ours, theirs in zip(self.target.parameters(), self.online.parameters(), strict=True):
            ours.lerp_(theirs, self.target_tau)

    def policy(self, greedy: bool, seed: int) -> QPolicy:
        epsilon = 0.0 if greedy else self.eval_epsilon
        return QPolicy(self.online, self.actions, epsilon, seed, self.device)

    def metrics(self) -> Metrics:
        return {
            "train/epsilon": self.epsilon.value(self.steps, self.episodes),
            "train/lr": self.learning_rate(),
            "train/buffer": len(self.buffer),
            "train/updates": self.update_count,
        }

    def state_dict(self) -> State:
        return {
            "weights": {"online": self.online.state_dict()},
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "buffer": self.buffer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "counts": [self.steps, self.episodes, self.update_count],
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state["weights"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.buffer.load_state_dict(state["buffer"])
        self.rng.bit_generator.state = state["rng"]
        self.steps, self.episodes, self.update_count = state["counts"]

    def load_weights(self, weights: State) -> None:
        self.online.load_state_dict(weights["online"])
        self.target.load_state_dict(weights["online"])


@torch.no_grad()
def greedy(net: QNetwork, obs: Tree, legal: np.ndarray | None, device: torch.device) -> np.ndarray:
    """The best action of each row [B], legal ones only."""
    q = net(as_tensor(obs, device))
    if legal is not None:
        q = q.masked_fill(~as_tensor(legal, device), -torch.inf)
    best: np.ndarray = q.argmax(1).cpu().numpy()
    return best


class QPolicy:
    """Greedy but for a share `epsilon` of random actions."""

    def __init__(
        self, net: QNetwork, actions: int, epsilon: float, seed: int, device: torch.device
    ) -> None:
        self.net, self.actions, self.epsilon, self.device = net, actions, epsilon, device
        self.rng = np.random.default_rng(seed)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        action = greedy(self.net, obs, legal, self.device)
        if self.epsilon == 0.0:
            return action
        explore = self.rng.random(len(first)) < self.epsilon
        random = random_actions(self.rng, len(first), self.actions, legal)
        return np.where(explore, random, action)
