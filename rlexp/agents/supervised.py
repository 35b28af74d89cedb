"""Supervised learning: `regressor` and `classifier`, one gradient step a batch.

The environment gives a batch of inputs, the prediction is the action, info["target"] the answer.
Linear regression by gradient descent is a regressor without hidden layers. Batch normalisation
(Ioffe and Szegedy 2015) learns with the statistics of its batch and plays with running ones.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from torch import Tensor
from torch.nn import functional as F

from rlexp.agents.common import as_tensor, clip_gradients
from rlexp.clock import Clock
from rlexp.errors import UserError
from rlexp.guard import require_finite
from rlexp.networks.feedforward import FeedForward, absolute_sum
from rlexp.networks.optimizers import SGD, Adam
from rlexp.types import Metrics, Needs, State, Transition, Tree


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of (prediction - target)^2; prediction [B, 1], target [B]."""
    return (prediction.squeeze(1) - target).square().mean()


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of -log softmax(logits)[target]; logits [B, classes], target [B]."""
    return F.cross_entropy(logits, target.long())


class Supervised(ABC):
    """What both share: a network, an optimizer, a step a batch."""

    needs: ClassVar[Needs]

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        num_envs: int,
        device: torch.device,
        *,
        hidden: list[int] | None,
        convolutions: list[list[int]] | None,
        activation: str,
        batch_norm: bool,
        standardise: int | str | None,
        pixel_scale: float,
        init: str,
        l1: float,
        weight_decay: float,
        optimizer: str,
        lr: float,
        momentum: float,
    ) -> None:
        if batch_norm and num_envs < 2:
            raise UserError("agent.batch_norm=true needs batches: env.num_envs of 2 or more")
        self.device, self.l1_weight = device, l1
        self.network = FeedForward(
            observation_space, self.outputs(action_space), hidden, convolutions,
            activation, batch_norm, standardise, pixel_scale, init,
        ).to(device)  # fmt: skip
        self.parameters = list(self.network.parameters())
        self.optimizer: SGD | Adam
        if optimizer == "sgd":
            self.optimizer = SGD(self.parameters, lr, momentum, weight_decay)
        else:
            self.optimizer = Adam(self.parameters, lr, weight_decay=weight_decay)
        self.update_count = 0
        self.prediction: Tensor | None = None  # of the batch that is being answered, with its graph
        self.batch: dict[str, np.ndarray] = {}

    @abstractmethod
    def outputs(self, space: Space[Any]) -> int:
        """Outputs of the network for these actions."""

    @abstractmethod
    def answer(self, prediction: Tensor) -> Tensor:
        """The network's outputs [B, outputs] as actions."""

    @abstractmethod
    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What is minimised, a scalar, penalties aside."""

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        """The predictions of the network as it is now; `learn` takes the gradient of the same."""
        inputs = as_tensor(obs, self.device)
        self.network.see(inputs)
        self.prediction = self.network(inputs)
        assert self.prediction is not None
        return self.answer(self.prediction.detach()).cpu().numpy()

    def observe(self, t: Transition) -> None:
        assert isinstance(t.obs, np.ndarray)
        self.batch = {"obs": t.obs, "target": t.info["target"]}

    def learn(self, clock: Clock) -> Metrics | None:
        assert self.prediction is not None
        loss = self.loss(self.prediction, as_tensor(self.batch["target"], self.device))
        self.prediction = None
        metrics = {"loss/fit": loss.detach()}
        if self.l1_weight:
            penalty = self.l1_weight * absolute_sum(self.network.kernels)
            metrics["loss/l1"] = penalty.detach()
            loss = loss + penalty
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        metrics["train/grad_norm"] = clip_gradients(self.parameters, None, None)
        require_finite(metrics, self.batch)
        self.optimizer.step()
        self.update_count += 1
        return metrics

    def policy(self, greedy: bool, seed: int) -> Predictor:
        """A copy of the network as it is now, batch normalisation with running statistics."""
        return Predictor(self, greedy, seed)

    def metrics(self) -> Metrics:
        return {"train/updates": self.update_count}

    def state_dict(self) -> State:
        return {
            "weights": {"network": self.network.state_dict()},
            "optimizer": self.optimizer.state_dict(),
            "updates": self.update_count,
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:
            group.update(self.optimizer.defaults)  # a resumed run may have another learning rate
        self.update_count = state["updates"]

    def load_weights(self, weights: State) -> None:
        self.network.load_state_dict(weights["network"])


class Regressor(Supervised):
    """Predicts a number [B, 1] by least squares."""

    needs: ClassVar[Needs] = Needs(
        actions=("continuous",), observations=("vector", "pixels"), asks=("answers",)
    )

    def outputs(self, space: Space[Any]) -> int:
        if space.shape != (1,):
            raise UserError(f"agent=regressor predicts one number, not actions {space}")
        return 1

    def answer(self, prediction: Tensor) -> Tensor:
        return prediction

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return squared_error(prediction, target)


class Classifier(Supervised):
    """Names one of several classes [B] by maximum likelihood (softmax regression on features)."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete",), observations=("vector", "pixels"), asks=("answers",)
    )

    def outputs(self, space: Space[Any]) -> int:
        assert isinstance(space, Discrete)
        return int(space.n)

    def answer(self, prediction: Tensor) -> Tensor:
        return prediction.argmax(1)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(prediction, target)


class Predictor:
    """Predicts without learning. Not greedy: classes are drawn by their probabilities."""

    def __init__(self, agent: Supervised, greedy: bool, seed: int) -> None:
        self.network = copy.deepcopy(agent.network).eval()
        self.answer, self.device = agent.answer, agent.device
        self.sample = not greedy and isinstance(agent, Classifier)
        self.generator = torch.Generator(agent.device).manual_seed(seed)

    @torch.no_grad()
    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        outputs: Tensor = self.network(as_tensor(obs, self.device))
        if self.sample:
            drawn = torch.multinomial(outputs.softmax(1), 1, generator=self.generator)
            return drawn.squeeze(1).cpu().numpy()
        return self.answer(outputs).cpu().numpy()
