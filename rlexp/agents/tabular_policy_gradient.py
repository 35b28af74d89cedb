"""Policy gradient on a table of preferences, one learner a row: REINFORCE (Williams 1992).

A softmax over the moves that a state allows; after each episode

    theta(s, a) += lr G (n(s, a) - pi(a|s) n(s))

with G the episode's return (undiscounted), n(s) and n(s, a) how often the episode was in s and
chose a there. The bracket is the gradient of the episode's log-probability: Sutton and Barto 2018,
eq. 13.8 with gamma = 1 and the return of the whole episode. In a maze G is 1/T.

`sign: plus` is a mistake that can be found in print, n + pi n: no gradient of anything. It pushes
whatever was played, and at large steps it freezes into the first paths that it happens to take.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Discrete, Space

from rlexp.agents.common import LegalMoves, as_rows, numbers, sample
from rlexp.clock import Clock
from rlexp.types import Metrics, Needs, State, Transition, Tree


def softmax(theta: np.ndarray, legal: np.ndarray) -> np.ndarray:
    """pi(a|s) over the last axis; what is not legal (bool, same shape or broadcast) gets 0."""
    shown = np.where(legal, theta, -np.inf)
    powers = np.exp(shown - shown.max(-1, keepdims=True))
    found: np.ndarray = powers / powers.sum(-1, keepdims=True)
    return found


def score(counts: np.ndarray, probabilities: np.ndarray, sign: str) -> np.ndarray:
    """n(s, a) - pi(a|s) n(s), [B, S, A]: the gradient of the episode's log-probability.

    With sign "plus" n(s, a) + pi(a|s) n(s), which is none.
    """
    expected = probabilities * counts.sum(-1, keepdims=True)
    return counts + expected if sign == "plus" else counts - expected


def learning_rate(lr: float, decay: int | None, episodes: np.ndarray) -> np.ndarray:
    """Falls linearly to zero within `decay` episodes, or stays; one a learner."""
    if decay is None:
        return np.full(len(episodes), lr)
    return lr * np.maximum(0.0, 1.0 - episodes / decay)


class TabularPolicyGradient:
    """Preferences theta [N, S, A]; each row learns from episodes of its own until it stops."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete",), observations=("discrete",), rows="independent"
    )

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        num_envs: int,
        seed: int,
        *,
        lr: float,
        lr_decay: int | None,
        sign: str,
        stop_change: float | None,
        max_episodes: int | None,
    ) -> None:
        assert isinstance(observation_space, Discrete) and isinstance(action_space, Discrete)
        states, actions = int(observation_space.n), int(action_space.n)
        self.lr, self.lr_decay, self.sign = lr, lr_decay, sign
        self.stop_change, self.max_episodes = stop_change, max_episodes
        self.rng = np.random.default_rng(seed)
        self.legal = LegalMoves(states, actions)
        self.theta = np.ones((num_envs, states, actions))
        self.counts = np.zeros((num_envs, states, actions))  # of the episode in progress
        self.returns = np.zeros(num_envs)
        self.ended = np.zeros(num_envs, dtype=bool)
        self.episodes = np.zeros(num_envs, dtype=np.int64)  # that were learnt from
        self.stopped = np.zeros(num_envs, dtype=bool)

    @property
    def finished(self) -> bool:
        return bool(self.stopped.all())

    def probabilities(self) -> np.ndarray:
        """pi(a|s), [N, S, A], over the moves known to be legal."""
        return softmax(self.theta, self.legal.table)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        obs = numbers(obs)
        self.theta = as_rows(self.theta, len(obs))
        self.legal.meet(obs, legal)
        theta = self.theta[np.arange(len(obs)), obs]
        return sample(self.rng, softmax(theta, self.legal.of(obs, legal)))

    def observe(self, t: Transition) -> None:
        self.counts[t.rows, numbers(t.obs), numbers(t.action)] += 1
        self.returns[t.rows] += t.reward
        self.ended[t.rows] = t.ended

    def learn(self, clock: Clock) -> Metrics | None:
        """The update of every row whose episode has just ended, unless it has stopped."""
        rows = np.flatnonzero(self.ended & ~self.stopped)
        changes = self._update(rows) if len(rows) else None
        self.counts[self.ended] = 0
        self.returns[self.ended] = 0
        self.ended[:] = False
        return None if changes is None else {"train/policy_change": float(changes.mean())}

    def truncate(self, rows: np.ndarray) -> None:
        """Learn from the episodes in progress in these rows as from truncated ones."""
        rows = rows[self.counts[rows].any((1, 2))]
        learning = rows[~self.stopped[rows]]
        if len(learning):
            self._update(learning)
        self.counts[rows] = 0
        self.returns[rows] = 0

    def _update(self, rows: np.ndarray) -> np.ndarray:
        """Step uphill; gives the summed change of each row's policy, [B]."""
        before = softmax(self.theta[rows], self.legal.table)
        lr = learning_rate(self.lr, self.lr_decay, self.episodes[rows])
        step = (lr * self.returns[rows])[:, None, None]
        self.theta[rows] += step * score(self.counts[rows], before, self.sign)
        changes: np.ndarray = np.abs(softmax(self.theta[rows], self.legal.table) - before).sum(
            (1, 2)
        )
        self.episodes[rows] += 1
        if self.stop_change is not None:
            # An episode without a return teaches nothing: that it changes nothing says nothing.
            taught = self.returns[rows] != 0
            self.stopped[rows] |= taught & (changes < self.stop_change)
        if self.max_episodes is not None:
            self.stopped[rows] |= self.episodes[rows] >= self.max_episodes
        return changes

    def policy(self, greedy: bool, seed: int) -> SoftmaxPolicy:
        return SoftmaxPolicy(self.theta, self.legal, greedy, seed)

    def metrics(self) -> Metrics:
        learning = self.episodes[~self.stopped] if not self.finished else self.episodes
        return {"train/lr": float(learning_rate(self.lr, self.lr_decay, learning).mean())}

    def state_dict(self) -> State:
        return {
            "weights": {"theta": self.theta.copy(), "legal": self.legal.table.copy()},
            "counts": self.counts.copy(),
            "returns": self.returns.copy(),
            "episodes": self.episodes.copy(),
            "stopped": self.stopped.copy(),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state["weights"])
        self.counts, self.returns = np.array(state["counts"]), np.array(state["returns"])
        self.episodes, self.stopped = np.array(state["episodes"]), np.array(state["stopped"])
        self.rng.bit_generator.state = state["rng"]

    def load_weights(self, weights: State) -> None:
        """Of any number of learners: row i begins as learner i modulo that number."""
        theta = np.array(weights["theta"])
        if theta.shape[1:] != self.theta.shape[1:]:
            raise RuntimeError(f"theta is {theta.shape[1:]}, here {self.theta.shape[1:]}")
        self.theta, self.legal.table = theta, np.array(weights["legal"])


class SoftmaxPolicy:
    """Plays learner i (modulo their number) in row i: its likeliest move, or one drawn."""

    def __init__(self, theta: np.ndarray, legal: LegalMoves, greedy: bool, seed: int) -> None:
        self.theta, self.legal, self.greedy = theta, legal, greedy
        self.rng = np.random.default_rng(seed)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        obs = numbers(obs)
        theta = self.theta[np.arange(len(obs)) % len(self.theta), obs]
        chances = softmax(theta, self.legal.of(obs, legal))
        return chances.argmax(-1) if self.greedy else sample(self.rng, chances)
