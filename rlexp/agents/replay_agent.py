"""What agents that learn action values from a replay buffer share: all but the update itself."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space

from rlexp.agents.common import as_tensor, copy_weights, random_actions
from rlexp.agents.q_policy import QPolicy, greedy
from rlexp.agents.replay_learner import ReplayLearner
from rlexp.buffers.base import Buffer
from rlexp.networks.optimizers import Adam
from rlexp.networks.q import QNetwork
from rlexp.networks.shards import Shards
from rlexp.networks.trunks import PixelTrunk
from rlexp.schedules import Schedule
from rlexp.types import Metrics, Needs, State, Transition, Tree


class ReplayAgent(ReplayLearner):
    """Epsilon-greedy play, replay, a target network, and updates when they are owed."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete",), buffers=("frames", "replay"), overlap=True, priorities=True
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
        dueling: bool,
        padding: str,
        pixels: str,
        init: str,
        standardise: int | str | None,
        lr: float,
        adam_eps: float,
        weight_decay: float,
        target_tau: float,
        random_target: bool,
        epsilon: Schedule,
        eval_epsilon: float,
        **others: Any,
    ) -> None:
        assert isinstance(action_space, Discrete)
        self.actions = int(action_space.n)
        self.target_tau = target_tau
        self.epsilon, self.eval_epsilon = epsilon, eval_epsilon
        network = partial(
            QNetwork,
            *(observation_space, self.actions, hidden, padding, init, standardise),
            pixels=pixels,
            dueling=dueling,
        )
        self.online = network().to(device)
        target = network().to(device) if random_target else copy.deepcopy(self.online)
        self.target = target.requires_grad_(False)
        self.target.standardise = self.online.standardise  # statistics have no older version
        self.parameters = list(self.online.parameters())
        self.optimizer = Adam(self.parameters, lr, adam_eps, weight_decay)
        self.shards = Shards(shards)
        # Pictures: updates take long enough to be worth doing while the game goes on.
        threaded = any(isinstance(part, PixelTrunk) for part in self.online.modules())
        self.acting = copy.deepcopy(self.online) if threaded else self.online
        super().__init__(buffer, device, seed, threaded=threaded, lr=lr, **others)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        epsilon = self.epsilon.value(self.steps, self.episodes)
        explore = self.rng.random(len(first)) < epsilon
        action = random_actions(self.rng, len(first), self.actions, legal)
        if not explore.all():
            action = np.where(explore, action, greedy(self.acting, obs, legal, self.device))
        return action

    def observe(self, t: Transition) -> None:
        super().observe(t)
        if self.online.standardise is not None:
            self.online.standardise.update(as_tensor(t.obs, self.device))

    def prepare(self) -> None:
        if self.acting is not self.online:
            copy_weights(self.online, self.acting)
        self.optimizer.set_lr(self.learning_rate())

    def follow(self) -> None:
        """The target moves `target_tau` of the way to the online net."""
        copy_weights(self.online, self.target, self.target_tau)

    def policy(self, greedy: bool, seed: int) -> QPolicy:
        self.background.join()
        epsilon = 0.0 if greedy else self.eval_epsilon
        return QPolicy(self.online, self.actions, epsilon, seed, self.device)

    def metrics(self) -> Metrics:
        return {"train/epsilon": self.epsilon.value(self.steps, self.episodes)} | super().metrics()

    def state_dict(self) -> State:
        return super().state_dict() | {
            "weights": {"online": self.online.state_dict()},
            "acting": self.acting.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.load_weights(state["weights"])
        self.acting.load_state_dict(state["acting"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])

    def load_weights(self, weights: State) -> None:
        self.online.load_state_dict(weights["online"])
        self.target.load_state_dict(weights["online"])
        self.acting.load_state_dict(weights["online"])
