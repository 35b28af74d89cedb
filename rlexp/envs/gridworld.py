"""Grid worlds: free cells, walls, pits and goals (after Russell and Norvig 2021, section 17.1).

Theirs slips to the side now and then and ends in the pit; here every move goes where it says, and
the pit costs its price each time, without an end.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rlexp.envs import cells
from rlexp.envs.cells import KEY, CellsEnv
from rlexp.errors import UserError

MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
NAMES = ("up", "down", "left", "right")


class GridWorld(CellsEnv):
    """Walk from S to a goal; actions up, down, left, right. Blocked moves stay where they are.

    A character of the map is a cell: . free, # wall, S start, + goal, - pit. The reward is that of
    the cell a move ends in, so that bumping against a wall from inside a pit costs the pit again.
    Observations number all cells, walls included. `random_start` begins in any cell that a goal
    can be reached from (exploring starts).
    """

    def __init__(
        self,
        layout: Sequence[str],
        num_envs: int,
        goal_reward: float,
        pit_reward: float,
        move_reward: float,
        random_start: bool,
        max_steps: int | None,
    ) -> None:
        self.drawn = cells.characters(layout, ".#S+-")
        self.rows, self.columns = self.drawn.shape
        row, column = cells.only(self.drawn, "S", "start")
        self.start_cell = row * self.columns + column
        kind = self.drawn.ravel()
        ends = kind == "+"
        if not ends.any():
            raise UserError(f"{KEY} has no +: draw a goal, one or more")
        self.free = kind != "#"
        following = cells.successors(self._allowed(), self.columns, MOVES)
        leads = cells.leading_to(ends, following) & self.free
        if not leads[self.start_cell]:
            raise UserError(f"{KEY}: no path leads from S to a goal (+)")
        starts = np.flatnonzero(leads & ~ends) if random_start else np.array([self.start_cell])
        self.cell_rewards = np.select(
            [kind == "+", kind == "-"], [goal_reward, pit_reward], move_reward
        )
        super().__init__(following, starts, ends, num_envs, max_steps, fps=2)

    def _allowed(self) -> np.ndarray:
        """bool [cells, 4]: which moves lead to another cell."""
        free = np.pad(self.drawn != "#", 1)
        height, width = self.drawn.shape
        views = [free[1 + r : 1 + r + height, 1 + c : 1 + c + width] for r, c in MOVES]
        return np.stack([view.ravel() for view in views], axis=1) & self.free[:, None]

    def rewards(self, ended: np.ndarray) -> np.ndarray:
        return self.cell_rewards[self.cell]

    def render(self, row: int) -> np.ndarray:
        return draw(self, int(self.cell[row]))


def draw(world: GridWorld, player: int) -> np.ndarray:
    """A picture [H, W, 3]: walls dark, goals green, pits red, the player a dot."""
    size = cells.tile_size(world.rows, world.columns)
    picture = np.full((world.rows * size + 1, world.columns * size + 1, 3), 255, dtype=np.uint8)
    fills = {"#": (70, 70, 70), "+": (178, 223, 205), "-": (244, 200, 180), "S": (214, 230, 244)}
    for row, line in enumerate(world.drawn):
        for column, character in enumerate(line):
            corner = (column * size, row * size)
            opposite = ((column + 1) * size, (row + 1) * size)
            cv2.rectangle(picture, corner, opposite, fills.get(character, (255, 255, 255)), -1)
            cv2.rectangle(picture, corner, opposite, (150, 150, 150), 1)
            if character in "S+-" and size >= 24:
                place = (corner[0] + size // 12, corner[1] + size // 4)
                cv2.putText(picture, character, place, cv2.FONT_HERSHEY_SIMPLEX, size / 130,
                            (70, 70, 70), 1, cv2.LINE_AA)  # fmt: skip
    row, column = divmod(player, world.columns)
    centre = (column * size + size // 2, row * size + size * 11 // 20)
    cv2.circle(picture, centre, max(3, size // 5), (213, 94, 0), -1, cv2.LINE_AA)
    return picture
