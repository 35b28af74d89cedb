"""Tiny environments whose every number is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from rlexp.envs.base import BatchEnv
from rlexp.types import SOLO, EnvSpec, State, Tree


class Corridor(BatchEnv):
    """Cells 0..4, start in 0; 1 walks right, 0 left; +1 and the end in cell 4, -0.1 a step."""

    def __init__(self, num_envs: int = 1, max_steps: int | None = 30) -> None:
        spec = EnvSpec({SOLO: Box(0.0, 1.0, (5,), np.float32)}, {SOLO: Discrete(2)}, num_envs)
        super().__init__(spec, max_steps)
        self.cell = np.zeros(num_envs, dtype=np.int64)

    def reset_rows(self, rows: np.ndarray) -> None:
        self.cell[rows] = 0

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        self.cell = np.clip(self.cell + np.where(actions == 1, 1, -1), 0, 4)
        end = self.cell == 4
        return np.where(end, 1.0, -0.1), end, {"is_success": end.astype(float)}

    def observe_rows(self) -> Tree:
        return np.eye(5, dtype=np.float32)[self.cell]

    def game_state(self) -> State:
        return {"cell": self.cell.copy()}

    def load_game_state(self, state: State) -> None:
        self.cell = np.array(state["cell"])


class CountingGame:
    """A Game whose picture tells which game and which move it is: (game number, move)."""

    def __init__(self, low: int = 1, high: int = 6) -> None:
        self.low, self.high = low, high
        self.rng = np.random.default_rng(0)
        self.number, self.move, self.length = 0, 0, 0

    def seed(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def reset(self) -> np.ndarray:
        self.number = int(self.rng.integers(1 << 20))
        self.move, self.length = 0, int(self.rng.integers(self.low, self.high))
        return self._see()

    def _see(self) -> np.ndarray:
        return np.array([self.number, self.move], dtype=np.float32)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, float]]:
        self.move += 1
        ended = self.move >= self.length
        terminated = ended and self.length % 2 == 0
        return self._see(), float(self.move), terminated, ended and not terminated, {}

    def rng_state(self) -> State:
        return {"rng": self.rng.bit_generator.state}

    def set_rng_state(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]

    def render(self) -> None:
        return None

    def close(self) -> None:
        pass


def counting_spec(num_envs: int) -> EnvSpec:
    box = Box(-np.inf, np.inf, (2,), np.float32)
    return EnvSpec({SOLO: box}, {SOLO: Discrete(2)}, num_envs, resume="replay")
