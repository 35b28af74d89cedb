"""What every agent that learns from its own latest play shares: network, acting, policy, state."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from rlexp.agents.bounds import Bounds
from rlexp.agents.common import as_tensor, clip_gradients, remaining
from rlexp.agents.reward_scale import RewardScale
from rlexp.networks.actor_critic import ActorCritic
from rlexp.networks.flat import Flat
from rlexp.networks.optimizers import Adam
from rlexp.networks.shards import Shards
from rlexp.types import Metrics, Needs, State, Transition, Tree


class OnPolicy:
    """Samples its actions from the current policy; subclasses say when and how they learn.

    One that is `greedy` plays the most probable while it learns, too.
    """

    needs: ClassVar[Needs] = Needs(actions=("discrete", "multidiscrete", "continuous"))
    greedy = False

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        device: torch.device,
        shards: int,
        seed: int,
        *,
        hidden: list[int] | None,
        activation: str,
        shared: bool,
        init: str,
        padding: str,
        vision: str,
        pixels: str,
        log_std: float,
        standardise: int | str | None,
        normalise_reward: bool,
        gamma: float,
        lr: float,
        lr_decay: int | None,
        adam_eps: float,
        value_coef: float,
        entropy_coef: float,
        entropy_decay: int | None,
        clip_norm: float | None,
    ) -> None:
        self.device, self.shards = device, Shards(shards)
        self.to_environment = ToEnvironment(action_space)
        self.net = ActorCritic(
            observation_space, action_space, hidden,
            activation=activation, shared=shared, init=init, padding=padding, vision=vision,
            pixels=pixels, log_std=log_std, standardise=standardise,
        ).to(device)  # fmt: skip
        self.parameters = self.learnt_parameters()
        self.flat_weights = Flat(self.parameters) if Flat.suits(self.parameters) else None
        learnt = [self.flat_weights.weights] if self.flat_weights else self.parameters
        self.optimizer = Adam(learnt, lr, adam_eps)
        self.gamma, self.lr, self.lr_decay = gamma, lr, lr_decay
        self.reward_scale = RewardScale(gamma) if normalise_reward else None
        self.value_coef, self.clip_norm = value_coef, clip_norm
        self.entropy_coef, self.entropy_decay = entropy_coef, entropy_decay
        self.rng = np.random.default_rng(seed)
        # What act() found about the moves that are on their way.
        self.pending: dict[str, np.ndarray] = {}
        self.steps = self.update_count = 0

    def learnt_parameters(self) -> list[nn.Parameter]:
        return list(self.net.parameters())

    def clip(self) -> float:
        """Clips the gradient that the parameters have; gives its norm before."""
        if self.flat_weights is None:
            return float(clip_gradients(self.parameters, self.clip_norm, None))
        self.flat_weights.gather()
        gradient = self.flat_weights.weights.grad
        assert gradient is not None
        norm = float(torch.linalg.vector_norm(gradient))
        if self.clip_norm is not None and norm > self.clip_norm:
            gradient.mul_(self.clip_norm / norm)
        return norm

    @torch.inference_mode()
    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        mask = None if legal is None else as_tensor(legal, self.device)
        seen, value = as_tensor(obs, self.device), None
        if self.net.shared:
            policy, value = self.net(seen, mask)
        else:
            policy = self.net.policy(seen, mask)
        action = policy.mode() if self.greedy else policy.sample(self.rng)
        self.pending = {
            "action": action.cpu().numpy(),
            "log_prob": policy.log_prob(action).cpu().numpy(),
        }
        if value is not None:  # at no cost; a critic of its own is asked once for many moves
            self.pending["value"] = value.cpu().numpy()
        if legal is not None:
            self.pending["legal"] = legal
        return self.to_environment(self.pending["action"])

    def observe(self, t: Transition) -> None:
        self.steps += len(t.rows)
        if self.reward_scale is not None:
            self.reward_scale.update(t.rows, t.reward, t.ended)

    def truncate(self, rows: np.ndarray) -> None:
        """Close the games in progress in these rows, which were cut."""
        if self.reward_scale is not None:
            self.reward_scale.truncate(rows)

    def rewards(self, t: Transition) -> np.ndarray:
        """What is learnt from, [B]; call it after `observe`."""
        return t.reward if self.reward_scale is None else self.reward_scale(t.reward)

    @torch.inference_mode()
    def values(self, obs: np.ndarray) -> np.ndarray:
        """V(obs) [B] of observations [B, …]."""
        found: np.ndarray = self.net.values(as_tensor(obs, self.device)).cpu().numpy()
        return found

    def tensors(self, columns: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """Columns [B, …] on the device."""
        return {name: as_tensor(column, self.device) for name, column in columns.items()}

    def standardise(self, obs: np.ndarray) -> None:
        """Learn what observations look like; only after an update: a rollout has one policy."""
        if self.net.standardise is not None:
            self.net.standardise.update(as_tensor(obs, self.device))

    def remaining(self, length: int | None) -> float:
        """Falls linearly from 1 to 0 within `length` steps; stays 1 where that is None."""
        return remaining(length, self.steps)

    def learning_rate(self) -> float:
        return self.lr * self.remaining(self.lr_decay)

    def entropy_weight(self) -> float:
        return self.entropy_coef * self.remaining(self.entropy_decay)

    def policy(self, greedy: bool, seed: int) -> ActorPolicy:
        return ActorPolicy(self.net, self.to_environment, greedy, seed, self.device)

    def metrics(self) -> Metrics:
        return {"train/lr": self.learning_rate(), "train/updates": self.update_count}

    def state_dict(self) -> State:
        return {
            "weights": {"net": self.net.state_dict()},
            "optimizer": self.optimizer.state_dict(),
            "pending": dict(self.pending),
            "rng": self.rng.bit_generator.state,
            "counts": [self.steps, self.update_count],
            "reward_scale": self.reward_scale.state_dict() if self.reward_scale else None,
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.pending = dict(state["pending"])
        self.rng.bit_generator.state = state["rng"]
        self.steps, self.update_count = state["counts"]
        if self.reward_scale is not None:
            self.reward_scale.load_state_dict(state["reward_scale"])

    def load_weights(self, weights: State) -> None:
        self.net.load_state_dict(weights["net"])


class ActorPolicy:
    """Plays the most probable action (greedy), or one drawn by its probability."""

    def __init__(
        self,
        net: ActorCritic,
        to_environment: ToEnvironment,
        greedy: bool,
        seed: int,
        device: torch.device,
    ) -> None:
        self.net, self.to_environment = net, to_environment
        self.greedy, self.device = greedy, device
        self.rng = np.random.default_rng(seed)

    @torch.inference_mode()
    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        mask = None if legal is None else as_tensor(legal, self.device)
        policy = self.net.policy(as_tensor(obs, self.device), mask)
        action = policy.mode() if self.greedy else policy.sample(self.rng)
        return self.to_environment(action.cpu().numpy())

    def state_dict(self) -> State:
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]


class ToEnvironment:
    """Turns what a policy draws, [B] or [B, entries], into actions of the space, [B, …].

    Continuous ones are stretched and cut to the space's bounds.
    """

    def __init__(self, space: Space[Any]) -> None:
        self.bounds = Bounds(space) if isinstance(space, Box) else None
        self.shape = space.shape

    def __call__(self, action: np.ndarray) -> np.ndarray:
        if self.bounds is not None:
            return self.bounds.outside(action)
        return action.reshape(len(action), *(self.shape or ()))
