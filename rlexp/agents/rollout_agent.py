"""Agents that play a fixed number of moves, learn from them, and forget them: A2C, PPO."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from torch import Tensor

from rlexp.agents.on_policy import OnPolicy
from rlexp.agents.returns import gae
from rlexp.agents.rollout import Rollout
from rlexp.clock import Clock
from rlexp.types import Metrics, State, Transition


class RolloutAgent(OnPolicy, ABC):
    """Plays `rollout_steps` moves in every row before each update."""

    def __init__(
        self,
        *args: Any,
        rollout_steps: int,
        gae_lambda: float,
        normalise_advantage: bool,
        **others: Any,
    ) -> None:
        super().__init__(*args, **others)
        self.gae_lambda, self.normalise_advantage = gae_lambda, normalise_advantage
        self.rollout = Rollout(rollout_steps)
        self.next_obs: np.ndarray | None = None  # of the last step

    def observe(self, t: Transition) -> None:
        assert isinstance(t.obs, np.ndarray) and isinstance(t.next_obs, np.ndarray)
        super().observe(t)
        self.next_obs = t.next_obs
        last = len(self.rollout) == self.rollout.steps - 1
        self.rollout.add(
            **self.pending,
            obs=t.obs,
            reward=self.rewards(t),
            terminated=t.terminated,
            ended=t.ended,
            # Of the true successor, where the next move's own value will not do.
            next_value=self._next_values(t, t.ended | last),
        )

    def truncate(self, rows: np.ndarray) -> None:
        super().truncate(rows)
        if not len(self.rollout):
            return
        rows = rows[~self.rollout.columns["ended"][-1][rows]]
        if not len(rows):
            return
        if self.next_obs is None:
            # Saved before this was kept: nobody knows what the steps so far led to.
            self.rollout.take()
            return
        self.rollout.truncate(rows, self.values(self.next_obs[rows]))

    def _next_values(self, t: Transition, wanted: np.ndarray) -> np.ndarray:
        """V(next_obs) [N] of the wanted rows that did not terminate; NaN in the others."""
        values = np.full(len(t.rows), np.nan, dtype=np.float32)
        rows = np.flatnonzero(wanted & ~t.terminated)
        if len(rows):
            assert isinstance(t.next_obs, np.ndarray)
            values[rows] = self.values(t.next_obs[rows])
        return values

    def take_rollout(self) -> dict[str, np.ndarray]:
        """The rollout with "advantage" and "returns" [T, N]."""
        data = self.rollout.take()
        if "value" not in data:
            obs = data["obs"]
            data["value"] = self.values(obs.reshape(-1, *obs.shape[2:])).reshape(obs.shape[:2])
        value, next_value = data["value"], data["next_value"]
        following = np.concatenate([value[1:], value[-1:]])
        # Terminated entries stay NaN here; gae() does not look at them.
        next_value = np.where(np.isnan(next_value) & ~data["terminated"], following, next_value)
        data["advantage"] = gae(
            data["reward"], value, next_value, data["terminated"], data["ended"],
            self.gamma, self.gae_lambda,
        )  # fmt: skip
        data["returns"] = data["advantage"] + value
        return data

    def flat(self, data: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """[T, N, …] → tensors [T * N, …]."""
        return self.tensors({k: v.reshape(-1, *v.shape[2:]) for k, v in data.items()})

    def learn(self, clock: Clock) -> Metrics | None:
        if not self.rollout.full:
            return None
        data = self.take_rollout()
        self.optimizer.set_lr(self.learning_rate())
        metrics = self.update(data)
        self.standardise(data["obs"].reshape(-1, *data["obs"].shape[2:]))
        return metrics

    @abstractmethod
    def update(self, data: dict[str, np.ndarray]) -> Metrics:
        """One or more gradient steps on a rollout; `data` as take_rollout gives it."""

    def state_dict(self) -> State:
        own = {"rollout": self.rollout.state_dict(), "next_obs": self.next_obs}
        return super().state_dict() | own

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.rollout.load_state_dict(state["rollout"])
        self.next_obs = state.get("next_obs")
