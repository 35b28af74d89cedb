"""Boards drawn by hand, for the tests of Bomberman."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlexp.envs.bomberman.env import Bomberman, make
from rlexp.envs.bomberman.games import Games, inner
from rlexp.envs.bomberman.rules import Rules

WAIT, UP, DOWN, RIGHT, LEFT, SET = range(6)

SOURCE: dict[str, Any] = {
    "width": 13, "height": 11, "bricks": 40, "lives": 10, "bombs": 2, "max_bombs": 20, "reach": 14,
    "fuse": 8, "limit": 800, "limit_reward": -10.0, "hit_reward": 1.0, "hurt_reward": -0.1,
    "self_hit_reward": -1.0, "rival_self_hit_reward": 0.0, "brick_reward": 0.0,
    "last_life_reward": -0.1, "kill_reward": 0.1, "closer_reward": 0.2,
    "fee": 0.008, "chain_at_once": False, "invulnerable": 0, "power_ups": 0.0,
}  # fmt: skip


def drawn(
    lines: Sequence[str],
    bombs: Sequence[tuple[int, int, int, int]] = (),
    lives: tuple[int, int] = (10, 10),
    bombs_each: int = 2,
    **changes: Any,
) -> Games:
    """One game as drawn: `.` free, `#` pillar, `x` brick, `0` and `1` players; `bombs` are
    (x, y, owner, ticks left), in the order of their slots. They have met before: no bonus is due.
    """
    size = {"width": len(lines[0]), "height": len(lines), "bricks": 0, "bombs": bombs_each}
    rules = Rules(**(SOURCE | size | changes))
    games = Games(rules, 1)
    place(games, 0, lines, bombs, lives)
    return games


def place(
    games: Games,
    row: int,
    lines: Sequence[str],
    bombs: Sequence[tuple[int, int, int, int]] = (),
    lives: tuple[int, int] = (10, 10),
) -> None:
    """Draw a board into a row of games."""
    rules = games.rules
    games.start(np.array([row]), np.array([1]))
    board = inner(games.board, rules)[row]
    for y, line in enumerate(lines):
        for x, character in enumerate(line):
            assert (character == "#") == (x % 2 == 1 and y % 2 == 1), (x, y)
            board[x, y] = {".": 0, "#": 1, "x": 2, "0": 10, "1": 11}[character]
            if character in "01":
                games.place[row, int(character)] = rules.cell(x, y)
    for slot, (x, y, owner, left) in enumerate(bombs):
        board[x, y] += 100
        games.bomb[row, slot], games.owner[row, slot] = rules.cell(x, y), owner
        games.timer[row, slot], games.flame[row, slot] = left, games.rules.reach
        games.out[row, owner] += 1
    games.lives[row] = lives
    games.closest[row] = 0


def step(games: Games, first: int = WAIT, second: int = WAIT) -> tuple[float, float]:
    """What both earned, the fees of those who waited aside."""
    reward, _ = games.step(np.array([[first, second]]))
    waited = [0.008 * (action == WAIT) for action in (first, second)]
    mine, theirs = (reward[0] + waited).round(9).tolist()
    return mine, theirs


def code(games: Games, x: int, y: int) -> int:
    return int(inner(games.board, games.rules)[0, x, y])


def env(num_envs: int = 2, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "rival": None, "seat": "player_0", "reward": "source", "running_score": False,
        "observation": "codes", "strip": False, "turned": False, "centred": False, "mask": False,
    }  # fmt: skip
    made: Bomberman = make(num_envs, **(values | SOURCE | changes))  # type: ignore[assignment]
    return made
