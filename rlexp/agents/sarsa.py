"""Sarsa (Rummery and Niranjan 1994; Sutton and Barto 2018, section 6.4), one learner a row.

Departures: see td_control.py; the value after a truncated game, where no next action is taken, is
the mean over what the policy would have done.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rlexp.agents.common import numbers
from rlexp.agents.td_control import TDControl, best_value, td_target
from rlexp.types import State, Transition


def policy_value(q: np.ndarray, legal: np.ndarray, epsilon: np.ndarray) -> np.ndarray:
    """Mean of q [B, A] under the epsilon-greedy policy, epsilon [B]: expected Sarsa's value."""
    uniform = np.where(legal, q, 0.0).sum(1) / legal.sum(1)
    found: np.ndarray = (1 - epsilon) * best_value(q, legal) + epsilon * uniform
    return found


class Sarsa(TDControl):
    """On-policy: the next state is worth the action that is really taken there.

    So a move is learnt from once the one after it is known; a game's last one at once.
    """

    def __init__(self, *args: Any, **others: Any) -> None:
        super().__init__(*args, **others)
        self.obs, self.action = np.zeros_like(self.rows), np.zeros_like(self.rows)
        self.reward = np.zeros(len(self.rows))
        self.waiting = np.zeros(len(self.rows), dtype=bool)  # for their next action
        # What the latest moves of all rows led to, and the mask there; None before the first.
        self.next_obs: np.ndarray | None = None
        self.next_mask: np.ndarray | None = None

    def updates(self, t: Transition) -> tuple[np.ndarray, np.ndarray]:
        obs, action, waited = numbers(t.obs), numbers(t.action), self.waiting[t.rows]
        earlier = self._earlier(t.rows[waited], obs[waited], action[waited])
        self.obs[t.rows], self.action[t.rows] = obs, action
        self.reward[t.rows], self.waiting[t.rows] = t.reward, ~t.ended
        self.next_obs, self.next_mask = numbers(t.next_obs), t.next_action_mask
        last = self._last(t.rows[t.ended], t.terminated[t.ended])
        return np.concatenate([earlier[0], last[0]]), np.concatenate([earlier[1], last[1]])

    def truncate(self, rows: np.ndarray) -> None:
        """Learn from the last moves of games that were cut: no next move is taken there."""
        rows = rows[self.waiting[rows]]
        self._last(rows, np.zeros(len(rows), dtype=bool))
        self.waiting[rows] = False

    def _earlier(
        self, rows: np.ndarray, next_obs: np.ndarray, next_action: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        value = self.q.values(rows, next_obs)[np.arange(len(rows)), next_action]
        target = self.reward[rows] + self.gamma * value
        return self.step(rows, self.obs[rows], self.action[rows], target)

    def _last(self, rows: np.ndarray, terminated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of games that ended: nothing follows, or what the policy would have done does."""
        if self.next_obs is None or not len(rows):
            return np.zeros(0), np.zeros(0)
        next_obs = self.next_obs[rows]
        mask = None if self.next_mask is None else self.next_mask[rows]
        q, legal = self.q.values(rows, next_obs), self.legal.of(next_obs, mask)
        value = policy_value(q, legal, self.epsilons()[rows])
        target = td_target(self.reward[rows], terminated, value, self.gamma)
        return self.step(rows, self.obs[rows], self.action[rows], target)

    def state_dict(self) -> State:
        pending = (self.obs, self.action, self.reward, self.waiting)
        following = {"next_obs": self.next_obs, "next_mask": self.next_mask}
        return super().state_dict() | {"pending": [part.copy() for part in pending]} | following

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        parts = [np.array(part) for part in state["pending"]]
        self.obs, self.action, self.reward, self.waiting = parts
        self.next_obs, self.next_mask = state.get("next_obs"), state.get("next_mask")
