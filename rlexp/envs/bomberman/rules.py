"""What a game of Bomberman is played by: sizes, numbers, what pays, and codes of cells."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from rlexp.errors import UserError

SEATS = ("player_0", "player_1")

# Codes of cells. 10 + i is player i; a bomb adds 100, so 110 + i is player i on a bomb.
FREE, PILLAR, BRICK, AMMO, RANGE, PLAYER, BOMB = 0, 1, 2, 3, 4, 10, 100
CODES = 112  # one above the highest

WAIT, UP, DOWN, RIGHT, LEFT, SET = range(6)
ACTIONS = ("wait", "up", "down", "right", "left", "bomb")
GLYPHS = ("", "^", "v", ">", "<", "b")
TURNED = np.array([WAIT, DOWN, UP, LEFT, RIGHT, SET])
"""Each action as one sees it who looks at the board turned by half."""

FAR = 999
"""The distance that the first one of a game falls below."""


@dataclass(frozen=True)
class Rules:
    """Field by field the keys of conf/env/bomberman.yaml, which say what they mean."""

    width: int
    height: int
    bricks: int
    lives: int
    bombs: int
    max_bombs: int
    reach: int
    fuse: int
    limit: int | None
    limit_reward: float
    hit_reward: float
    hurt_reward: float
    self_hit_reward: float
    rival_self_hit_reward: float
    brick_reward: float
    last_life_reward: float
    kill_reward: float
    closer_reward: float
    fee: float
    chain_at_once: bool
    invulnerable: int
    power_ups: float

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = getattr(self, name)
            if side < 3 or side % 2 == 0:
                raise UserError(f"env.{name}={side}: sides must be odd, 3 at least")
        room = len(self.brick_cells)
        if self.bricks > room:
            raise UserError(
                f"env.bricks={self.bricks}: a {self.width} x {self.height} board has room for "
                f"{room} beside pillars, players and the cells next to these"
            )

    def same_game(self, other: Rules) -> bool:
        """Do both move alike? What they pay may differ: players of either can meet."""
        paid = {f.name: 0.0 for f in fields(self) if f.name.endswith("_reward") or f.name == "fee"}
        return replace(self, **paid) == replace(other, **paid)  # type: ignore[arg-type]

    @property
    def stride(self) -> int:
        """From a cell to its neighbour on the right: boards are flat, with a wall around."""
        return self.height + 2

    @property
    def cells(self) -> int:
        return (self.width + 2) * self.stride

    def cell(self, x: int, y: int) -> int:
        """The place of (x, y) on the flat board."""
        return (x + 1) * self.stride + y + 1

    @cached_property
    def steps(self) -> np.ndarray:
        """[6]: where each action leads, as a difference of places."""
        return np.array([0, -1, 1, self.stride, -self.stride, 0])

    @cached_property
    def starts(self) -> np.ndarray:
        """[2]: the players' corners."""
        return np.array([self.cell(0, 0), self.cell(self.width - 1, self.height - 1)])

    @cached_property
    def empty(self) -> np.ndarray:
        """int16 [cells]: pillars, the wall and the players."""
        board = np.full((self.width + 2, self.height + 2), PILLAR, dtype=np.int16)
        board[1:-1, 1:-1] = FREE
        board[2:-1:2, 2:-1:2] = PILLAR
        flat = board.ravel()
        flat[self.starts] = PLAYER, PLAYER + 1
        return flat

    @cached_property
    def brick_cells(self) -> np.ndarray:
        """Where bricks may be: never on a player or one of its four neighbours."""
        allowed = self.empty == FREE
        for start in self.starts:
            allowed[start + self.steps] = False
        return np.flatnonzero(allowed)

    @property
    def slots(self) -> int:
        """Bombs that can be out at once; without power-ups the players' own limits may be lower."""
        mine = len(SEATS) * self.bombs
        return self.max_bombs if self.power_ups else min(self.max_bombs, mine)

    @cached_property
    def rays(self) -> np.ndarray:
        """int [cells, 4, R]: places up, down, right and left, nearest first; past the edge wall."""
        length = max(self.width, self.height)
        if not self.power_ups:
            length = min(length, self.reach)
        found = np.zeros((self.cells, 4, length), dtype=np.int64)  # place 0 is wall
        for place in np.flatnonzero(self.empty != PILLAR):
            for side, step in enumerate(self.steps[1:5]):
                at = place
                for r in range(length):
                    at = at + step
                    found[place, side, r] = at
                    if self._outside(at):
                        break
        return found

    def _outside(self, place: int) -> bool:
        x, y = divmod(place, self.stride)
        return x in (0, self.width + 1) or y in (0, self.height + 1)
