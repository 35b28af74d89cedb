"""One-step temporal-difference control on numbered states, one learner a row; with q_learning
(Watkins 1989; Sutton and Barto 2018, section 6.5). sarsa.py has Sarsa.

Values are a table, or a small network on one-hot states (`hidden`) that takes one step of gradient
descent on the squared error after each move: no memory, no target network. Departures: ties are
broken at random while training; limits are no deaths, so the value after a truncated game is
bootstrapped (in sarsa by the mean over what the policy would have done).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space

from rlexp.agents.common import LegalMoves, numbers, random_actions
from rlexp.agents.q_policy import RowsPolicy
from rlexp.clock import Clock
from rlexp.networks.rows import RowNets, RowTables
from rlexp.schedules import Schedule
from rlexp.types import Metrics, Needs, State, Transition, Tree


def td_target(
    reward: np.ndarray, terminated: np.ndarray, next_value: np.ndarray, gamma: float
) -> np.ndarray:
    """r + gamma V(s'), [B]; r alone where the game terminated."""
    found: np.ndarray = reward + gamma * np.where(terminated, 0.0, next_value)
    return found


def best_value(q: np.ndarray, legal: np.ndarray) -> np.ndarray:
    """max over the legal actions (bool [B, A]) of q [B, A]: what q_learning bootstraps with."""
    found: np.ndarray = np.where(legal, q, -np.inf).max(1)
    return found


class TDControl(ABC):
    """epsilon-greedy on Q [N, S, A]; its heirs say what the next state is worth."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete",), observations=("discrete",), rows="independent"
    )

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        num_envs: int,
        device: torch.device,
        seed: int,
        *,
        hidden: list[int] | None,
        init: float,
        gamma: float,
        lr: float,
        epsilon: Schedule,
        eval_epsilon: float,
    ) -> None:
        assert isinstance(observation_space, Discrete) and isinstance(action_space, Discrete)
        self.states, self.actions = int(observation_space.n), int(action_space.n)
        self.gamma, self.lr, self.epsilon, self.eval_epsilon = gamma, lr, epsilon, eval_epsilon
        self.q: RowTables | RowNets
        if hidden is None:
            self.q = RowTables(num_envs, self.states, self.actions, init)
        else:
            self.q = RowNets(num_envs, self.states, self.actions, hidden, init, device)
        self.legal = LegalMoves(self.states, self.actions)
        self.rng = np.random.default_rng(seed)
        self.rows = np.arange(num_envs)
        self.moves = 0  # of each learner
        self.episodes = np.zeros(num_envs, dtype=np.int64)
        self.latest: Transition | None = None

    def epsilons(self) -> np.ndarray:
        """Each learner's probability of a random action, by its own moves and episodes: [N]."""
        counts, index = np.unique(self.episodes, return_inverse=True)
        return np.array([self.epsilon.value(self.moves, int(c)) for c in counts])[index]

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        obs = numbers(obs)
        if self.q.rows != len(self.rows):  # weights of another number of learners
            self.q.load(self.q.state_dict(), self.rows % self.q.rows)
        self.legal.meet(obs, legal)
        allowed = self.legal.of(obs, legal)
        q = np.where(allowed, self.q.values(self.rows, obs), -np.inf)
        top = random_actions(self.rng, len(obs), self.actions, q == q.max(1, keepdims=True))
        explore = self.rng.random(len(obs)) < self.epsilons()
        return np.where(explore, random_actions(self.rng, len(obs), self.actions, allowed), top)

    def observe(self, t: Transition) -> None:
        self.latest = t

    def learn(self, clock: Clock) -> Metrics | None:
        """One update a move of each learner."""
        t, self.latest = self.latest, None
        if t is None:
            return None
        errors, values = self.updates(t)
        self.moves += 1
        self.episodes[t.rows] += t.ended
        if not len(errors):
            return None
        return {
            "loss/td": float(np.square(errors).mean()),
            "train/td_error": float(np.abs(errors).mean()),
            "train/q": float(values.mean()),
        }

    @abstractmethod
    def updates(self, t: Transition) -> tuple[np.ndarray, np.ndarray]:
        """Learn from a move of each row; (errors, values before the steps) of all updates made."""

    def step(
        self, rows: np.ndarray, obs: np.ndarray, action: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move Q(s, a) [B] towards targets; (errors, values before)."""
        errors = self.q.step(rows, obs, action, target, self.lr)
        return errors, target - errors

    def action_values(self, row: int) -> np.ndarray:
        """Q [S, A] of one learner."""
        return self.q.values(np.full(self.states, row), np.arange(self.states))

    def policy(self, greedy: bool, seed: int) -> RowsPolicy:
        return RowsPolicy(self.q, self.actions, 0.0 if greedy else self.eval_epsilon, seed)

    def metrics(self) -> Metrics:
        return {"train/epsilon": float(self.epsilons().mean())}

    def state_dict(self) -> State:
        return {
            "weights": {"q": self.q.state_dict(), "legal": self.legal.table.copy()},
            "moves": self.moves,
            "episodes": self.episodes.copy(),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state["weights"])
        self.moves, self.episodes = state["moves"], np.array(state["episodes"])
        self.rng.bit_generator.state = state["rng"]

    def load_weights(self, weights: State) -> None:
        self.q.load(weights["q"])
        self.legal.table = np.array(weights["legal"])


class QLearning(TDControl):
    """Off-policy: the next state is worth its best action."""

    def updates(self, t: Transition) -> tuple[np.ndarray, np.ndarray]:
        next_obs = numbers(t.next_obs)
        legal = self.legal.of(next_obs, t.next_action_mask)
        value = best_value(self.q.values(t.rows, next_obs), legal)
        target = td_target(t.reward, t.terminated, value, self.gamma)
        return self.step(t.rows, numbers(t.obs), numbers(t.action), target)
