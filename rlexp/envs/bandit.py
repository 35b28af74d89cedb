"""The multi-armed bandit: every row is a simulation of its own, a game is `horizon` pulls."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box, Discrete

from rlexp.envs.base import BatchEnv
from rlexp.errors import UserError
from rlexp.types import SOLO, EnvSpec, State, Tree


class Bandit(BatchEnv):
    """Arm k pays 1 with probability `arms[k]`. There is nothing to see: observations are 0.

    info["regret"] is what the best arm pays on average above the one that was pulled.
    """

    reuses_obs = False  # nothing is ever written to what is observed

    def __init__(self, arms: list[float], num_envs: int, horizon: int) -> None:
        bad = [p for p in arms if not 0 <= p <= 1]
        if bad:
            raise UserError(f"env.arms: {bad[0]:g} is no probability: arms pay with 0 to 1")
        if len(arms) < 2:
            raise UserError(f"env.arms={arms} must name two arms or more")
        space = Box(0.0, 1.0, (1,), np.float32)  # Gymnasium frowns on a box of one point
        super().__init__(EnvSpec({SOLO: space}, {SOLO: Discrete(len(arms))}, num_envs))
        self.arms, self.horizon = np.asarray(arms, dtype=np.float64), horizon
        self.pulls = np.zeros(num_envs, dtype=np.int64)
        self.nothing = np.zeros((num_envs, 1), dtype=np.float32)

    def reset_rows(self, rows: np.ndarray) -> None:
        self.pulls[rows] = 0

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        chance = self.arms[actions]
        reward = (self.rng.random(len(actions)) < chance).astype(np.float32)
        self.pulls += 1
        return reward, self.pulls >= self.horizon, {"regret": self.arms.max() - chance}

    def observe_rows(self) -> Tree:
        return self.nothing

    def game_state(self) -> State:
        return {"pulls": self.pulls.copy()}

    def load_game_state(self, state: State) -> None:
        self.pulls = np.array(state["pulls"])
