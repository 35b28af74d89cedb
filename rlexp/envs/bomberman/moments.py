"""One moment of one game of Bomberman, for whoever draws or tells it; games played again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlexp.envs.bomberman.games import Games, inner
from rlexp.envs.bomberman.rules import Rules


@dataclass(frozen=True)
class Board:
    """One moment of one game, with arrays of its own: what a picture of it needs.

    codes   int16 [width, height]
    timers  int   [width, height]  ticks until the bomb there explodes, 0 without one
    flames  bool  [width, height]  of the last tick
    place   int   [2, 2]           (x, y) of each player
    lives, score, action (-1 before the first)  [2]
    """

    step: int
    codes: np.ndarray
    timers: np.ndarray
    flames: np.ndarray
    place: np.ndarray
    lives: np.ndarray
    score: np.ndarray
    action: np.ndarray


def moment(games: Games, row: int) -> Board:
    """The game of a row as it stands."""
    rules = games.rules
    timers = np.zeros(rules.cells, dtype=np.int64)
    out = games.owner[row] >= 0
    timers[games.bomb[row, out]] = games.timer[row, out]
    x, y = divmod(games.place[row], rules.stride)
    return Board(
        int(games.steps[row]),
        inner(games.board[row], rules).copy(),
        inner(timers, rules).copy(),
        inner(games.flames[row], rules).copy(),
        np.stack([x - 1, y - 1], axis=1),
        games.lives[row].copy(),
        games.score[row].copy(),
        games.action[row].copy(),
    )


def replay(rules: Rules, seed: int, actions: np.ndarray) -> list[Board]:
    """Every moment of the game that this seed and the actions [T, 2] make, the start included."""
    games = Games(rules, 1)
    games.start(np.array([0]), np.array([seed]))
    moments = [moment(games, 0)]
    for pair in np.asarray(actions):
        games.step(pair[None])
        moments.append(moment(games, 0))
    return moments
