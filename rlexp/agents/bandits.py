"""Bandit algorithms: thousands of learners at once, one a row.

epsilon_greedy  Sutton and Barto 2018, section 2.4
ucb1            Auer, Cesa-Bianchi and Fischer 2002, figure 1
kl_ucb          Garivier and Cappé 2011, algorithm 1 with c = 0
thompson        Thompson 1933, with Beta(1, 1) priors (Chapelle and Li 2011)
gradient_bandit Sutton and Barto 2018, section 2.8

No departures from these, but that ties are broken as `ties` says: by the first index, or at random.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Discrete, Space

from rlexp.clock import Clock
from rlexp.types import Metrics, Needs, State, Transition, Tree


class BanditLearner(ABC):
    """Counts pulls and rewards of each arm [N, K]; a game's start clears its row."""

    needs: ClassVar[Needs] = Needs(actions=("discrete",), rows="independent")

    def __init__(
        self, action_space: Space[Any], num_envs: int, seed: int, *, ties: str = "first"
    ) -> None:
        assert isinstance(action_space, Discrete)
        self.arms, self.ties = int(action_space.n), ties
        self.rng = np.random.default_rng(seed)
        self.rows = np.arange(num_envs)
        self.pulls = np.zeros((num_envs, self.arms))
        self.rewards = np.zeros((num_envs, self.arms))

    @abstractmethod
    def scores(self) -> np.ndarray:
        """[N, K]: the arm with the highest is pulled; an untried one may have infinity."""

    def means(self) -> np.ndarray:
        """Average reward of each arm [N, K]; 0 for an untried one."""
        return self.rewards / np.maximum(self.pulls, 1)

    def total(self) -> np.ndarray:
        """Pulls of all arms so far, [N]; adding columns is faster than summing short rows."""
        return sum(self.pulls.T, np.zeros(len(self.pulls)))

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> np.ndarray:
        if first.any():
            self.clear(first)
        return self.best(self.scores())

    def clear(self, rows: np.ndarray) -> None:
        """Forget what was learnt in these rows (bool [N])."""
        self.pulls[rows] = 0
        self.rewards[rows] = 0

    def best(self, scores: np.ndarray) -> np.ndarray:
        """Index of the highest score of each row [N]."""
        if self.ties == "first":
            return scores.argmax(1)
        top = scores == scores.max(1, keepdims=True)
        return np.where(top, self.rng.random(scores.shape), -1.0).argmax(1)

    def observe(self, t: Transition) -> None:
        assert isinstance(t.action, np.ndarray)
        self.pulls[t.rows, t.action] += 1
        self.rewards[t.rows, t.action] += t.reward

    def learn(self, clock: Clock) -> Metrics | None:
        return None  # counting was all

    def policy(self, greedy: bool, seed: int) -> BestArm:
        return BestArm(self.means().argmax(1))

    def metrics(self) -> Metrics:
        return {}

    def state_dict(self) -> State:
        weights = {"pulls": self.pulls.copy(), "rewards": self.rewards.copy()}
        return {"weights": weights, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.load_weights(state["weights"])

    def load_weights(self, weights: State) -> None:
        self.pulls, self.rewards = np.array(weights["pulls"]), np.array(weights["rewards"])


class BestArm:
    """Pulls the arm that looked best at the end; rows beyond the learners' begin again."""

    def __init__(self, arm: np.ndarray) -> None:
        self.arm = arm

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        return self.arm[np.arange(len(first)) % len(self.arm)]


class EpsilonGreedy(BanditLearner):
    """The best average so far, but a uniformly random arm with probability epsilon."""

    def __init__(self, *args: Any, epsilon: float, **others: Any) -> None:
        super().__init__(*args, **others)
        self.epsilon = epsilon

    def scores(self) -> np.ndarray:
        return self.means()

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> np.ndarray:
        best = super().act(obs, first, legal)
        explore = self.rng.random(len(self.rows)) < self.epsilon
        return np.where(explore, self.rng.integers(self.arms, size=len(self.rows)), best)


class UCB1(BanditLearner):
    """Every arm once, then mean + sqrt(c ln t / n), t being the pulls so far; c = 2 is UCB1."""

    def __init__(self, *args: Any, c: float, **others: Any) -> None:
        super().__init__(*args, **others)
        self.c = c

    def scores(self) -> np.ndarray:
        width = self.c * np.log(np.maximum(self.total(), 1))
        bonus = np.sqrt(width[:, None] / np.maximum(self.pulls, 1))
        scores = self.means() + bonus
        scores[self.pulls == 0] = np.inf
        return scores


class KLUCB(BanditLearner):
    """Every arm once, then the largest q with n KL(mean, q) <= ln t."""

    HALVINGS = 24  # of the interval [mean, 1]: q to seven digits

    def scores(self) -> np.ndarray:
        mean = self.means()
        limit = np.log(np.maximum(self.total(), 1))[:, None] / np.maximum(self.pulls, 1)
        low, high = mean.copy(), np.ones_like(mean)
        for _ in range(self.HALVINGS):
            middle = (low + high) / 2
            inside = bernoulli_kl(mean, middle) <= limit
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return np.where(self.pulls == 0, np.inf, low)


def bernoulli_kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(Bernoulli(p) || Bernoulli(q)), with 0 ln 0 = 0."""
    tiny = 1e-12
    p, q = np.clip(p, tiny, 1 - tiny), np.clip(q, tiny, 1 - tiny)
    found: np.ndarray = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return found


class Thompson(BanditLearner):
    """A draw from each arm's posterior Beta(1 + successes, 1 + failures)."""

    def scores(self) -> np.ndarray:
        return self.rng.beta(1 + self.rewards, 1 + self.pulls - self.rewards)


class GradientBandit(BanditLearner):
    """Preferences H by stochastic gradient ascent, the average reward as baseline (eq. 2.12)."""

    def __init__(self, *args: Any, lr: float, **others: Any) -> None:
        super().__init__(*args, **others)
        self.lr = lr
        self.preferences = np.zeros_like(self.pulls)

    def chances(self) -> np.ndarray:
        """softmax(H), [N, K]."""
        powers = np.exp(self.preferences - self.preferences.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def scores(self) -> np.ndarray:
        # The Gumbel trick: arg max of ln p + Gumbel noise is distributed as p.
        return np.log(self.chances()) + self.rng.gumbel(size=self.preferences.shape)

    def clear(self, rows: np.ndarray) -> None:
        super().clear(rows)
        self.preferences[rows] = 0

    def observe(self, t: Transition) -> None:
        assert isinstance(t.action, np.ndarray)
        super().observe(t)  # the baseline includes this reward, as in the book
        baseline = self.rewards[t.rows].sum(1) / self.pulls[t.rows].sum(1)
        step = self.lr * (t.reward - baseline)
        change = -step[:, None] * self.chances()[t.rows]
        change[np.arange(len(t.rows)), t.action] += step
        self.preferences[t.rows] += change

    def state_dict(self) -> State:
        state = super().state_dict()
        state["weights"]["preferences"] = self.preferences.copy()
        return state

    def load_weights(self, weights: State) -> None:
        super().load_weights(weights)
        self.preferences = np.array(weights["preferences"])
