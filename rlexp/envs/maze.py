"""Mazes: cells with walls between them, one start, one goal."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rlexp.envs import cells
from rlexp.envs.cells import KEY, CellsEnv
from rlexp.errors import UserError

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
NAMES = ("up", "right", "down", "left")


class Maze(CellsEnv):
    """Walk from S to G; actions up, right, down, left. Only moves through openings are legal.

    The map has a cell at every second line and column, a wall (#) or an opening (blank) between
    them, and walls around it. A move against a wall, should it be played, leads nowhere.

    With `reward` "inverse" the T-th move earns 1/T if it reaches the goal, and every other 0. So
    the return of a game is 1/T, which is what the maze's policy gradient ascends, and a game that
    `max_steps` cuts has earned nothing. The price: what a move earns depends on the moves before
    it, which the cell does not tell, and methods that learn values of cells go astray. For them
    there is "step", -1 for every move: the return is -T.
    """

    def __init__(
        self, layout: Sequence[str], num_envs: int, reward: str, max_steps: int | None
    ) -> None:
        self.reward = reward
        drawn = parse(layout)
        inner = drawn[1::2, 1::2]
        self.rows, self.columns = inner.shape
        self.walls = walls(drawn)
        self.start_cell = int(np.flatnonzero(inner == "S")[0])
        self.goal = int(np.flatnonzero(inner == "G")[0])
        following = cells.successors(~self.walls, self.columns, MOVES)
        ends = np.zeros(len(following), dtype=bool)
        ends[self.goal] = True
        if not cells.leading_to(ends, following)[self.start_cell]:
            raise UserError(f"{KEY}: no path leads from S to G")
        starts = np.array([self.start_cell])
        super().__init__(following, starts, ends, num_envs, max_steps, fps=1)

    def rewards(self, ended: np.ndarray) -> np.ndarray:
        if self.reward == "step":
            return np.full(len(ended), -1.0)
        return np.where(ended, 1.0 / (self.ticks.lengths + 1), 0.0)

    def legal_rows(self) -> np.ndarray:
        return ~self.walls[self.cell]

    def render(self, row: int) -> np.ndarray:
        return draw(self, int(self.cell[row]))


def parse(layout: Sequence[str]) -> np.ndarray:
    """The map's characters [lines, columns]; UserError where they draw no maze."""
    drawn = cells.characters(layout, " #SG")
    lines, columns = drawn.shape
    if lines % 2 == 0 or columns % 2 == 0:
        raise UserError(
            f"{KEY} is {lines} lines of {columns} characters: a maze has an odd number of both, "
            "cells at every second place and walls between"
        )
    solid = drawn == "#"
    outer = np.ones_like(solid)
    outer[1:-1, 1:-1] = False
    filled = np.zeros_like(solid)
    filled[1::2, 1::2] = solid[1::2, 1::2]
    for wrong, why in ((outer & ~solid, "the outer wall has a gap"), (filled, "# fills a cell")):
        for line, column in np.argwhere(wrong):
            raise UserError(f"{KEY}, line {line + 1}, column {column + 1}: {why}")
    for character, meaning in (("S", "start"), ("G", "goal")):
        line, column = cells.only(drawn, character, meaning)
        if line % 2 == 0 or column % 2 == 0:
            raise UserError(
                f"{KEY}, line {line + 1}, column {column + 1}: {character} stands between cells; "
                "cells are at every second line and column"
            )
    return drawn


def walls(drawn: np.ndarray) -> np.ndarray:
    """bool [cells, 4]: True where up, right, down, left is closed."""
    solid = drawn == "#"
    around = [solid[0:-2:2, 1::2], solid[1::2, 2::2], solid[2::2, 1::2], solid[1::2, 0:-2:2]]
    return np.stack([side.ravel() for side in around], axis=1)


def expected_steps(maze: Maze, probabilities: np.ndarray) -> np.ndarray:
    """Exact mean number of moves from start to goal, [N], of policies [N, cells, 4].

    Solves t = 1 + P t over the cells that can be reached before the goal (Kemeny and Snell 1960,
    theorem 3.3.5); infinite where a policy never gets there.
    """
    count = len(maze.following)
    where = np.zeros((count, 4, count))
    where[np.arange(count)[:, None], np.arange(4), maze.following] = 1.0
    chances = np.einsum("nsa,sat->nst", probabilities, where)
    reached = np.zeros(count, dtype=bool)
    reached[maze.start_cell] = True
    for _ in range(count):
        reached[maze.following[reached & ~maze.ends]] = True
    inner = np.flatnonzero(reached & ~maze.ends)
    inside = chances[:, inner][:, :, inner]
    system = np.eye(len(inner)) - inside
    start = int(np.flatnonzero(inner == maze.start_cell)[0])
    return np.array([_solve(one)[start] for one in system])


def _solve(system: np.ndarray) -> np.ndarray:
    try:
        found = np.linalg.solve(system, np.ones(len(system)))
    except np.linalg.LinAlgError:
        return np.full(len(system), np.inf)
    # A system this close to singular has lost every digit: the policy walks in circles.
    return np.where(found >= 1.0, found, np.inf)


def draw(maze: Maze, player: int) -> np.ndarray:
    """A picture [H, W, 3] of the maze with its numbers, start, goal and player."""
    size = cells.tile_size(maze.rows, maze.columns)
    edge = max(2, size // 14)
    shape = (maze.rows * size + 2 * edge, maze.columns * size + 2 * edge, 3)
    picture = np.full(shape, 255, dtype=np.uint8)
    for cell in range(len(maze.walls)):
        row, column = divmod(cell, maze.columns)
        top, left = edge + row * size, edge + column * size
        corner, opposite = (left, top), (left + size, top + size)
        if cell in (maze.start_cell, maze.goal):
            colour = (214, 230, 244) if cell == maze.start_cell else (204, 235, 224)
            cv2.rectangle(picture, corner, opposite, colour, -1)
        label = {maze.start_cell: " S", maze.goal: " G"}.get(cell, "")
        if size >= 24:
            place = (left + size // 12 + 2, top + size // 4 + 2)
            cv2.putText(picture, f"{cell}{label}", place, cv2.FONT_HERSHEY_SIMPLEX, size / 160,
                        (110, 110, 110), 1, cv2.LINE_AA)  # fmt: skip
    for cell, closed in enumerate(maze.walls):
        row, column = divmod(cell, maze.columns)
        top, left = edge + row * size, edge + column * size
        bottom, right = top + size, left + size
        sides = [((left, top), (right, top)), ((right, top), (right, bottom)),
                 ((left, bottom), (right, bottom)), ((left, top), (left, bottom))]  # fmt: skip
        for (a, b), wall in zip(sides, closed, strict=True):
            if wall:
                cv2.line(picture, a, b, (40, 40, 40), edge, cv2.LINE_AA)
    row, column = divmod(player, maze.columns)
    centre = (edge + column * size + size // 2, edge + row * size + size * 11 // 20)
    cv2.circle(picture, centre, max(3, size // 5), (213, 94, 0), -1, cv2.LINE_AA)
    return picture
