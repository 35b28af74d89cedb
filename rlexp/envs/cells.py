"""Worlds of numbered cells, drawn as text: what maze and grid world share.

Cells are numbered row by row. A world is a table of successors [cells, actions]; N games of it are
N numbers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Discrete

from rlexp.envs.base import BatchEnv
from rlexp.errors import UserError
from rlexp.types import SOLO, EnvSpec, State, Tree

KEY = "env.layout"
Move = tuple[int, int]
"""(rows down, columns right)."""


def characters(layout: Sequence[str], known: str) -> np.ndarray:
    """The map as characters [lines, columns]; UserError where it is ragged or holds others."""
    if not layout or not layout[0]:
        raise UserError(f"{KEY} is empty: draw a map, a string a line")
    for number, line in enumerate(layout, start=1):
        if len(line) != len(layout[0]):
            raise UserError(
                f"{KEY}, line {number} has length {len(line)}, line 1 has length {len(layout[0])}: "
                "all lines of a map are equally long"
            )
        for column, character in enumerate(line, start=1):
            if character not in known:
                shown = ", ".join(repr(c) for c in known)
                raise UserError(
                    f"{KEY}, line {number}, column {column}: {character!r} is none of {shown}"
                )
    return np.array([list(line) for line in layout])


def only(drawn: np.ndarray, character: str, meaning: str) -> tuple[int, int]:
    """(line, column) of the one place that has this character; UserError for none or more."""
    places = np.argwhere(drawn == character)
    if len(places) != 1:
        where = "; ".join(f"line {r + 1}, column {c + 1}" for r, c in places[:3])
        found = f"{len(places)} {character} ({where})" if len(places) else f"no {character}"
        raise UserError(f"{KEY} has {found}: draw exactly one {meaning}")
    return int(places[0][0]), int(places[0][1])


def successors(allowed: np.ndarray, columns: int, moves: Sequence[Move]) -> np.ndarray:
    """Where each move leads, int [cells, actions]; one that is not `allowed` [same] stays."""
    steps = np.array([down * columns + right for down, right in moves])
    here = np.arange(len(allowed))[:, None]
    return np.where(allowed, here + steps, here)


def leading_to(ends: np.ndarray, following: np.ndarray) -> np.ndarray:
    """bool [cells]: from which of them some moves lead to a cell of `ends` (bool [cells])."""
    found = ends
    while True:
        more = found | found[following].any(1)
        if (more == found).all():
            return found
        found = more


class CellsEnv(BatchEnv):
    """Players on cells, one a row, who begin on one of `starts` and are done on `ends`.

    Observations are the cell's number, int64 [N].
    """

    def __init__(
        self,
        following: np.ndarray,
        starts: np.ndarray,
        ends: np.ndarray,
        num_envs: int,
        max_steps: int | None,
        fps: int,
    ) -> None:
        count, actions = following.shape
        spec = EnvSpec(
            {SOLO: Discrete(count)},
            {SOLO: Discrete(actions)},
            num_envs,
            deterministic=len(starts) == 1,
            random_starts_only=True,
            fps=fps,
        )
        super().__init__(spec, max_steps)
        self.following, self.starts, self.ends = following, starts, ends
        self.cell = np.full(num_envs, starts[0], dtype=np.int64)

    def reset_rows(self, rows: np.ndarray) -> None:
        if len(self.starts) == 1:
            self.cell[rows] = self.starts[0]
        else:
            self.cell[rows] = self.rng.choice(self.starts, size=len(rows))

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        self.cell = self.following[self.cell, actions]
        ended = self.ends[self.cell]
        return self.rewards(ended), ended, {"is_success": ended.astype(np.float64)}

    @abstractmethod
    def rewards(self, ended: np.ndarray) -> np.ndarray:
        """Of the move each row has just made, [N]; `ended` says which reached an end."""

    def observe_rows(self) -> Tree:
        return self.cell.copy()

    def game_state(self) -> State:
        return {"cell": self.cell.copy()}

    def load_game_state(self, state: State) -> None:
        self.cell = np.array(state["cell"])


def tile_size(rows: int, columns: int) -> int:
    """Pixels of a cell's side, so that a map of any size is a picture of some 400 pixels."""
    return int(np.clip(400 // max(rows, columns), 12, 80))
