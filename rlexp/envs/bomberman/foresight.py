"""What bombs will do if nobody sets another: which moves lead out of their flames, and how far to
anywhere."""

from __future__ import annotations

import numpy as np

from rlexp.envs.bomberman.games import Games
from rlexp.envs.bomberman.rules import BOMB, BRICK, FREE, PILLAR, PLAYER, Rules


class Future:
    """The next `fuse` ticks of some games, played in copies with both players standing still.

    burns  bool [T, N, cells]  who stands here on tick t loses a life
    open   bool [T, N, cells]  this cell can be entered before tick t, other players aside
    """

    def __init__(self, games: Games) -> None:
        rules, count = games.rules, games.count
        ticks = rules.fuse if (games.owner >= 0).any() else 1
        self.rules = rules
        self.burns = np.zeros((ticks, count, rules.cells), dtype=bool)
        self.open = np.zeros((ticks, count, rules.cells), dtype=bool)
        ghosts = games.copy(np.arange(count))
        # Players are taken off: they neither stop flames nor shield themselves; where each stands
        # is for those who ask to say.
        code = ghosts.board
        standing = (code >= PLAYER) & (code != BOMB)
        ghosts.board = np.where(standing, np.where(code > BOMB, BOMB, FREE), code).astype(np.int16)
        paid, everywhere = np.zeros((count, 2)), np.ones(count, dtype=bool)
        for t in range(ticks):
            board = ghosts.board
            self.open[t] = (board != PILLAR) & (board != BRICK) & (board < BOMB)
            ghosts.tick(paid, everywhere)
            self.burns[t] = ghosts.flames

    def survivals(self, other: np.ndarray, quick: np.ndarray | None = None) -> np.ndarray:
        """bool [T + 1, N, cells]: who is here before tick t can come through all that follow.

        `other` [N] is where the other player stands, whose cell can't be entered. With `quick`
        [N, cells], the steps that it needs to anywhere, it may be wherever it can be by that time.
        """
        ticks = len(self.burns)
        blocked = only(other, self.rules.cells)
        safe = np.ones((ticks + 1, *self.burns.shape[1:]), dtype=bool)
        for t in reversed(range(ticks)):
            lives = safe[t + 1] & ~self.burns[t]
            if quick is not None:
                blocked = quick <= t + 1
            safe[t] = lives | neighbours(lives & self.open[t] & ~blocked, self.rules)
        return safe


def neighbours(cells: np.ndarray, rules: Rules) -> np.ndarray:
    """bool [N, cells]: one of the four neighbours is True in `cells`."""
    found = np.zeros_like(cells)
    for step in rules.steps[1:5].tolist():
        if step > 0:
            found[:, :-step] |= cells[:, step:]
        else:
            found[:, -step:] |= cells[:, :step]
    return found


def only(places: np.ndarray, cells: int) -> np.ndarray:
    """bool [N, cells]: True at one place [N] of each row."""
    found = np.zeros((len(places), cells), dtype=bool)
    found[np.arange(len(places)), places] = True
    return found
