"""Scripted players: what they never do, and who beats whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bomberman_boards import DOWN, RIGHT, SET, WAIT, drawn, env
from rlexp.envs.bomberman.rivals import RIVALS, distance_to, safe_actions
from rlexp.envs.bomberman.rules import SEATS


def test_safe_actions_know_every_blast() -> None:
    """A bomb at the left end of a dead line: only the way down leads out in time."""
    board = ["0......", ".#.#.#.", "xxxxxxx", ".#.#.#.", "......1"]
    games = drawn(board, [(2, 0, 1, 1)])
    assert np.flatnonzero(safe_actions(games, 0)[0][0]).tolist() == [DOWN]
    games = drawn(board, [(2, 0, 1, 2)])
    assert np.flatnonzero(safe_actions(games, 0)[0][0]).tolist() == [WAIT, DOWN]
    # No bomb where there is no way out of its flames.
    games = drawn(["0x.....", "x#.#.#.", ".......", ".#.#.#.", "......1"])
    assert np.flatnonzero(safe_actions(games, 0)[0][0]).tolist() == [WAIT]


def test_chains_are_foreseen() -> None:
    """The rival's bomb sets the own one off, a tick later and long before its time."""
    board = ["0......", ".#.#.#.", ".......", ".#.#.#.", "......1"]
    games = drawn(board, [(0, 0, 0, 8), (2, 0, 1, 2)])
    assert np.flatnonzero(safe_actions(games, 0)[0][0]).tolist() == [DOWN]
    games = drawn(board, [(0, 0, 0, 8), (2, 0, 1, 3)])
    assert np.flatnonzero(safe_actions(games, 0)[0][0]).tolist() == [WAIT, DOWN]
    # Too late for any of them: then whatever is allowed.
    games = drawn(board, [(0, 0, 0, 8), (2, 0, 1, 1)])
    assert np.flatnonzero(safe_actions(games, 0)[0][0]).tolist() == [WAIT, DOWN, RIGHT]


def test_distances_go_round_and_through() -> None:
    games = drawn(["0.x.1", "x#x#x", "xxxxx", ".#.#.", "....."])
    way = distance_to(games, games.place[:, 1])
    assert way[0, games.rules.cell(4, 0)] == 0 and way[0, games.rules.cell(3, 0)] == 1
    assert way[0, games.rules.cell(0, 0)] == 3 + 10


def test_the_hunter_bombs_who_cannot_get_away() -> None:
    board = ["1.0....", "x#.#.#.", "xxx....", ".#.#.#.", "......."]
    rng = np.random.default_rng(0)
    games = drawn(board)
    chosen = [int(RIVALS["hunter"](games, 0, rng)[0]) for _ in range(20)]
    assert chosen.count(SET) >= 17  # but for its restlessness
    assert {int(RIVALS["wait"](games, 0, rng)[0]) for _ in range(5)} == {WAIT}
    assert len({int(RIVALS["random"](games, 0, rng)[0]) for _ in range(60)}) == 6


def lives(first: str, second: str, games: int, **changes: Any) -> np.ndarray:
    """Lives [games, 2] of both at the end, half of the games from each corner."""
    game = env(games, **changes)
    names = game.spec.rivals
    game.start(1)
    codes = np.where(np.arange(games) % 2 == 0, *(-1 - names.index(n) for n in (first, second)))
    other = np.where(np.arange(games) % 2 == 1, *(-1 - names.index(n) for n in (first, second)))
    found = np.full((games, 2), -1)
    while (found < 0).any():
        game.send({SEATS[0]: codes, SEATS[1]: other})
        for episode in game.recv().episodes:
            row = episode.row
            if found[row, 0] < 0:
                both = [int(episode.info[f"lives/{seat}"]) for seat in SEATS]
                found[row] = both if row % 2 == 0 else both[::-1]
    return found


@pytest.mark.parametrize(
    ("better", "worse", "share"),
    [("wait", "random", 1.0), ("safe_random", "random", 1.0), ("hunter", "random", 1.0)],
)
def test_who_beats_whom(better: str, worse: str, share: float) -> None:
    found = lives(better, worse, 8)
    assert (found[:, 0] > found[:, 1]).mean() >= share


@pytest.mark.slow
def test_the_hunter_beats_safe_random() -> None:
    found = lives("hunter", "safe_random", 100)
    assert (found[:, 0] > found[:, 1]).mean() > 0.75
    assert (found[:, 0] < found[:, 1]).mean() < 0.2


def test_a_safe_player_alone_is_never_hit() -> None:
    """Against one that never moves there is nothing it could not avoid."""
    found = lives("safe_random", "wait", 6, limit=150)
    assert (found[:, 0] == 10).all()
    # Nor by a bomb whose flames were to grow by what it picks up: they are as long as they were.
    found = lives("safe_random", "wait", 24, limit=150, power_ups=1.0, reach=1)
    assert (found[:, 0] == 10).all()
