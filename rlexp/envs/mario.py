"""Super Mario Bros. on the real game: emulators in threads, pictures as the PyTorch tutorial's.

The emulator releases Python's lock while it computes a frame, so rows step in threads at the same
time, and an agent learns meanwhile. A game is deterministic: given its starting frames without a
button, the actions bring it back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from gym_super_mario_bros.actions import COMPLEX_MOVEMENT, SIMPLE_MOVEMENT
from gym_super_mario_bros.smb_env import SuperMarioBrosEnv
from gymnasium.spaces import Box, Discrete, Space
from nes_py.wrappers import JoypadSpace

from rlexp.envs.mario_tiles import Tiles
from rlexp.envs.retries import Retries
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
# What the game package remembers beside the emulator, to tell what a frame earned.
REWARD_STATE = (
    "_time_last", "_x_position_max", "_score_last", "_coins_last", "_status_last",
    "_completion_rewarded",
)  # fmt: skip


def make(
    stage: str,
    actions: str,
    num_envs: int,
    skip: int,
    observation: str,
    gray: bool,
    crop: list[int],
    resize: list[int] | None,
    stack: int,
    show_action: bool,
    reward: str,
    reward_scale: float,
    noop_max: int,
    retry: float,
    retry_back: list[int],
    max_steps: int | None,
    threads: int | None,
    evaluation: bool = False,
) -> RowsEnv:
    """`num_envs` games of one stage; info: "x_pos", "time" (the game's clock), "is_success".

    For `evaluation`, every game is a whole one: nothing is tried again.
    """
    if stage not in STAGES:
        raise UserError(f"env.stage={stage} is no stage.{did_you_mean(stage, STAGES)}")
    view: Callable[[Emulator], View] = Tiles
    space: Space[Any] = Box(-2, 2, Tiles.shape, np.float32)
    translator = None
    if observation == "pixels":
        pixels = partial(Pixels, gray, resize, stack)
        translator = partial(ScreenTranslator, pixels, crop, len(ACTIONS[actions]), show_action)
        view = partial(Screen, translator)
        space = Box(0, 255, pixels().shape(HEIGHT - sum(crop), WIDTH, 3), np.uint8)
    retries = partial(Retries, 0.0 if evaluation else retry, retry_back)
    game = partial(
        MarioGame, stage, ACTIONS[actions], skip, view, reward, reward_scale, noop_max, max_steps,
        retries,
    )  # fmt: skip
    spec = EnvSpec(
        {SOLO: space},
        {SOLO: Discrete(len(ACTIONS[actions]))},
        num_envs,
        frame_stack=stack if observation == "pixels" else 1,
        resume="replay",
        deterministic=noop_max == 0,
        random_starts_only=True,
        fps=max(1, FPS // skip),
        action_masks=False,
        translator=translator,
    )
    return RowsEnv([game] * num_envs, spec, workers=threads)


class Emulator(SuperMarioBrosEnv):  # type: ignore[misc]
    """The game without what is not read: its info has 40 entries, ours three.

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


class View(Protocol):
    """What is observed of a game. `seen` is whatever `back_to` needs to show a moment again."""

    def first(self) -> np.ndarray: ...
    def next(self, action: int) -> np.ndarray: ...
    def seen(self) -> Any: ...
    def back_to(self, seen: Any) -> np.ndarray: ...


class ScreenTranslator:
    """Translates the game's screen, seen after each action, to the latest frames.

    They leave out `crop` rows above and below. With `show_action`, the last action's number among
    all is a white part of the bar on top.
    """

    def __init__(
        self, pixels: Callable[[], Pixels], crop: list[int], actions: int, show_action: bool
    ) -> None:
        self.observation_space: Space[Any] = Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self.action_space: Space[Any] = Discrete(actions)
        self.pixels = pixels()
        self.shown = slice(crop[0], HEIGHT - crop[1])
        # Kept through resizing: four rows of 64.
        self.bar = slice(crop[0], crop[0] + (HEIGHT - sum(crop)) // 16)
        self.marks = actions if show_action else 0
        self.last_action = 0

    def first(self, screen: np.ndarray) -> np.ndarray:
        return self.pixels.first(self._gray(screen)[self.shown])

    def next(self, screen: np.ndarray) -> np.ndarray:
        screen = self._gray(screen)
        if self.marks:
            screen = screen.copy()  # it is the caller's
            left, right = (WIDTH * (self.last_action + i) // self.marks for i in (0, 1))
            screen[self.bar] = 0
            screen[self.bar, left:right] = 255
        return self.pixels.next(screen[self.shown])

    def action(self, action: Any) -> int:
        self.last_action = int(action)
        return self.last_action

    def _gray(self, screen: np.ndarray) -> np.ndarray:
        """Weigh colors as the emulator does, whose own gray screen comes as [H, W]."""
        if not self.pixels.gray or screen.ndim == 2:
            return screen
        weighted = screen.astype(np.uint16) * np.array([77, 150, 29], dtype=np.uint16)
        return (weighted.sum(-1, dtype=np.uint16) >> 8).astype(np.uint8)


class Screen:
    """Shows an emulator's screen, already gray where the agent sees it so."""

    def __init__(self, translator: Callable[[], ScreenTranslator], env: Emulator) -> None:
        self.translator = translator()
        self.pixels = self.translator.pixels
        mode = "grayscale" if self.pixels.gray else "rgb_array_contiguous"
        channels = () if self.pixels.gray else (3,)
        screen = np.empty((HEIGHT, WIDTH, *channels), dtype=np.uint8)
        self.look = partial(env.observation, mode, output=screen)

    def first(self) -> np.ndarray:
        return self.translator.first(self.look())

    def next(self, action: int) -> np.ndarray:
        self.translator.action(action)
        return self.translator.next(self.look())

    def seen(self) -> np.ndarray | None:
        return None if self.pixels.pictures is None else self.pixels.pictures.copy()

    def back_to(self, seen: np.ndarray | None) -> np.ndarray:
        if seen is None:
            return self.first()
        self.pixels.pictures = seen.copy()
        return seen


class MarioGame:
    """One game: an action is held for `skip` frames and its rewards are added up."""

    def __init__(
        self,
        stage: str,
        buttons: list[list[str]],
        skip: int,
        view: Callable[[Emulator], View],
        reward: str,
        reward_scale: float,
        noop_max: int,
        max_steps: int | None,
        retries: partial[Retries],
    ) -> None:
        world, level = stage.split("-")
        self.env = Emulator(target=(int(world), int(level)))
        self.env.source = reward == "source"
        codes = {name: 0x80 >> bit for bit, name in enumerate(JoypadSpace.buttons())}  # NOOP: 0
        self.codes = [sum(codes[b] for b in set(names)) for names in buttons]
        self.skip, self.scale = skip, reward_scale
        self.noop_max, self.max_steps = noop_max, max_steps
        self.view = view(self.env)
        self.rng = np.random.default_rng(0)
        self.retries = retries()

    def seed(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def reset(self) -> np.ndarray:
        moves = self.retries.draw(self.rng) if self.retries.probability else None
        if moves is not None:
            return self._back_to(moves)
        opening = int(self.rng.integers(0, self.noop_max + 1)) if self.noop_max else 0
        self.retries.begin(opening)
        return self._open(opening)

    def _open(self, frames: int) -> np.ndarray:
        """A game from the start, after so many frames without a button."""
        self.env.reset()
        for _ in range(frames):
            self.env.step(0)
        return self.view.first()

    def _back_to(self, moves: int) -> np.ndarray:
        """The game that was lost, as it was after so many moves."""
        moment = self.retries.back_to(moves)
        if moment is not None:
            snapshot, values, seen = moment.snapshot
            self.env.load_state(snapshot)
            self.env.__dict__.update(values)
            return self.view.back_to(seen)
        actions = self.retries.actions
        obs = self._open(self.retries.opening)
        self.retries.begin(self.retries.opening)
        for action in actions:
            obs = self.step(action)[0]
        return obs

    def _snapshot(self) -> Any:
        values = {name: getattr(self.env, name) for name in REWARD_STATE}
        return self.env.dump_state(), values, self.view.seen()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, float]]:
        code, total = self.codes[int(action)], 0.0
        for _ in range(self.skip):
            _, reward, terminated, _, info = self.env.step(code)
            total += reward  # the game clips it to -15..15 a frame
            if terminated:
                break
        numbers = {name: float(value) for name, value in info.items()}
        numbers["score"] = total
        obs = self.view.next(int(action))
        wanted = self.retries.played(int(action))
        if wanted and self.retries.probability and not terminated:
            self.retries.keep(self._snapshot())
        moves = len(self.retries.actions)
        truncated = self.max_steps is not None and moves >= self.max_steps and not terminated
        self.retries.lost = terminated and not numbers["is_success"]
        return obs, total * self.scale, terminated, truncated, numbers

    def rng_state(self) -> State:
        return {"noop": self.rng.bit_generator.state, "retries": self.retries.state()}

    def set_rng_state(self, state: State) -> None:
        self.rng.bit_generator.state = state["noop"]
        self.retries.load(state["retries"])

    def render(self) -> np.ndarray:
        screen: np.ndarray = self.env.screen
        return screen

    def close(self) -> None:
        self.env.close()
