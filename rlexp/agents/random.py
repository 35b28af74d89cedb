"""Uniformly random play: what any agent has to beat, and a way to look at a new environment."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Discrete, Space

from rlexp import trees
from rlexp.agents.common import random_actions
from rlexp.clock import Clock
from rlexp.types import Metrics, Needs, State, Transition, Tree


class Random:
    """Samples the action space; legal actions only, where an environment says which are."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete", "multidiscrete", "continuous"),
        observations=("vector", "pixels", "discrete", "mixed", "other"),
        stochastic_when_greedy=True,
    )

    def __init__(self, action_space: Space[Any], seed: int) -> None:
        self.space, self.seed = action_space, seed
        self.rng = np.random.default_rng(seed)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        if isinstance(self.space, Discrete):
            return random_actions(self.rng, len(first), int(self.space.n), legal)
        # Gymnasium's spaces own their generator: lend them ours for each draw.
        self.space._np_random = self.rng
        return trees.stack([self.space.sample() for _ in range(len(first))])

    def observe(self, t: Transition) -> None:
        pass

    def learn(self, clock: Clock) -> Metrics | None:
        return None

    def policy(self, greedy: bool, seed: int) -> Random:
        return Random(self.space, seed)

    def metrics(self) -> Metrics:
        return {}

    def state_dict(self) -> State:
        return {"weights": {}, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]

    def load_weights(self, weights: State) -> None:
        pass
