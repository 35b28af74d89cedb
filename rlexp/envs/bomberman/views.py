"""What a seat of Bomberman sees: codes, planes, or a picture (picture.py)."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from gymnasium.spaces import Box

from rlexp.envs.bomberman.games import Games, inner
from rlexp.envs.bomberman.rules import AMMO, BRICK, PILLAR, RANGE, Rules
from rlexp.envs.bomberman.sprites import seen_codes


class View(ABC):
    """Observations of one seat. `turned`: the second player sees the board turned by half."""

    space: Box

    def __init__(self, rules: Rules, turned: bool) -> None:
        self.rules, self.turned = rules, turned

    @abstractmethod
    def see(self, games: Games, seat: int, rows: np.ndarray | slice) -> np.ndarray:
        """A fresh array [N, …] of these rows."""

    def codes(self, games: Games, seat: int, rows: np.ndarray | slice) -> np.ndarray:
        """uint8 [N, width, height]: 0 … 7, 8 and 9 with power-ups."""
        seen = seen_codes(inner(games.board[rows], self.rules), seat)
        return seen[:, ::-1, ::-1] if self.turned and seat else seen


class Codes(View):
    """uint8 [1, width, height]: the number of what is there in sprites.SEEN."""

    def __init__(self, rules: Rules, turned: bool) -> None:
        super().__init__(rules, turned)
        highest = 9 if rules.power_ups else 7
        self.space = Box(0, highest, (1, rules.width, rules.height), np.uint8)

    def see(self, games: Games, seat: int, rows: np.ndarray | slice) -> np.ndarray:
        return np.ascontiguousarray(self.codes(games, seat, rows))[:, None]


class Planes(View):
    """uint8 [12 or 14, width, height], 255 for yes or all of it: what codes leave out is here, too.

    0 pillar, 1 brick, 2 me, 3 rival; 4 and 5 bombs of mine and of the rival, 6 every cell within
    their flames as the board stands (chains aside): the more, the sooner; everywhere the same are
    7 and 8, my lives and the rival's, 9 and 10, bombs that I and the rival may still set, and 11,
    the steps that are left; 12 and 13 lie with power-ups alone: one bomb more, longer flames.

    `centred`: [12 or 14, width + 1, height + 1], rolled so that the seat's player is in the middle.
    What leaves on one side comes back on the other, behind one line of wall, which is pillars: the
    whole board is there, and what is next to the player always at the same places.
    """

    def __init__(self, rules: Rules, turned: bool, centred: bool = False) -> None:
        super().__init__(rules, turned)
        self.count = 14 if rules.power_ups else 12
        size = (rules.width + centred, rules.height + centred)
        self.space = Box(0, 255, (self.count, *size), np.uint8)
        self.around = [around(rules, turned and seat == 1) for seat in (0, 1)] if centred else []

    def see(self, games: Games, seat: int, rows: np.ndarray | slice) -> np.ndarray:
        rules, rival = self.rules, 1 - seat
        board = games.board[rows]
        count, cells = board.shape
        planes = np.zeros((count, self.count, cells), dtype=np.uint8)
        planes[:, 0] = (board == PILLAR) * np.uint8(255)
        planes[:, 1] = (board == BRICK) * np.uint8(255)
        index = np.arange(count)
        place, lives = games.place[rows], games.lives[rows]
        for plane, player in ((2, seat), (3, rival)):
            planes[index, plane, place[:, player]] = np.where(lives[:, player] > 0, 255, 0)
        self._bombs(planes, games, seat, rows)
        ready = games.ammo[rows] - games.out[rows]
        for plane, value, whole in (
            (7, lives[:, seat], rules.lives),
            (8, lives[:, rival], rules.lives),
            (9, ready[:, seat], rules.bombs),
            (10, ready[:, rival], rules.bombs),
        ):
            share = np.minimum(value / max(1, whole), 1)
            planes[:, plane] = (share * 255)[:, None]
        if rules.limit:
            planes[:, 11] = ((1 - games.steps[rows] / rules.limit) * 255)[:, None]
        if rules.power_ups:
            planes[:, 12] = (board == AMMO) * np.uint8(255)
            planes[:, 13] = (board == RANGE) * np.uint8(255)
        if self.around:
            order = self.around[seat][place[:, seat]]
            found = np.take_along_axis(planes, order[:, None], axis=2)
            return found.reshape(count, *self.space.shape)
        seen = inner(planes, rules)
        return np.ascontiguousarray(seen[:, :, ::-1, ::-1] if self.turned and seat else seen)

    def _bombs(self, planes: np.ndarray, games: Games, seat: int, rows: np.ndarray | slice) -> None:
        owner, timer = games.owner[rows], games.timer[rows]
        game, slot = (owner >= 0).nonzero()
        if not len(game):
            return
        # The most urgent last, since the last one written stays.
        order = np.argsort(-timer[game, slot], kind="stable")
        game, slot = game[order], slot[order]
        who, left = owner[game, slot], timer[game, slot]
        cell, fuse = games.bomb[rows][game, slot], self.rules.fuse
        urgent = ((fuse + 1 - left) * 255 // fuse).astype(np.uint8)
        planes[game, np.where(who == seat, 4, 5), cell] = urgent
        planes[game, 6, cell] = urgent
        board = games.board[rows]
        ray = self.rules.rays[cell]
        seen = board[game[:, None, None], ray]
        stops = (seen == PILLAR) | (seen == BRICK)
        if self.rules.power_ups:
            flame = games.flame[rows][game, slot]
            stops |= (np.arange(ray.shape[2]) >= flame[:, None])[:, None]
        bomb, side, r = (~np.logical_or.accumulate(stops, axis=2)).nonzero()
        planes[game[bomb], 6, ray[bomb, side, r]] = urgent[bomb]


def around(rules: Rules, turned: bool) -> np.ndarray:
    """int [cells, (width + 1) (height + 1)]: for a player at each place, the places of a board that
    is rolled so that the player is in its middle, and by half `turned` about it.

    Of the two lines of wall on opposite sides one is left.
    """
    across, down = rules.width + 1, rules.height + 1
    x, y = np.divmod(np.arange(rules.cells), rules.stride)
    sign = -1 if turned else 1
    at_x = (x[:, None] + sign * (np.arange(across) - across // 2)) % across
    at_y = (y[:, None] + sign * (np.arange(down) - down // 2)) % down
    found = at_x[:, :, None] * rules.stride + at_y[:, None]
    return found.reshape(rules.cells, across * down)
