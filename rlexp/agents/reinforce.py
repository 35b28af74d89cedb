"""REINFORCE: Monte-Carlo policy gradient (Williams 1992; Sutton and Barto 2018, section 13.3),
with a learnt baseline on request (section 13.4).

Departures from the book: an update takes the mean over all moves of `episodes` finished games, by
Adam, and leaves out the factor gamma^t (as is common); returns may be divided by their deviation. A
game cut by a limit is bootstrapped where there is a baseline; without one its return is taken as
it stands.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlexp.agents.on_policy import OnPolicy
from rlexp.agents.returns import discounted
from rlexp.clock import Clock
from rlexp.guard import require_finite
from rlexp.types import Metrics, State, Transition

LEAST = float(np.log(1e-10))


def policy_loss(log_prob: Tensor, weight: Tensor) -> Tensor:
    """-log(max(p, 1e-10)) G, [B]."""
    return -log_prob.clamp(min=LEAST) * weight


class Reinforce(OnPolicy):
    """Learns from whole games, `episodes` at a time."""

    def __init__(
        self,
        *args: Any,
        num_envs: int,
        episodes: int,
        baseline: str,
        normalise_returns: str,
        **others: Any,
    ) -> None:
        self.baseline = baseline == "value"
        self.leave_one_out = baseline == "leave_one_out"
        super().__init__(*args, **others)
        self.episodes, self.normalise_returns = episodes, normalise_returns
        self.games: list[dict[str, list[Any]]] = [{} for _ in range(num_envs)]  # still going on
        # What their last moves led to; kept for a critic, should a game be cut.
        self.next_obs: list[np.ndarray | None] = [None] * num_envs
        self.finished_games: list[dict[str, np.ndarray]] = []
        self.finished_count = 0

    def learnt_parameters(self) -> list[nn.Parameter]:
        if self.baseline:
            return super().learnt_parameters()
        return [*self.net.actor.parameters(), *self.net.policy_head.parameters()]

    def observe(self, t: Transition) -> None:
        super().observe(t)
        reward = self.rewards(t)
        moves: dict[str, Any] = self.pending | {"obs": t.obs, "reward": reward}
        if t.terminated.all() and not any(self.games):
            # Games of one move: no need to take them apart.
            self.finished_games.append(
                moves | {"returns": reward, "total": reward, "opens": t.terminated}
            )
            self.finished_count += len(t.rows)
            return
        for i, row in enumerate(t.rows):
            game = self.games[row]
            for name, values in moves.items():
                game.setdefault(name, []).append(values[i])  # type: ignore[index]
            if self.baseline:
                assert isinstance(t.next_obs, np.ndarray)
                self.next_obs[row] = t.next_obs[i]
            if t.ended[i]:
                self._finish(int(row), bool(t.terminated[i]))

    def truncate(self, rows: np.ndarray) -> None:
        super().truncate(rows)
        for row in rows.tolist():
            if self.baseline and self.next_obs[row] is None:
                # Saved before this was kept: nobody knows what the moves so far led to.
                self.games[row] = {}
            elif self.games[row]:
                self._finish(row, terminated=False)

    def _finish(self, row: int, terminated: bool) -> None:
        self.finished_games.append(self._close(self.games[row], row, terminated))
        self.games[row], self.next_obs[row] = {}, None
        self.finished_count += 1

    def _close(
        self, game: dict[str, list[Any]], row: int, terminated: bool
    ) -> dict[str, np.ndarray]:
        """A finished game's columns [T, …] with its returns."""
        columns = {name: np.stack(values) for name, values in game.items()}
        reward = columns["reward"].astype(np.float64)
        following = self.next_obs[row]
        if following is not None and not terminated:
            reward[-1] += self.gamma * float(self.values(following[None])[0])
        returns = discounted(reward, self.gamma)
        opens = np.arange(len(returns)) == 0
        total = np.full_like(returns, returns[0])
        return columns | {"returns": returns, "total": total, "opens": opens}

    def learn(self, clock: Clock) -> Metrics | None:
        if self.finished_count < self.episodes:
            return None
        names = self.finished_games[0]
        data = {name: np.concatenate([g[name] for g in self.finished_games]) for name in names}
        data["others"] = self._others(data)
        self.finished_games, self.finished_count = [], 0
        self.optimizer.set_lr(self.learning_rate())
        metrics = self._update(data)
        self.standardise(data["obs"])
        return metrics

    def _others(self, data: dict[str, np.ndarray]) -> np.ndarray:
        """Mean return of the update's other games, at each move [B] (Kool et al. 2019)."""
        total, count = float(data["total"][data["opens"]].sum()), self.finished_count
        return np.asarray((total - data["total"]) / max(1, count - 1), dtype=np.float32)

    def weights(self, data: dict[str, np.ndarray]) -> np.ndarray:
        """What each move's log-probability is weighed with, [B]: returns above the baseline."""
        found = data["returns"]
        if self.baseline:
            found = found - data["value"]
        elif self.leave_one_out:
            found = found - data["others"]
        if len(found) == 1:  # its mean subtracted, nothing would be learnt from it
            return np.asarray(found, dtype=np.float32)
        # Divided by a deviation that is rounding error, equal weights would become enormous.
        alike = np.ptp(found) <= 1e-6 * np.abs(found).max()
        if self.normalise_returns == "both":
            found = found - found.mean()
        if self.normalise_returns != "none" and not alike:
            found = found / (found.std() + 1e-8)
        return np.asarray(found, dtype=np.float32)

    def _update(self, data: dict[str, np.ndarray]) -> Metrics:
        if self.baseline and "value" not in data:
            data["value"] = self.values(data["obs"])
        data["weight"] = self.weights(data)
        batch = self.tensors(data)
        size = len(batch["obs"])

        def loss(rows: slice) -> tuple[Tensor, Tensor]:
            part = {name: column[rows] for name, column in batch.items()}
            policy = self.net.policy(part["obs"], part.get("legal"))
            losses = policy_loss(policy.log_prob(part["action"]), part["weight"])
            actor, entropy = losses.sum() / size, policy.entropy().sum() / size
            total, critic = actor - self.entropy_weight() * entropy, torch.zeros(())
            if self.baseline:
                critic = (self.net.values(part["obs"]) - part["returns"]).square().sum() / size
                total = total + self.value_coef * critic
            return total, torch.stack([total, actor, critic, entropy]).detach()

        parts = self.shards.backward(self.parameters, size, loss)
        norm = self.clip()
        names = ("loss/total", "loss/policy", "loss/value", "train/entropy")
        metrics: Metrics = dict(zip(names, torch.stack(parts).sum(0), strict=True))
        metrics["train/grad_norm"] = norm
        require_finite(metrics, data)
        self.optimizer.step()
        self.update_count += 1
        return metrics

    def state_dict(self) -> State:
        going = [{name: np.stack(v) for name, v in game.items()} for game in self.games]
        finished = {"finished": list(self.finished_games), "count": self.finished_count}
        going_on = {"games": going, "next_obs": list(self.next_obs)}
        return super().state_dict() | going_on | finished

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.games = [{name: list(v) for name, v in game.items()} for game in state["games"]]
        self.next_obs = list(state.get("next_obs", [None] * len(self.games)))
        self.finished_games = list(state["finished"])
        self.finished_count = state["count"]
