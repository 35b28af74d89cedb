"""Tiny environments whose every number is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from rlexp.agents.dqn import DQN
from rlexp.buffers.base import Storage
from rlexp.buffers.frames import FrameBuffer
from rlexp.buffers.replay import ReplayBuffer
from rlexp.envs.base import BatchEnv, is_image
from rlexp.schedules import Schedule
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


class PixelCorridor(Corridor):
    """The corridor as pictures of 36x36, the last two of them stacked."""

    def __init__(self, num_envs: int = 1, max_steps: int | None = 30) -> None:
        super().__init__(num_envs, max_steps)
        box = Box(0, 255, (2, 36, 36), np.uint8)
        self.spec = EnvSpec({SOLO: box}, {SOLO: Discrete(2)}, num_envs, frame_stack=2)
        self.before = np.zeros(num_envs, dtype=np.int64)

    def reset_rows(self, rows: np.ndarray) -> None:
        super().reset_rows(rows)
        self.before[rows] = 0

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        self.before = self.cell
        return super().step_rows(actions)

    def observe_rows(self) -> Tree:
        pictures = np.zeros((len(self.cell), 2, 36, 36), dtype=np.uint8)
        for i, cells in enumerate((self.before, self.cell)):
            for row, cell in enumerate(cells):
                pictures[row, i, :, 7 * cell : 7 * cell + 7] = 255
        return pictures

    def game_state(self) -> State:
        return {"cell": self.cell.copy(), "before": self.before.copy()}

    def load_game_state(self, state: State) -> None:
        self.cell, self.before = np.array(state["cell"]), np.array(state["before"])


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


class DrawnGame(CountingGame):
    """The same, drawn: every pixel is the move."""

    def render(self) -> np.ndarray:  # type: ignore[override]
        return np.full((2, 2, 3), self.move, dtype=np.uint8)


def counting_spec(num_envs: int) -> EnvSpec:
    box = Box(-np.inf, np.inf, (2,), np.float32)
    return EnvSpec({SOLO: box}, {SOLO: Discrete(2)}, num_envs, resume="replay")


def epsilon(**changes: Any) -> Schedule:
    values = {
        "kind": "linear", "start": 1.0, "end": 0.1, "unit": "step",
        "delay": 0, "length": 500, "decay": 0.99,
    }  # fmt: skip
    return Schedule(**(values | changes))


def dqn(
    env: BatchEnv, shards: int = 1, buffer: dict[str, Any] | None = None, **changes: Any
) -> DQN:
    """A small learner for one of the tiny environments; the same weights every time.

    `buffer`: the keys of its buffer.
    """
    torch.manual_seed(0)
    values: dict[str, Any] = {
        "double": False, "dueling": False, "hidden": [32], "padding": "valid",
        "pixels": "scaled", "init": "default",
        "standardise": None, "weight_decay": 0.0, "normalise_reward": False,
        "gamma": 0.9, "n_step": 1,
        "lr": 3e-3, "lr_decay": None, "adam_eps": 1e-8, "loss": "huber", "batch_size": 32,
        "learning_starts": 50, "train_every": 1, "updates": 1, "target_every": 50,
        "target_tau": 1.0, "random_target": False, "clip_norm": None, "clip_value": None,
        "epsilon": epsilon(), "eval_epsilon": 0.05,
    }  # fmt: skip
    space, actions = env.spec.observation_spaces[SOLO], env.spec.action_spaces[SOLO]
    kind = FrameBuffer if is_image(space) else ReplayBuffer
    kept: Any = kind(5000, env.spec, SOLO, Storage(), **(buffer or {}))
    device = torch.device("cpu")
    changed = values | changes
    return DQN(space, actions, kept, device, shards, 1, **changed)


def learnt(overrides: list[str]) -> tuple[Any, Any]:
    """(agent, environment) after the training of `rlexp train OVERRIDES`; leaves no files."""
    team, env = trained_team(overrides)
    return team.agent, env


def trained_team(overrides: list[str]) -> tuple[Any, Any]:
    """The same with the team."""
    from rlexp import build, compose
    from rlexp.clock import Clock
    from rlexp.loop import train
    from rlexp.seeds import derive

    config = compose(["device=cpu", "device.threads=1", *overrides]).config
    env = build.env(config.env)
    team: Any = build.team(config, build.plan(config, env.spec))
    clock = Clock(config.total_steps, config.total_episodes)
    for _ in train(team, env, clock, derive(config.seed, "env")):
        pass
    return team, env
