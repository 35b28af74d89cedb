"""Playing by action values."""

from __future__ import annotations

import numpy as np
import torch

from rlexp.agents.common import as_tensor, numbers, random_actions
from rlexp.networks.q import QNetwork
from rlexp.networks.rows import RowNets, RowTables
from rlexp.types import State, Tree


@torch.no_grad()
def greedy(net: QNetwork, obs: Tree, legal: np.ndarray | None, device: torch.device) -> np.ndarray:
    """The best action of each row [B], legal ones only."""
    q = net(as_tensor(obs, device))
    if legal is not None:
        q = q.masked_fill(~as_tensor(legal, device), -torch.inf)
    best: np.ndarray = q.argmax(1).cpu().numpy()
    return best


class QPolicy:
    """Greedy but for a share `epsilon` of random actions."""

    def __init__(
        self, net: QNetwork, actions: int, epsilon: float, seed: int, device: torch.device
    ) -> None:
        self.net, self.actions, self.epsilon, self.device = net, actions, epsilon, device
        self.rng = np.random.default_rng(seed)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        action = greedy(self.net, obs, legal, self.device)
        if self.epsilon == 0.0:
            return action
        explore = self.rng.random(len(first)) < self.epsilon
        random = random_actions(self.rng, len(first), self.actions, legal)
        return np.where(explore, random, action)

    def state_dict(self) -> State:
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]


class RowsPolicy:
    """Plays learner i (modulo their number) in row i: its best action but for a share `epsilon`."""

    def __init__(self, q: RowTables | RowNets, actions: int, epsilon: float, seed: int) -> None:
        self.q, self.actions, self.epsilon = q, actions, epsilon
        self.rng = np.random.default_rng(seed)

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        obs = numbers(obs)
        q = self.q.values(np.arange(len(obs)) % self.q.rows, obs)
        action: np.ndarray = (q if legal is None else np.where(legal, q, -np.inf)).argmax(1)
        if self.epsilon == 0.0:
            return action
        explore = self.rng.random(len(obs)) < self.epsilon
        random = random_actions(self.rng, len(obs), self.actions, legal)
        return np.where(explore, random, action)
