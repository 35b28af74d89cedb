"""`rlexp play`: a person against a trained agent, in the terminal."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rlexp.commands.common import count, one_path, told, yes_or_no
from rlexp.errors import UserError, did_you_mean

HELP = """\
usage: rlexp play RUN [checkpoint=last|best|STEP] [seat=player_0] [speed=0] [greedy=false] [seed=0]

w a s d or arrows move, space sets a bomb, . waits, q leaves. Nothing moves until you do; with
speed=3 three steps pass a second, whether a key was pressed or not. RUN's game must be one for two
(bomberman).
"""
OWN = {"checkpoint": "last", "seat": "player_0", "speed": "0", "greedy": "false", "seed": "0",
       "trust": "false"}  # fmt: skip
KEYS = {
    "w": "up", "a": "left", "s": "down", "d": "right", " ": "bomb", ".": "wait", "\r": "wait",
    "\n": "wait", "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left",
}  # fmt: skip
LEAVE = ("q", "\x03", "\x04", "")


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _play(argv))


def _play(argv: Sequence[str]) -> None:
    path, own = _arguments(argv)
    if not sys.stdin.isatty():
        raise UserError("rlexp play needs a terminal: a person plays")
    from rlexp import build
    from rlexp.api import load
    from rlexp.ladder import for_two

    loaded = load(path, own["checkpoint"], trust=yes_or_no(own, "trust"))
    config = for_two(loaded.config.env)  # you are the rival
    env: Any = build.env(config, 1)
    names = getattr(env, "action_names", None)
    if names is None or len(env.spec.observation_spaces) != 2:
        raise UserError(f"{path}: env={config.name} can't be played in a terminal")
    seats = list(env.spec.observation_spaces)
    if own["seat"] not in seats:
        raise UserError(f"no seat {own['seat']!r}.{did_you_mean(own['seat'], seats)}")
    try:
        game = Game(env, loaded, own["seat"], yes_or_no(own, "greedy"), count(own, "seed", 0))
        with keyboard(float(own["speed"])) as keys:
            show(game, keys)
    finally:
        env.close()


def _arguments(argv: Sequence[str]) -> tuple[str, dict[str, str]]:
    path, overrides = one_path(argv, "play")
    own = dict(OWN)
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in own:
            raise UserError(f"unknown key {name!r}.{did_you_mean(name, own)}")
        own[name] = value
    try:
        speed = float(own["speed"])
    except ValueError:
        speed = -1.0
    if not 0 <= speed < float("inf"):
        raise UserError(f"speed={own['speed']} must be a number, 0 or more")
    count(own, "seed", 0)
    yes_or_no(own, "greedy")
    return path, own


class Game:
    """One game at a time between a person and an agent, on one row."""

    def __init__(self, env: Any, loaded: Any, seat: str, greedy: bool, seed: int) -> None:
        self.env, self.seat = env, seat
        (self.other,) = (s for s in env.spec.observation_spaces if s != seat)
        team = loaded.team
        if hasattr(team, "solos"):  # an agent a seat
            self.agent = team.solos[self.other].agent.policy(greedy, seed)
        else:
            self.agent = team.agent.policy(greedy, seed)
        self.tick = env.start(seed)
        self.won = self.lost = self.drawn = 0
        self.said = ""

    def step(self, name: str) -> None:
        import numpy as np

        tick, env = self.tick, self.env
        mask = tick.action_mask(self.other)
        theirs = np.asarray(self.agent.act(tick.obs[self.other], tick.first, mask))
        mine = env.frame(self.seat, np.array([env.action_names.index(name)]))
        env.send({self.seat: mine, self.other: theirs})
        self.tick = env.recv()
        self.said = ""
        for episode in self.tick.episodes:
            lives, rivals = (int(episode.info[f"lives/{s}"]) for s in (self.seat, self.other))
            self.won += lives > rivals
            self.lost += lives < rivals
            self.drawn += lives == rivals
            result = "won" if lives > rivals else "lost" if lives < rivals else "drawn"
            self.said = f"{result}, {lives} lives to {rivals}. A new game begins."


def show(game: Game, keys: Callable[[], Iterator[str]]) -> None:
    """Draws the game, takes keys, until one of them leaves."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    live = Live(_screen(game), console=console, auto_refresh=False, screen=console.is_terminal)
    with live:
        for key in keys():
            if key in LEAVE:
                break
            name = KEYS.get(key)
            if name is None:
                continue
            game.step(name)
            live.update(_screen(game), refresh=True)
    console.print(f"won {game.won}, lost {game.lost}, drawn {game.drawn}", highlight=False)


def _screen(game: Game) -> Any:
    from rich.text import Text

    text: Text = game.env.text(0, game.seat)
    text.append(f"\n{game.said}\n")
    text.append(f"won {game.won}, lost {game.lost}, drawn {game.drawn}\n", style="bold")
    text.append("w a s d or arrows move, space: bomb, .: wait, q: leave", style="dim")
    return text


@contextmanager
def keyboard(speed: float) -> Iterator[Callable[[], Iterator[str]]]:
    """Keys as they are pressed, an arrow as one; with a speed "." wherever none was in time.

    Keys that mean nothing are as if they had not been pressed.
    """
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def keys() -> Iterator[str]:
        due = time.monotonic()
        while True:
            due = max(due + 1 / speed, time.monotonic()) if speed else due
            pressed = "."
            while True:
                wait = max(0.0, due - time.monotonic()) if speed else None
                if not select.select([handle], [], [], wait)[0]:
                    break
                key = _key(handle)
                if key not in KEYS and key not in LEAVE:
                    continue
                pressed = key
                if not speed or pressed in LEAVE:
                    break
            yield pressed

    try:
        tty.setcbreak(handle)
        yield keys
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _key(handle: int) -> str:
    byte = os.read(handle, 1)
    if not byte:
        return ""  # nobody is there any more
    first = byte.decode(errors="replace")
    if first != "\x1b" or not select.select([handle], [], [], 0.02)[0]:
        return first
    return first + os.read(handle, 2).decode(errors="ignore")
