"""What agents that learn action values from a replay buffer share: all but the update itself."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from torch import Tensor

from rlexp import trees
from rlexp.agents.background import Background
from rlexp.agents.common import as_tensor, copy_weights, random_actions, remaining
from rlexp.agents.q_policy import QPolicy, greedy
from rlexp.buffers.base import Batch, Buffer
from rlexp.clock import Clock
from rlexp.networks.optimizers import Adam
from rlexp.networks.q import QNetwork
from rlexp.networks.shards import Shards
from rlexp.networks.trunks import PixelTrunk
from rlexp.schedules import Schedule
from rlexp.types import Metrics, Needs, State, Transition, Tree


class ReplayAgent(ABC):
    """Epsilon-greedy play, replay, a target network, and updates when they are owed."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete",), buffers=("frames", "replay"), overlap=True
    )

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        buffer: Buffer,
        device: torch.device,
        shards: int,
        seed: int,
        *,
        hidden: list[int] | None,
        padding: str,
        init: str,
        standardise: int | str | None,
        gamma: float,
        n_step: int,
        lr: float,
        lr_decay: int | None,
        adam_eps: float,
        weight_decay: float,
        batch_size: int,
        learning_starts: int | str,
        train_every: int | str,
        updates: int,
        target_every: int | str,
        target_tau: float,
        random_target: bool,
        epsilon: Schedule,
        eval_epsilon: float,
    ) -> None:
        assert isinstance(action_space, Discrete)
        self.actions = int(action_space.n)
        self.buffer, self.device, self.batch_size = buffer, device, batch_size
        self.gamma, self.n_step = gamma, n_step
        self.learning_starts, self.train_every, self.updates = learning_starts, train_every, updates
        self.target_every, self.target_tau = target_every, target_tau
        self.epsilon, self.eval_epsilon = epsilon, eval_epsilon
        self.lr, self.lr_decay = lr, lr_decay
        network = partial(
            QNetwork, observation_space, self.actions, hidden, padding, init, standardise
        )
        self.online = network().to(device)
        target = network().to(device) if random_target else copy.deepcopy(self.online)
        self.target = target.requires_grad_(False)
        self.target.standardise = self.online.standardise  # statistics have no older version
        self.parameters = list(self.online.parameters())
        self.optimizer = Adam(self.parameters, lr, adam_eps, weight_decay)
        self.shards = Shards(shards)
        # Pictures: updates take long enough to be worth doing while the game goes on.
        pixels = isinstance(self.online.trunk, PixelTrunk)
        self.background = Background(threaded=pixels)
        self.acting = copy.deepcopy(self.online) if pixels else self.online
        self.rng = np.random.default_rng(seed)
        self.steps = self.episodes = self.update_count = 0

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        epsilon = self.epsilon.value(self.steps, self.episodes)
        explore = self.rng.random(len(first)) < epsilon
        action = random_actions(self.rng, len(first), self.actions, legal)
        if not explore.all():
            action = np.where(explore, action, greedy(self.acting, obs, legal, self.device))
        return action

    def observe(self, t: Transition) -> None:
        self.buffer.add(t)
        if self.online.standardise is not None:
            self.online.standardise.update(as_tensor(t.obs, self.device))
        self.steps += len(t.rows)
        self.episodes += int(t.ended.sum())

    def learn(self, clock: Clock) -> Metrics | None:
        full = len(self.buffer) >= self.buffer.capacity
        ready = len(self.buffer) > 0 and (full or clock.reached(self.learning_starts))
        owed = clock.crossed(self.train_every) * self.updates if ready else 0
        follow = clock.crossed(self.target_every) > 0
        if not owed and not follow:
            return None
        finished = self.background.take()
        if self.acting is not self.online:
            copy_weights(self.online, self.acting)
        self.optimizer.set_lr(self.learning_rate())
        self.update_count += owed  # counted when begun: a log must not ask how far a thread is
        batches: Iterable[Batch] = (self._sample() for _ in range(owed))
        if self.background.pool:
            batches = list(batches)  # drawn now, since the buffer goes on changing
        self.background.start(partial(self._job, batches, follow))
        return finished if self.background.pool else self.background.take()

    def _sample(self) -> Batch:
        return self.buffer.sample(self.batch_size, self.rng, self.n_step, self.gamma)

    def _job(self, batches: Iterable[Batch], follow: bool) -> Metrics | None:
        metrics = None
        for batch in batches:
            metrics = self.update(batch)
        if follow:
            self._follow()
        return metrics

    @abstractmethod
    def update(self, batch: Batch) -> Metrics:
        """One gradient step."""

    def learning_rate(self) -> float:
        """Falls linearly to zero within `lr_decay` steps, or stays."""
        return self.lr * remaining(self.lr_decay, self.steps)

    def tensor(self, array: Tree, rows: slice) -> Tensor:
        return as_tensor(trees.take(array, rows), self.device)

    def _follow(self) -> None:
        """The target moves `target_tau` of the way to the online net."""
        copy_weights(self.online, self.target, self.target_tau)

    def policy(self, greedy: bool, seed: int) -> QPolicy:
        self.background.join()
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
        self.background.join()
        result = self.background.result
        return {
            "weights": {"online": self.online.state_dict()},
            "acting": self.acting.state_dict(),
            "finished": {k: float(v) for k, v in result.items()} if result else None,
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "buffer": self.buffer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "counts": [self.steps, self.episodes, self.update_count],
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state["weights"])
        self.acting.load_state_dict(state["acting"])
        self.background.result = state["finished"]
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.buffer.load_state_dict(state["buffer"])
        self.rng.bit_generator.state = state["rng"]
        self.steps, self.episodes, self.update_count = state["counts"]

    def load_weights(self, weights: State) -> None:
        self.online.load_state_dict(weights["online"])
        self.target.load_state_dict(weights["online"])
        self.acting.load_state_dict(weights["online"])
