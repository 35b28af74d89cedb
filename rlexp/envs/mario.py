"""Super Mario Bros. on the real game: emulators in threads, pictures as the PyTorch tutorial's.

The emulator releases Python's lock while it computes a frame, so rows step in threads at the same
time, and an agent learns meanwhile. A game is deterministic: given its starting frames without a
button, the actions bring it back.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gym_super_mario_bros.actions import COMPLEX_MOVEMENT, SIMPLE_MOVEMENT
from gym_super_mario_bros.smb_env import SuperMarioBrosEnv
from gymnasium.spaces import Box, Discrete
from nes_py.wrappers import JoypadSpace

from rlexp.envs.vector import RowsEnv
from rlexp.envs.wrappers import Pixels
from rlexp.errors import UserError, did_you_mean
from rlexp.types import SOLO, EnvSpec, State

ACTIONS: dict[str, list[list[str]]] = {
    "right_only": [["right"], ["right", "A"]],
    "simple": SIMPLE_MOVEMENT,
    "complex": COMPLEX_MOVEMENT,
}
STAGES = [f"{world}-{stage}" for world in range(1, 9) for stage in range(1, 5)]
HEIGHT, WIDTH, FPS = 240, 256, 60


def make(
    stage: str,
    actions: str,
    num_envs: int,
    skip: int,
    gray: bool,
    resize: list[int] | None,
    stack: int,
    reward: str,
    reward_scale: float,
    noop_max: int,
    max_steps: int | None,
    threads: int | None,
) -> RowsEnv:
    """`num_envs` games of one stage; info: "x_pos", "time" (the game's clock), "is_success"."""
    if stage not in STAGES:
        raise UserError(f"env.stage={stage} is no stage.{did_you_mean(stage, STAGES)}")
    pixels = partial(Pixels, gray, resize, stack)
    shape = pixels().shape(HEIGHT, WIDTH, 3)
    game = partial(
        MarioGame, stage, ACTIONS[actions], skip, pixels, reward, reward_scale, noop_max, max_steps
    )
    spec = EnvSpec(
        {SOLO: Box(0, 255, shape, np.uint8)},
        {SOLO: Discrete(len(ACTIONS[actions]))},
        num_envs,
        frame_stack=stack,
        resume="replay",
        deterministic=noop_max == 0,
        fps=max(1, FPS // skip),
    )
    return RowsEnv([game] * num_envs, spec, workers=threads)


class Emulator(SuperMarioBrosEnv):  # type: ignore[misc]
    """The game without what is not read: its info has 40 entries, ours four.

    `source` is the reward of the game package's version 7, which the tutorial used: progress, time
    and death alone, clipped a frame.
    """

    source = True

    def _get_reward(self) -> float:
        if not self.source:
            total: float = super()._get_reward()
            return total
        return float(self._progress_reward + self._time_penalty + self._death_penalty)

    def _get_info(self) -> dict[str, Any]:
        return {"x_pos": self._x_position, "time": self._time, "is_success": self._flag_get}


class MarioGame:
    """One game: an action is held for `skip` frames and its rewards are added up."""

    def __init__(
        self,
        stage: str,
        buttons: list[list[str]],
        skip: int,
        pixels: partial[Pixels],
        reward: str,
        reward_scale: float,
        noop_max: int,
        max_steps: int | None,
    ) -> None:
        world, level = stage.split("-")
        self.env = Emulator(target=(int(world), int(level)))
        self.env.source = reward == "source"
        codes = {name: 0x80 >> bit for bit, name in enumerate(JoypadSpace.buttons())}  # NOOP: 0
        self.codes = [sum(codes[b] for b in set(names)) for names in buttons]
        self.skip, self.scale = skip, reward_scale
        self.noop_max, self.max_steps = noop_max, max_steps
        self.pixels = pixels()
        mode = "grayscale" if self.pixels.gray else "rgb_array_contiguous"
        channels = () if self.pixels.gray else (3,)
        self.screen = np.empty((HEIGHT, WIDTH, *channels), dtype=np.uint8)
        self.look = partial(self.env.observation, mode, output=self.screen)
        self.rng = np.random.default_rng(0)
        self.moves = 0

    def seed(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def reset(self) -> np.ndarray:
        self.env.reset()
        self.moves = 0
        if self.noop_max:
            for _ in range(int(self.rng.integers(0, self.noop_max + 1))):
                self.env.step(0)
        return self.pixels.first(self.look())

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, float]]:
        code, total = self.codes[int(action)], 0.0
        for _ in range(self.skip):
            _, reward, terminated, _, info = self.env.step(code)
            total += reward  # the game clips it to -15..15 a frame
            if terminated:
                break
        self.moves += 1
        truncated = self.max_steps is not None and self.moves >= self.max_steps and not terminated
        numbers = {name: float(value) for name, value in info.items()}
        numbers["score"] = total
        return self.pixels.next(self.look()), total * self.scale, terminated, truncated, numbers

    def rng_state(self) -> State:
        return {"noop": self.rng.bit_generator.state}

    def set_rng_state(self, state: State) -> None:
        self.rng.bit_generator.state = state["noop"]

    def render(self) -> np.ndarray:
        return np.ascontiguousarray(self.env.screen)

    def close(self) -> None:
        self.env.close()
