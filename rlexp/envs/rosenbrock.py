"""Rosenbrock's valley (1960) as a game: see the gradient, step, be paid by how low you are."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from rlexp.envs.base import BatchEnv
from rlexp.types import SOLO, EnvSpec, State, Tree


def rosenbrock(x: Tensor, a: float = 1.0, b: float = 100.0) -> Tensor:
    """f = (a - x0)^2 + b (x1 - x0^2)^2 of points [..., 2]; 0 at (a, a^2), its only minimum."""
    x0, x1 = x[..., 0], x[..., 1]
    return (a - x0).square() + b * (x1 - x0.square()).square()


class Rosenbrock(BatchEnv):
    """Points [N, 2], float64. Observed is the gradient, by autograd; the action is added to x.

    reward = -f(x) after the step; info["x0"] and ["x1"] say where it led. A game never ends by
    itself; all rows begin at `start`.
    """

    def __init__(
        self, num_envs: int, a: float, b: float, start: list[float], max_steps: int | None
    ) -> None:
        plane = Box(-np.inf, np.inf, (2,), np.float64)
        spec = EnvSpec(
            {SOLO: plane}, {SOLO: plane}, num_envs,
            deterministic=True, offers={SOLO: ("gradients",)},
        )  # fmt: skip
        super().__init__(spec, max_steps)
        self.a, self.b = a, b
        self.begin = np.array(start, dtype=np.float64)
        self.x = np.tile(self.begin, (num_envs, 1))
        self._look()

    def _look(self) -> None:
        """Value [N] and gradient [N, 2] where the points are now."""
        x = torch.tensor(self.x, requires_grad=True)
        value = rosenbrock(x, self.a, self.b)
        (gradient,) = torch.autograd.grad(value.sum(), x)
        self.value, self.gradient = value.detach().numpy(), gradient.numpy()

    def reset_rows(self, rows: np.ndarray) -> None:
        self.x[rows] = self.begin
        self._look()

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        self.x = self.x + actions
        self._look()
        info = {"x0": self.x[:, 0].copy(), "x1": self.x[:, 1].copy()}
        return -self.value, np.zeros(len(self.x), dtype=bool), info

    def observe_rows(self) -> Tree:
        return self.gradient.copy()

    def game_state(self) -> State:
        return {"x": self.x.copy()}

    def load_game_state(self, state: State) -> None:
        self.x = np.array(state["x"])
        self._look()

    def render(self, row: int, size: int = 240) -> np.ndarray:
        """RGB [size, size, 3]: the valley, dark where it is low, and the point."""
        low, high = self.window()
        x0, x1 = np.meshgrid(*np.linspace(low, high, size).T)
        value = rosenbrock(torch.tensor(np.stack([x0, x1], -1)), self.a, self.b).numpy()
        height = np.log10(value + 1e-3)
        shade = (height - height.min()) / (height.max() - height.min())
        picture = np.repeat((60 + 195 * shade)[::-1, :, None].astype(np.uint8), 3, axis=2)
        for point, colour in ((self.goal, (0, 158, 115)), (self.x[row], (213, 94, 0))):
            place = (point - low) / (high - low) * (size - 1)
            if np.isfinite(place).all():
                at = np.clip(place, -1e4, 1e4).round().astype(int)
                cv2.circle(picture, (int(at[0]), size - 1 - int(at[1])), 5, colour, -1, cv2.LINE_AA)
        return np.ascontiguousarray(picture)

    @property
    def goal(self) -> np.ndarray:
        """The minimum [2]."""
        return np.array([self.a, self.a**2])

    def window(self) -> tuple[np.ndarray, np.ndarray]:
        """Two corners [2] of a square that holds start and minimum."""
        middle = (self.begin + self.goal) / 2
        half = max(1.5, 0.75 * float(np.abs(self.begin - self.goal).max()))
        return middle - half, middle + half
