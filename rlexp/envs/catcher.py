"""Catcher: a paddle at the bottom catches fruit that falls, as in the PyGame Learning Environment.

The rules, the order of a step and the picture are those of PLE's game (Urtans and Tasfi 2016, MIT),
written anew for a batch of games; it needs no pygame. One step:

1. a fruit that had reached the bottom costs a life and 1, and a new one falls;
2. a fruit that overlaps the paddle pays 1, and a new one falls;
3. the paddle moves: v = 0.9 (v + acceleration of the action), stopped by the walls;
4. the fruit falls;
5. if no life is left the game is over and 5 more are lost: the last miss costs 6.

A quirk of the original is kept: rectangles collide as if their positions were centres and are drawn
as if they were corners, so the picture is half a sprite right of and below the rules.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from rlexp.envs.base import BatchEnv
from rlexp.errors import UserError
from rlexp.types import SOLO, EnvSpec, State, Tick, Tree

WHITE, FRUIT = (255, 255, 255), (255, 120, 120)
DRAG, LAST_MISS = 0.9, 5.0
SHOWN = 256  # pixels across of a picture for people


def rnd(x: np.ndarray) -> np.ndarray:
    """The nearest whole number, halves away from zero: 25.5 → 26, -7.5 → -8."""
    return (np.sign(x) * np.floor(np.abs(x) + 0.5)).astype(np.int64)


class Catcher(BatchEnv):
    """Actions 0 left, 1 right, 2 stay. Observations are pictures or, `observation` "state", [N, 5].

    The state: paddle x and fruit x (both as 2 x / size - 1), velocity (in units of the highest),
    fruit y (1 below the bottom, negative above the top), lives (1 all, -1 none).
    """

    reuses_obs = False  # each step makes new pictures

    def __init__(
        self,
        num_envs: int,
        size: int,
        lives: int,
        fps: int,
        observation: str,
        resize: list[int] | None,
        gray: bool,
        stack: int,
        carry_stack: bool,
        max_steps: int | None,
    ) -> None:
        self.size, self.all_lives = size, lives
        self.fruit = round(0.06 * size)
        self.paddle, self.thick = round(0.2 * size), round(0.04 * size)
        self.top = size - self.thick - 3
        self.acceleration, self.fall = 0.021 * size, 0.00095 * size * 1000 / fps
        self._check(fps)
        self.pixels = observation == "pixels"
        space: Space[Any] = Box(-1.0, 1.0, (5,), np.float32)
        if self.pixels:
            self.screen = Screen(size, resize, gray)
            self.stack = stack
            channels, height, width = self.screen.shape
            self.depth = channels
            space = Box(0, 255, (channels * stack, height, width), np.uint8)
        self.carry_stack = carry_stack
        # Stacks that reach into another game can't be rebuilt: a buffer has to store them whole.
        frames = stack if self.pixels and not carry_stack else 1
        spec = EnvSpec({SOLO: space}, {SOLO: Discrete(3)}, num_envs, frame_stack=frames, fps=fps)
        super().__init__(spec, max_steps)
        self.x, self.fruit_x, self.fruit_y = np.zeros((3, num_envs), dtype=np.int64)
        self.velocity = np.zeros(num_envs)
        self.lives = np.zeros(num_envs, dtype=np.int64)
        if self.pixels:
            shape = (num_envs, channels * stack, height, width)
            self.pictures = np.zeros(shape, dtype=np.uint8)

    def _check(self, fps: int) -> None:
        if min(self.fruit, self.thick) < 1:
            raise UserError(f"env.size={self.size} is too small for paddle and fruit: 13 at least")
        if self.fall < 0.5:
            raise UserError(
                f"env.size={self.size} env.fps={fps}: the fruit would fall {self.fall:.2f} pixels "
                "a frame, which rounds to none. Write a larger env.size or a smaller env.fps."
            )

    def start(self, seed: int) -> Tick:
        self.begun = False
        tick = super().start(seed)
        self.begun = True
        return tick

    def reset_rows(self, rows: np.ndarray) -> None:
        self.velocity[rows] = 0.0
        self.x[rows] = rnd(np.array(self.size / 2 - self.paddle / 2))
        self.lives[rows] = self.all_lives
        self._new_fruit(rows)
        if self.pixels:
            first = self.screen.draw(*self._rectangles(rows))
            stacks = np.tile(first, (1, self.stack, 1, 1))
            if self.carry_stack and self.begun:
                stacks = np.concatenate([self.pictures[rows, self.depth :], first], axis=1)
            # A fresh array: the one before it holds the last observations of the games that ended.
            self.pictures = self.pictures.copy()
            self.pictures[rows] = stacks

    def _new_fruit(self, rows: np.ndarray) -> None:
        f = self.fruit
        across = range(2 * f, self.size - 2 * f, f)
        above = range(f, self.size // 2, f)
        self.fruit_x[rows] = across.start + f * self.rng.integers(len(across), size=len(rows))
        self.fruit_y[rows] = -(above.start + f * self.rng.integers(len(above), size=len(rows)))

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        missed = self.fruit_y >= self.size
        self.lives -= missed
        self._new_fruit(np.flatnonzero(missed))
        caught = self._overlap()
        self._new_fruit(np.flatnonzero(caught))
        push = self.acceleration * ((actions == 1) * 1.0 - (actions == 0))
        self.velocity = (self.velocity + push) * DRAG
        x = self.x + self.velocity
        right = self.size - self.paddle
        self.velocity = np.where((x <= 0) | (x >= right), 0.0, self.velocity)
        self.x = rnd(np.clip(x, 0, right))
        self.fruit_y = rnd(self.fruit_y + self.fall)
        over = self.lives == 0
        if self.pixels:
            newest = self.screen.draw(*self._rectangles())
            self.pictures = np.concatenate([self.pictures[:, self.depth :], newest], axis=1)
        return caught - 1.0 * missed - LAST_MISS * over, over, {}

    def _overlap(self) -> np.ndarray:
        """bool [N]: fruit and paddle share more than an edge."""
        left, top = self.fruit_x - self.fruit // 2, self.fruit_y - self.fruit // 2
        paddle_left, paddle_top = self.x - self.paddle // 2, self.top - self.thick // 2
        return (
            (left < paddle_left + self.paddle)
            & (left + self.fruit > paddle_left)
            & (top < paddle_top + self.thick)
            & (top + self.fruit > paddle_top)
        )

    def _rectangles(self, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Paddle and fruit as drawn, each [N, 4]: left, top, right, bottom."""
        x, fx, fy = self.x[rows], self.fruit_x[rows], self.fruit_y[rows]
        top = np.full_like(x, self.top)
        paddle = np.stack([x, top, x + self.paddle, top + self.thick], axis=1)
        return paddle, np.stack([fx, fy, fx + self.fruit, fy + self.fruit], axis=1)

    def observe_rows(self) -> Tree:
        if self.pixels:
            return self.pictures  # never written to again
        highest = self.acceleration * DRAG / (1 - DRAG)
        lowest = self.size + rnd(np.array(self.fall))  # where the fruit is when it has been missed
        parts = [
            2 * self.x / self.size - 1,
            2 * self.fruit_x / self.size - 1,
            self.velocity / highest,
            self.fruit_y / lowest,
            2 * self.lives / self.all_lives - 1,
        ]
        return np.stack(parts, axis=1).astype(np.float32)

    def game_state(self) -> State:
        names = ["x", "fruit_x", "fruit_y", "velocity", "lives"]
        names += ["pictures"] if self.pixels else []
        return {name: getattr(self, name).copy() for name in names}

    def load_game_state(self, state: State) -> None:
        for name, value in state.items():
            setattr(self, name, np.array(value))

    def render(self, row: int) -> np.ndarray:
        picture = np.zeros((self.size, self.size, 3), dtype=np.uint8)
        for (box,), colour in zip(self._rectangles(np.array([row])), (WHITE, FRUIT), strict=True):
            left, top, right, bottom = np.clip(box, 0, self.size)
            picture[top:bottom, left:right] = colour
        times = max(1, SHOWN // self.size)
        return picture.repeat(times, axis=0).repeat(times, axis=1)


class Screen:
    """Draws many games at once: the square picture of each, made gray and resized, [N, C, H, W].

    Resizing is linear and works on each axis by itself, so the resized picture of a rectangle is
    the product of two resized profiles, one across and one down. A picture is the paddle's, plus
    the fruit's, less the paddle where the fruit covers it: a rectangle as well. It is within one
    level of what OpenCV makes of the picture, which rounds between the axes.
    """

    def __init__(self, size: int, resize: list[int] | None, gray: bool) -> None:
        height, width = resize or (size, size)
        self.size = size
        colours = np.array([[WHITE, FRUIT]], dtype=np.uint8)
        if gray:
            colours = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)[..., None]
        self.paddle, self.fruit = colours[0].astype(np.float32)  # [C]
        how = cv2.INTER_AREA if height * width < size * size else cv2.INTER_LINEAR
        self.across, self.down = _sums(size, width, how), _sums(size, height, how)
        self.shape = len(self.paddle), height, width

    def draw(self, paddle: np.ndarray, fruit: np.ndarray) -> np.ndarray:
        """Rectangles [N, 4] → pictures uint8 [N, C, H, W]."""
        covered = np.concatenate(
            [np.maximum(paddle, fruit)[:, :2], np.minimum(paddle, fruit)[:, 2:]], axis=1
        )
        boxes = np.clip(np.stack([paddle, fruit, covered], axis=1), 0, self.size)  # [N, 3, 4]
        ends = np.maximum(boxes[..., 2:], boxes[..., :2])  # an empty rectangle stays empty
        across = self.across[ends[..., 0]] - self.across[boxes[..., 0]]  # [N, 3, W]
        down = self.down[ends[..., 1]] - self.down[boxes[..., 1]]  # [N, 3, H]
        levels = np.stack([self.paddle, self.fruit, -self.paddle], axis=1)  # [C, 3]
        # [N, C, H, 3] @ [N, 1, 3, W]
        drawn = (down.swapaxes(1, 2)[:, None] * levels[:, None]) @ across[:, None]
        return (drawn + 0.5).astype(np.uint8)


def _sums(size: int, to: int, how: int) -> np.ndarray:
    """[size + 1, to]: entry k is the resized profile of the first k pixels of a line."""
    profiles = cv2.resize(np.eye(size, dtype=np.float32), (to, size), interpolation=how)
    sums = np.cumsum(profiles, axis=0, dtype=np.float64)
    return np.concatenate([np.zeros((1, to)), sums]).astype(np.float32)
