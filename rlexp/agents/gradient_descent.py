"""Gradient descent (Cauchy 1847), with heavy-ball momentum (Polyak 1964), every row for itself.

    v = momentum v + gradient;  the step is -lr v

No departures: momentum 0 is plain gradient descent.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Space

from rlexp.clock import Clock
from rlexp.errors import UserError
from rlexp.types import Metrics, Needs, State, Transition, Tree


class Descent:
    """Steps for observed gradients [N, d]; a game's start clears its row's velocity."""

    def __init__(self, lr: float, momentum: float) -> None:
        self.lr, self.momentum = lr, momentum
        self.velocity = np.zeros((0, 0))

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        assert isinstance(obs, np.ndarray)
        if self.velocity.shape != obs.shape:
            self.velocity = np.zeros_like(obs)
        carried = np.where(first[:, None], 0.0, self.velocity)
        self.velocity = self.momentum * carried + obs
        step: np.ndarray = -self.lr * self.velocity
        return step


class GradientDescent:
    """The learner is the walker: nothing is kept but each row's velocity."""

    needs: ClassVar[Needs] = Needs(
        actions=("continuous",),
        observations=("vector",),
        rows="independent",
        asks=("gradients",),
    )

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        *,
        lr: float,
        momentum: float,
    ) -> None:
        if observation_space.shape != action_space.shape:
            raise UserError(
                f"agent=gradient_descent: a gradient {observation_space.shape} "
                f"is no step {action_space.shape}"
            )
        self.descent = Descent(lr, momentum)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        return self.descent.act(obs, first)

    def observe(self, t: Transition) -> None:
        pass

    def learn(self, clock: Clock) -> Metrics | None:
        return None  # the step was all

    def policy(self, greedy: bool, seed: int) -> Descent:
        return Descent(self.descent.lr, self.descent.momentum)

    def metrics(self) -> Metrics:
        return {}

    def state_dict(self) -> State:
        return {"weights": {}, "velocity": self.descent.velocity.copy()}

    def load_state_dict(self, state: State) -> None:
        self.descent.velocity = np.array(state["velocity"])

    def load_weights(self, weights: State) -> None:
        pass
