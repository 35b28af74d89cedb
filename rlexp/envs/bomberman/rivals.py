"""Scripted players, for any number of games at once.

random        any of the six actions, blocked ones too
wait          never moves
safe_random   any action that leads into no blast that can be avoided, as the bombs now lie
hunter        as safe; goes after the other player, through bricks, and bombs it, best where the
              bomb leaves it no way out
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlexp.envs.bomberman.foresight import Future
from rlexp.envs.bomberman.games import Games
from rlexp.envs.bomberman.rules import BOMB, BRICK, PILLAR, SET, WAIT

BRICK_COST = 10  # steps that a brick on the way is worth: a bomb, and staying away from it
NEAR = 8  # steps: a bomb from farther away is seldom worth its noise
RESTLESS = 0.05
FAR = 10_000


def random(games: Games, player: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(6, size=games.count)


def wait(games: Games, player: int, rng: np.random.Generator) -> np.ndarray:
    return np.full(games.count, WAIT)


def safe_random(games: Games, player: int, rng: np.random.Generator) -> np.ndarray:
    choices, _ = safe_actions(games, player)
    return _draw(choices, rng)


def hunter(games: Games, player: int, rng: np.random.Generator) -> np.ndarray:
    rules, rows = games.rules, np.arange(games.count)
    mine, theirs = games.place[:, player], games.place[:, 1 - player]
    way = distance_to(games, theirs)
    # The other may step in the way: better an escape where I am first, if there is one.
    sure, bombed = safe_actions(games, player, way)
    safe, _ = safe_actions(games, player)
    safe[:, SET] &= sure[:, SET]
    certain = (safe & sure).any(1)
    safe[certain] &= sure[certain]
    sides = mine[:, None] + rules.steps[1:5]
    score = np.full(safe.shape, -2.0 * FAR)
    score[:, 1:5] = -way[rows[:, None], sides]
    best = sides[rows, way[rows[:, None], sides].argmin(1)]
    blocked = games.board[rows, best] == BRICK
    threatened = bombed.burns.any(0)[rows, theirs] & (way[rows, mine] <= NEAR)
    # Nothing beats a bomb that the other can't get away from any more.
    caught = ~bombed.survivals(mine)[0][rows, theirs]
    score[blocked | threatened, SET] = 1.0
    score[caught, SET] = 2.0
    # Now and then anything: what can't be bombed from here may be from elsewhere.
    score[rng.random(games.count) < RESTLESS] = 0.0
    score[~safe] = -np.inf
    return _draw(score == score.max(1, keepdims=True), rng)


RIVALS: dict[str, Callable[[Games, int, np.random.Generator], np.ndarray]] = {
    "random": random,
    "wait": wait,
    "safe_random": safe_random,
    "hunter": hunter,
}


def safe_actions(
    games: Games, player: int, way: np.ndarray | None = None
) -> tuple[np.ndarray, Future]:
    """(bool [N, 6], the future with a bomb of this player's set now, where that is allowed).

    True: allowed, and all flames to come can be avoided after it, with the other player where it
    stands, or wherever it can be, `way` [N, cells] steps from it. Where that holds for no action:
    everything that is allowed.
    """
    rows, rules = np.arange(games.count), games.rules
    mine, theirs = games.place[:, player], games.place[:, 1 - player]
    legal = games.legal(player)
    future = Future(games)
    after = future.survivals(theirs, way)[1] & ~future.burns[0]
    safe = after[rows[:, None], mine[:, None] + rules.steps]
    armed = games.copy(rows)
    armed.set_bomb(player)
    bombed = Future(armed)
    after = bombed.survivals(theirs, way)[1] & ~bombed.burns[0]
    safe[:, SET] = after[rows, mine]
    safe &= legal
    hopeless = ~safe.any(1)
    safe[hopeless] = legal[hopeless]
    return safe, bombed


def distance_to(games: Games, place: np.ndarray) -> np.ndarray:
    """int [N, cells]: steps from each cell to `place` [N]; bricks and bombs cost BRICK_COST."""
    rules, rows, board = games.rules, np.arange(games.count), games.board
    cost = np.where((board == BRICK) | (board >= BOMB), BRICK_COST, 1)
    cost = np.where(board == PILLAR, FAR, cost).astype(np.int32)
    far = np.full(board.shape, FAR, dtype=np.int32)
    far[rows, place] = 0
    for _ in range(rules.width * rules.height):
        enter = np.minimum(far + cost, FAR)
        # One that stands on the cell is entered last, at no cost beyond the step.
        found = far.copy()
        for step in rules.steps[1:5].tolist():
            if step > 0:
                np.minimum(found[:, :-step], enter[:, step:], out=found[:, :-step])
            else:
                np.minimum(found[:, -step:], enter[:, :step], out=found[:, -step:])
        if (found == far).all():
            break
        far = found
    return far


def _draw(choices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of each row's True actions [N]."""
    return (rng.random(choices.shape) * choices).argmax(1)
