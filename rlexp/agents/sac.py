"""Soft actor-critic with a learnt temperature (Haarnoja et al. 2018b, algorithm 1).

Departures from the paper: until the first update actions are uniform; a game cut by a limit is no
death, so the value after it is bootstrapped (as in the authors' code).
"""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from rlexp.agents.bounds import Bounds
from rlexp.agents.common import as_tensor
from rlexp.agents.replay_learner import ReplayLearner
from rlexp.buffers.base import Batch, Buffer
from rlexp.errors import UserError
from rlexp.guard import require_finite
from rlexp.networks.flat import Flat
from rlexp.networks.optimizers import Adam
from rlexp.networks.soft_actor_critic import SoftActorCritic
from rlexp.types import Metrics, Needs, State, Transition, Tree


def soft_target(
    reward: Tensor, discount: Tensor, target_q: Tensor, next_log_prob: Tensor, alpha: Tensor
) -> Tensor:
    """y = r + discount (min_i Q'_i(s', a') - alpha log pi(a'|s')), [B]; a' is drawn from pi.

    `target_q` [2, B]; discount is 0 where the game terminated.
    """
    return reward + discount * (target_q.amin(0) - alpha * next_log_prob)


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """1/2 (Q_1 - y)^2 + 1/2 (Q_2 - y)^2, [B] (eq. 5); q [2, B], target [B]."""
    return 0.5 * (q - target).square().sum(0)


def policy_loss(q: Tensor, log_prob: Tensor, alpha: Tensor) -> Tensor:
    """alpha log pi(a|s) - min_i Q_i(s, a), [B] (eq. 7); a is drawn from pi, q is [2, B]."""
    return alpha * log_prob - q.amin(0)


def temperature_loss(log_alpha: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """-alpha (log pi(a|s) + target), [B] (eq. 18): alpha falls while the entropy is higher."""
    return -log_alpha.exp() * (log_prob.detach() + target_entropy)


class SAC(ReplayLearner):
    """One learner for all rows, of vectors and bounded continuous actions.

    Networks this small cost more in operations than in arithmetic: the critics are stacked, all
    weights of an optimizer are one tensor, and the target follows in one operation.
    """

    needs: ClassVar[Needs] = Needs(
        actions=("continuous",),
        bounded=True,
        observations=("vector",),
        buffers=("replay",),
        overlap=True,
    )

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        buffer: Buffer,
        device: torch.device,
        seed: int,
        *,
        hidden: list[int],
        activation: str,
        standardise: int | str | None,
        lr: float,
        adam_eps: float,
        target_tau: float,
        temperature: float,
        learn_temperature: bool,
        target_entropy: float | None,
        **others: Any,
    ) -> None:
        assert isinstance(observation_space, Box) and isinstance(action_space, Box)
        super().__init__(
            buffer, device, seed, threaded=False, n_step=1, lr=lr, target_every=None, **others
        )
        self.bounds = Bounds(action_space)
        if not self.bounds.finite.all():
            raise UserError(f"agent=sac needs actions with bounds; these are {action_space}")
        self.entries = int(np.prod(action_space.shape))
        self.target_entropy = -float(self.entries) if target_entropy is None else target_entropy
        self.target_tau, self.learn_temperature = target_tau, learn_temperature
        self.net = SoftActorCritic(
            observation_space, action_space, hidden, activation, standardise
        ).to(device)
        self.log_alpha = nn.Parameter(torch.full((), math.log(temperature), device=device))
        self.target = copy.deepcopy(self.net.critics).requires_grad_(False)
        learnt = [self.log_alpha] if learn_temperature else []
        self.actor = Flat([*self.net.actor.parameters(), *learnt])
        self.critics = Flat(list(self.net.critics.parameters()))
        self.followers = Flat(list(self.target.parameters()))
        self.actor_optimizer = Adam([self.actor.weights], lr, adam_eps)
        self.critic_optimizer = Adam([self.critics.weights], lr, adam_eps)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        if self.update_count == 0:
            return self.bounds.outside(self.rng.uniform(-1, 1, (len(first), self.entries)))
        return SACPolicy(self.net, self.bounds, False, self.rng, self.device).act(obs, first)

    def observe(self, t: Transition) -> None:
        super().observe(t)
        if self.net.standardise is not None:
            self.net.standardise.update(as_tensor(t.obs, self.device))

    def prepare(self) -> None:
        for optimizer in (self.actor_optimizer, self.critic_optimizer):
            optimizer.set_lr(self.learning_rate())

    def update(self, batch: Batch) -> Metrics:
        """A step of the critics, one of policy and temperature, and the target follows."""
        size = len(batch.reward)
        obs = self.net.seen(as_tensor(batch.obs, self.device))
        next_obs = self.net.seen(as_tensor(batch.next_obs, self.device))
        action = as_tensor(self.bounds.inside(batch.action), self.device)
        reward, discount = (as_tensor(x, self.device) for x in (batch.reward, batch.discount))
        noise = self.rng.standard_normal((2, size, self.entries), dtype=np.float32)
        now, then = as_tensor(noise, self.device)
        alpha = self.log_alpha.detach().exp()
        with torch.no_grad():
            next_action, next_log_prob = self.net.policy(next_obs).draw(then)
            target_q = self.target(torch.cat([next_obs, next_action], 1))
            target = soft_target(reward, discount, target_q, next_log_prob, alpha)
        q = self.net.critics(torch.cat([obs, action], 1))
        critic = critic_loss(q, target).mean()
        step(self.critic_optimizer, self.critics, "loss/td", critic, batch)

        drawn, log_prob = self.net.policy(obs).draw(now)
        q_drawn = self.net.critics(torch.cat([obs, drawn], 1))
        actor = total = policy_loss(q_drawn, log_prob, alpha).mean()
        if self.learn_temperature:
            total = actor + temperature_loss(self.log_alpha, log_prob, self.target_entropy).mean()
        step(self.actor_optimizer, self.actor, "loss/policy", total, batch)
        with torch.no_grad():
            self.followers.weights.lerp_(self.critics.weights, self.target_tau)
        entropy = -log_prob.detach().mean()
        values = torch.stack([critic, actor, q.mean(), entropy, alpha]).tolist()
        return dict(zip(NAMES, values, strict=True))

    def policy(self, greedy: bool, seed: int) -> SACPolicy:
        rng = np.random.default_rng(seed)
        return SACPolicy(self.net, self.bounds, greedy, rng, self.device)

    def state_dict(self) -> State:
        return super().state_dict() | {
            "weights": {"net": self.net.state_dict(), "log_alpha": self.log_alpha.detach()},
            "target": self.target.state_dict(),
            "actor_optimizer": self.actor_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.load_weights(state["weights"])
        self.target.load_state_dict(state["target"])
        self.actor_optimizer.load_state_dict(state["actor_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])

    def load_weights(self, weights: State) -> None:
        self.net.load_state_dict(weights["net"])
        self.target.load_state_dict(self.net.critics.state_dict())
        with torch.no_grad():
            self.log_alpha.copy_(torch.as_tensor(weights["log_alpha"]))


NAMES = ("loss/td", "loss/policy", "train/q", "train/entropy", "train/temperature")


def step(optimizer: Adam, flat: Flat, name: str, loss: Tensor, batch: Batch) -> None:
    """One gradient step of the weights in `flat`, and of no others that the loss went through."""
    norm = torch.linalg.vector_norm(flat.backward(loss))
    require_finite({name: loss.detach(), "train/grad_norm": norm}, batch)
    optimizer.step()


class SACPolicy:
    """Plays tanh of the mean (greedy), or draws."""

    def __init__(
        self,
        net: SoftActorCritic,
        bounds: Bounds,
        greedy: bool,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        self.net, self.bounds, self.greedy = net, bounds, greedy
        self.rng, self.device = rng, device

    @torch.inference_mode()
    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        policy = self.net.policy(self.net.seen(as_tensor(obs, self.device)))
        action = policy.mode() if self.greedy else policy.sample(self.rng)
        return self.bounds.outside(action.cpu().numpy())

    def state_dict(self) -> State:
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]
