"""One ring of slots for every row, and what both replay buffers do on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rlexp.buffers.priorities import Priorities


class Rings:
    """Slots of a row are counted since the start; slot s lives at index s % slots of its ring."""

    def __init__(self, rows: int, slots: int) -> None:
        self.rows, self.slots = rows, slots
        self.written = np.zeros(rows, dtype=np.int64)  # slots ever begun, a row

    def index(self, row: np.ndarray, slot: np.ndarray) -> np.ndarray:
        """Where the slots are in arrays of all rows."""
        return row * self.slots + slot % self.slots

    def newest(self, rows: np.ndarray) -> np.ndarray:
        """Index of each row's newest slot."""
        return self.index(rows, self.written[rows] - 1)

    def push(self, rows: np.ndarray) -> np.ndarray:
        """Begin a slot in each of `rows`, dropping the oldest of a full ring; gives the indices."""
        self.written[rows] += 1
        return self.newest(rows)

    def draw(
        self,
        size: int,
        rng: np.random.Generator,
        good: Callable[[np.ndarray, np.ndarray], np.ndarray],
        priorities: Priorities | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(row, slot) of `size` slots, of all that `good(index, place)` accepts: uniform, or by
        their priorities.

        `place` counts from 0 for the oldest slot its ring still has.
        """
        filled = np.minimum(self.written, self.slots)
        edges, oldest = np.cumsum(filled), self.written - filled
        rows, slots, found = [], [], 0
        for _ in range(1000):
            if priorities is None:
                pick = rng.integers(edges[-1], size=size)
                row = np.searchsorted(edges, pick, side="right")
                place = pick - (edges[row] - filled[row])
            else:
                row, column = np.divmod(priorities.draw(size, rng), self.slots)
                place = (column - oldest[row]) % self.slots
            slot = oldest[row] + place
            keep = good(self.index(row, slot), place)
            rows.append(row[keep])
            slots.append(slot[keep])
            found += int(keep.sum())
            if found >= size:
                return np.concatenate(rows)[:size], np.concatenate(slots)[:size]
        raise RuntimeError("the buffer holds no complete transition yet")

    def look_ahead(
        self,
        arrays: dict[str, np.ndarray],
        row: np.ndarray,
        slot: np.ndarray,
        n: int,
        gamma: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Up to `n` moves from each slot, never past its game: (return, discount, last slot).

        return    r_t + gamma r_{t+1} + … of the k <= n moves there are
        discount  gamma^k, or 0 where the game terminated: times the value of the last successor
        Reads "reward", "terminated" and "ended"; slots that were begun but not yet moved in end
        the look, too, since their move is still to come.
        """
        at = self.index(row, slot)
        returns = arrays["reward"][at].astype(np.float64)
        discount = np.full(len(row), gamma)
        last, going = slot.copy(), ~arrays["ended"][at]
        for k in range(1, n):
            following = slot + k
            at = self.index(row, following)
            going &= following < self.written[row]
            if "moved" in arrays:
                going &= arrays["moved"][at]
            returns += np.where(going, discount * arrays["reward"][at], 0.0)
            discount = np.where(going, discount * gamma, discount)
            last = np.where(going, following, last)
            going &= ~arrays["ended"][at]
        ends = arrays["terminated"][self.index(row, last)]
        discount = np.where(ends, 0.0, discount)
        return returns.astype(np.float32), discount.astype(np.float32), last
