"""Data sets as environments: a row is a sample, a game is one move, the action is the prediction.

Training streams its samples in a fresh random order each epoch, `num_envs` a step: the batch size.
Batches may straddle epochs. Evaluation goes through the held-out samples in order, row r seeing
sample t N + r at tick t, so that as many games as there are samples visit each exactly once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from rlexp.envs import datasets
from rlexp.envs.base import BatchEnv
from rlexp.envs.datasets import Samples
from rlexp.types import SOLO, EnvSpec, State, Tick, Tree


class Supervised(BatchEnv):
    """What both kinds share: which sample each row holds.

    `training` and `test` are the split; `samples` is the one of them that this environment plays.
    """

    def __init__(
        self, training: Samples, test: Samples, actions: Space[Any], num_envs: int, held_out: bool
    ) -> None:
        shape, dtype = training.x.shape[1:], training.x.dtype
        picture = dtype == np.uint8
        low, high = (0, 255) if picture else (-np.inf, np.inf)
        seen = Box(low, high, shape, dtype.type)
        spec = EnvSpec(
            {SOLO: seen},
            {SOLO: actions},
            num_envs,
            random_starts_only=True,
            fps=1,
            offers={SOLO: ("answers",)},
        )
        super().__init__(spec)
        self.training, self.test, self.held_out = training, test, held_out
        self.samples = test if held_out else training
        self.order = np.arange(len(self.samples))
        self.place = 0  # in `order`: the next sample to hand out
        self.current = np.zeros(num_envs, dtype=np.int64)  # sample of each row

    def start(self, seed: int) -> Tick:
        if not self._loaded:
            # Before the first sample, or, where they are shuffled, at an epoch's end.
            self.place = 0 if self.held_out else len(self.order)
        return super().start(seed)

    def reset_rows(self, rows: np.ndarray) -> None:
        drawn: list[np.ndarray] = []
        missing = len(rows)
        while missing:
            if self.place == len(self.order):
                self.place = 0
                if not self.held_out:
                    self.order = self.rng.permutation(len(self.order))
            part = self.order[self.place : self.place + missing]
            self.place += len(part)
            missing -= len(part)
            drawn.append(part)
        self.current[rows] = np.concatenate(drawn)

    def observe_rows(self) -> Tree:
        return self.samples.x[self.current]

    def game_state(self) -> State:
        return {"order": self.order.copy(), "place": self.place, "current": self.current.copy()}

    def load_game_state(self, state: State) -> None:
        self.order, self.place = np.array(state["order"]), state["place"]
        self.current = np.array(state["current"])


class Regression(Supervised):
    """Predict a number [N, 1]; reward is minus the squared error."""

    def __init__(self, training: Samples, test: Samples, num_envs: int, held_out: bool) -> None:
        actions = Box(-np.inf, np.inf, (1,), np.float32)
        super().__init__(training, test, actions, num_envs, held_out)

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        target = self.samples.y[self.current]
        reward = -np.square(actions[:, 0].astype(np.float64) - target)
        return reward, np.ones(len(target), dtype=bool), {"target": target}


class Classification(Supervised):
    """Name the class [N]; reward is 1 for the right one and 0 for any other, as is is_success."""

    def __init__(self, training: Samples, test: Samples, num_envs: int, held_out: bool) -> None:
        classes = int(max(training.y.max(), test.y.max())) + 1
        super().__init__(training, test, Discrete(classes), num_envs, held_out)
        self.answers: np.ndarray | None = None  # to the samples that are shown, once given

    def reset_rows(self, rows: np.ndarray) -> None:
        super().reset_rows(rows)
        self.answers = None

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        target = self.samples.y[self.current]
        right = (actions == target).astype(np.float64)
        self.answers = actions
        return right, np.ones(len(target), dtype=bool), {"target": target, "is_success": right}

    def render(self, row: int) -> np.ndarray | None:
        """The picture enlarged; once it is answered, the answer below, in blue or orange."""
        picture = self.samples.x[self.current[row]]
        if picture.ndim != 3 or picture.shape[0] not in (1, 3):
            return None
        return draw(picture, None if self.answers is None else int(self.answers[row]),
                    int(self.samples.y[self.current[row]]))  # fmt: skip


def draw(picture: np.ndarray, answer: int | None, target: int, size: int = 160) -> np.ndarray:
    """RGB [size + 32, size, 3] of a picture [C, H, W] and what was said of it."""
    large = cv2.resize(picture.transpose(1, 2, 0), (size, size), interpolation=cv2.INTER_NEAREST)
    large = large if large.ndim == 3 else np.repeat(large[..., None], 3, axis=2)
    shown = np.full((size + 32, size, 3), 255, dtype=np.uint8)
    shown[:size] = large
    right = answer == target
    text = "?" if answer is None else f"{answer}" if right else f"{answer}, not {target}"
    colour = (60, 60, 60) if answer is None else (0, 114, 178) if right else (213, 94, 0)
    font, at = cv2.FONT_HERSHEY_SIMPLEX, (8, size + 24)
    cv2.putText(shown, text, at, font, 0.8, colour, 2, cv2.LINE_AA)
    return shown


def line(
    num_envs: int,
    points: int,
    slope: float,
    intercept: float,
    noise: float,
    data_seed: int,
    held_out: bool,
) -> Regression:
    """y = intercept + slope x + U(0, noise), x ~ U(0, 1)."""
    training, test = curve(lambda x: intercept + slope * x, points, noise, data_seed)
    return Regression(training, test, num_envs, held_out)


def sine(
    num_envs: int, points: int, periods: float, noise: float, data_seed: int, held_out: bool
) -> Regression:
    """y = sin(2 pi periods x) + U(0, noise), x ~ U(0, 1)."""
    training, test = curve(lambda x: np.sin(2 * np.pi * periods * x), points, noise, data_seed)
    return Regression(training, test, num_envs, held_out)


def curve(
    function: Callable[[np.ndarray], np.ndarray], points: int, noise: float, seed: int
) -> tuple[Samples, Samples]:
    """(noisy samples of a function at random x, as many of its mean at evenly spaced x).

    The mean, function(x) + noise / 2, is what the best prediction would be: the held-out score is
    the distance to the truth, not to more noise.
    """
    rng = np.random.default_rng(seed)
    x, even = rng.uniform(0, 1, points), np.linspace(0, 1, points)
    noisy = function(x) + rng.uniform(0, noise, points)
    return _column(x, noisy), _column(even, function(even) + noise / 2)


def _column(x: np.ndarray, y: np.ndarray) -> Samples:
    return Samples(x[:, None].astype(np.float32), y.astype(np.float32))


def digits(num_envs: int, held_out_share: float, data_seed: int, held_out: bool) -> Classification:
    """scikit-learn's 8x8 hand-written digits."""
    training, test = datasets.split(datasets.digits(), held_out_share, data_seed)
    return Classification(training, test, num_envs, held_out)


def housing(
    num_envs: int,
    data: str,
    drop: list[str],
    held_out_share: float,
    data_seed: int,
    held_out: bool,
) -> Regression:
    """Boston's house prices, or scikit-learn's diabetes."""
    samples = datasets.housing(data, drop)
    training, test = datasets.split(samples, held_out_share, data_seed)
    return Regression(training, test, num_envs, held_out)
