"""A lost game is tried again from a moment before its end, found by the player itself.

A player that dies at the first pit hardly ever sees the second: most of its moves are spent on the
part it already knows. Beginning games where earlier ones went wrong spends them where something is
to be learnt (restart distributions: Tavakoli et al. 2018; Salimans & Chen 2018 go back along one
demonstration). Evaluation always plays whole games.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlexp.types import State

EVERY = 4
"""Moves between two moments that are kept: a snapshot is cheap, but holds a screen."""


@dataclass
class Moment:
    """A game after `moves` moves, as a snapshot that only this process can read."""

    moves: int
    snapshot: Any


class Retries:
    """Of one game at a time: its opening, its moves, and snapshots of its latest moments.

    With `probability`, a lost game goes on `low` to `high` moves before its end. What was played
    until there can be played again from the game's opening, so `state` holds moves, no snapshots.
    """

    def __init__(self, probability: float, back: list[int]) -> None:
        self.probability, (self.low, self.high) = probability, back
        # Twice as far back as one loss goes: a retry that is lost at once goes back further.
        self.moments: deque[Moment] = deque(maxlen=2 * (-(-self.high // EVERY) + 1))
        self.opening = 0  # frames without a button
        self.actions: list[int] = []
        self.lost = False

    def begin(self, opening: int) -> None:
        """A game from the start."""
        self.opening, self.actions, self.lost = opening, [], False
        self.moments.clear()

    def played(self, action: int) -> bool:
        """A move was made; True where a snapshot of the game as it is now is wanted."""
        self.actions.append(action)
        return len(self.actions) % EVERY == 0

    def keep(self, snapshot: Any) -> None:
        self.moments.append(Moment(len(self.actions), snapshot))

    def draw(self, rng: np.random.Generator) -> int | None:
        """After how many moves the game that was lost shall go on; None for a new one."""
        if not self.lost or rng.random() >= self.probability:
            return None
        moves = len(self.actions) - int(rng.integers(self.low, self.high + 1))
        return moves // EVERY * EVERY if moves >= EVERY else None

    def back_to(self, moves: int) -> Moment | None:
        """Forget what came after; None where that moment's snapshot isn't here (after a resume)."""
        self.actions, self.lost = self.actions[:moves], False
        while self.moments and self.moments[-1].moves > moves:
            self.moments.pop()
        if self.moments and self.moments[-1].moves == moves:
            return self.moments[-1]
        self.moments.clear()
        return None

    def state(self) -> State:
        return {"opening": self.opening, "actions": list(self.actions), "lost": self.lost}

    def load(self, state: State) -> None:
        self.begin(int(state["opening"]))
        self.actions = [int(action) for action in state["actions"]]
        self.lost = bool(state["lost"])
