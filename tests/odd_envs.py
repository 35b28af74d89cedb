"""A Gymnasium environment that misbehaves as it is told to."""

from __future__ import annotations

import os
import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

PICTURE = Box(0, 255, (8, 9, 3), np.uint8)


class Odd(gymnasium.Env):
    """Five steps an episode; every keyword but the spaces replaces one thing that is returned.

    `reuse`: observations, rewards and images are always the same arrays, overwritten with 77
    before each is filled again: what was handed over before then holds something wrong.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        obs: Any = None,
        actions: Any = None,
        render_mode: str | None = None,
        reuse: bool = False,
        render: Any = "image",
        reset: Any = None,
        step: Any = None,
        close: Any = None,
        metadata: Any = None,
        modes: Any = None,
        at: int = 1,
    ) -> None:
        assert modes is None or render_mode in modes, render_mode
        if metadata is not None:
            self.metadata = metadata.get("metadata")
        self.observation_space = Box(-100, 100, (2,), np.float32) if obs is None else obs
        self.action_space = Discrete(2) if actions is None else actions
        self.render_mode, self.reuse, self.shown = render_mode, reuse, render
        self.on_reset, self.on_step, self.on_close, self.at = reset, step, close, at
        self.moves = self.total = 0
        self.taken: list[Any] = []
        space = self.observation_space
        self.buffer = np.zeros(space.shape, space.dtype) if isinstance(space, Box) else None
        self.canvas = np.zeros((8, 9, 3), np.uint8)
        self.paid = np.zeros((), np.float32)

    def _obs(self) -> Any:
        if not self.reuse or self.buffer is None:
            self.observation_space.seed(self.moves)
            return self.observation_space.sample()
        self.buffer[...] = 77
        self.buffer[...] = self.moves
        return self.buffer

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.moves = 0
        self.canvas[...] = 0
        obs = self._obs()
        return (obs, {}) if self.on_reset is None else self.on_reset(obs)

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), (self.action_space, action)
        if isinstance(action, np.ndarray) and self.reuse:
            self.taken.append(action.copy())
            action[...] = 0
        self.moves, self.total = self.moves + 1, self.total + 1
        self.paid[...] = self.moves
        obs = self._obs()
        info = {"array": self.canvas, "moves": self.paid if self.reuse else self.moves}
        result = (obs, self.paid if self.reuse else 1.0, self.moves == 5, False, info)
        if self.on_step is None or self.total < self.at:
            return result
        return self.on_step(*result)

    def render(self) -> Any:
        if callable(self.shown):
            return self.shown(self.moves)
        self.canvas[...] = 77
        self.canvas[...] = self.moves
        return self.canvas

    def close(self) -> None:
        if self.on_close is not None:
            self.on_close()


class Ends(Odd):
    """Ends Python at its third step, as `how` says; by id, so that processes can make it."""

    def __init__(self, how: str, at: int = 3, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.how, self.last = how, at

    def step(self, action: Any) -> Any:
        result = super().step(action)
        if self.total >= self.last:
            if self.how == "exit":
                sys.exit(0)
            if self.how == "interrupt":
                raise KeyboardInterrupt
            if self.how == "os._exit":
                os._exit(0)
            raise TwoWords("a", "b")
        return result


class TwoWords(Exception):
    """Can be pickled, but not made again from what was pickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


gymnasium.register("Odd-v0", entry_point=Odd)
gymnasium.register("Ends-v0", entry_point=Ends)
