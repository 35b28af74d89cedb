"""CartPole as one numpy batch: Gymnasium's rules (Barto, Sutton and Anderson 1983), step for step.

Rewards, limits and starts are Gymnasium's CartPole-v0 (200 steps) and -v1 (500); a test holds this
file against it.
"""

from __future__ import annotations

import cv2
import numpy as np
from gymnasium.spaces import Box, Discrete

from rlexp.envs.base import BatchEnv
from rlexp.types import SOLO, EnvSpec, State, Tree

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
MASS, POLE_LENGTH = CART + POLE, POLE * HALF_LENGTH
X_LIMIT, ANGLE_LIMIT = 2.4, 12 * 2 * np.pi / 360


class CartPole(BatchEnv):
    """State [N, 4]: position (m), velocity (m/s), pole angle (rad), angular velocity (rad/s)."""

    def __init__(self, num_envs: int, max_steps: int) -> None:
        high = np.array([X_LIMIT * 2, np.inf, ANGLE_LIMIT * 2, np.inf], dtype=np.float32)
        spec = EnvSpec(
            {SOLO: Box(-high, high)}, {SOLO: Discrete(2)}, num_envs, random_starts_only=True, fps=50
        )
        super().__init__(spec, max_steps)
        self.state = np.zeros((num_envs, 4))

    def reset_rows(self, rows: np.ndarray) -> None:
        self.state[rows] = self.rng.uniform(-0.05, 0.05, size=(len(rows), 4))

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        x, x_dot, angle, angle_dot = self.state.T
        force = np.where(actions == 1, FORCE, -FORCE)
        cos, sin = np.cos(angle), np.sin(angle)
        pull = (force + POLE_LENGTH * np.square(angle_dot) * sin) / MASS
        turn = (GRAVITY * sin - cos * pull) / (
            HALF_LENGTH * (4.0 / 3.0 - POLE * np.square(cos) / MASS)
        )
        push = pull - POLE_LENGTH * turn * cos / MASS
        self.state = np.stack(
            [x + TAU * x_dot, x_dot + TAU * push, angle + TAU * angle_dot, angle_dot + TAU * turn],
            axis=1,
        )
        terminated = (np.abs(self.state[:, 0]) > X_LIMIT) | (np.abs(self.state[:, 2]) > ANGLE_LIMIT)
        return np.ones(len(force)), terminated, {}

    def observe_rows(self) -> Tree:
        return self.state.astype(np.float32)

    def game_state(self) -> State:
        return {"state": self.state.copy()}

    def load_game_state(self, state: State) -> None:
        self.state = np.array(state["state"])

    def render(self, row: int) -> np.ndarray:
        return draw(self.state[row])


def draw(state: np.ndarray, width: int = 300, height: int = 200) -> np.ndarray:
    """A picture [height, width, 3] of one state [4]."""
    picture = np.full((height, width, 3), 255, dtype=np.uint8)
    scale = width / (2 * X_LIMIT)
    ground = int(height * 0.75)
    x = int(round(width / 2 + state[0] * scale))
    cv2.line(picture, (0, ground), (width, ground), (60, 60, 60), 1, cv2.LINE_AA)
    cart = (x - 13, ground - 16), (x + 13, ground - 2)
    cv2.rectangle(picture, *cart, color=(40, 40, 40), thickness=-1)
    length = scale * 2 * HALF_LENGTH
    top = ground - 12
    tip = (int(round(x + length * np.sin(state[2]))), int(round(top - length * np.cos(state[2]))))
    cv2.line(picture, (x, top), tip, (202, 152, 101), 6, cv2.LINE_AA)
    cv2.circle(picture, (x, top), 3, (129, 132, 203), -1, cv2.LINE_AA)
    return picture
