"""Prioritised replay (Schaul et al. 2016, proportional variant): what surprised is drawn more.

A move is drawn with probability P(i) = p_i / sum of all p, where p_i = (|TD error| + eps) ** alpha
(eq. 1). Its loss is multiplied by (1 / P(i)) ** beta, divided by the batch's largest (section 3.4),
since the mean over moves drawn so is not the one that Q-learning wants. beta rises to 1.

Departure from the paper: moves are drawn independently, not one from each of `size` equal shares.
"""

from __future__ import annotations

import numpy as np

from rlexp.buffers.base import Batch
from rlexp.buffers.rings import Rings
from rlexp.types import State

BYTES = 32
"""What a slot takes at most: two numbers, and a tree has room for up to twice its size."""


class SumTree:
    """Numbers at least 0 by place, and where a running sum of them passes a mark, in log2 steps.

    Node i is the sum of 2i and 2i + 1; node 1 is the root and the numbers are the leaves. A node is
    always its children's sum, never corrected by a difference, so that the tree is a function of
    its leaves: rebuilt from them, it has the same bits.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.depth = max(1, (size - 1).bit_length())
        self.first = 1 << self.depth  # the leaf of place 0
        self.sums = np.zeros(2 * self.first)

    @property
    def total(self) -> float:
        return float(self.sums[1])

    @property
    def leaves(self) -> np.ndarray:
        return self.sums[self.first : self.first + self.size]

    def set(self, at: np.ndarray, values: np.ndarray | float) -> None:
        """Numbers at some places; the last counts where a place comes twice."""
        node = at + self.first
        self.sums[node] = values
        for _ in range(self.depth):
            node = node >> 1
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1]

    def fill(self, values: np.ndarray) -> None:
        """All numbers anew."""
        self.leaves[:] = values
        level = self.first
        while level > 1:
            pairs = self.sums[level : 2 * level]
            level //= 2
            self.sums[level : 2 * level] = pairs[::2] + pairs[1::2]

    def find(self, marks: np.ndarray) -> np.ndarray:
        """The place where the running sum exceeds each mark in [0, total); never one that has 0."""
        node, rest = np.ones(len(marks), dtype=np.int64), marks.copy()
        for _ in range(self.depth):
            left = self.sums[2 * node]
            # What is left of a mark may be rounded up to all there is.
            right = (rest >= left) & (self.sums[2 * node + 1] > 0)
            rest -= np.where(right, left, 0.0)
            node = 2 * node + right
        found: np.ndarray = node - self.first
        return found


class Priorities:
    """How often each slot of `rings` is drawn. A new move gets the highest priority so far.

    `beta_steps` moves after the first, `beta` has risen linearly to 1; None keeps it.
    """

    def __init__(
        self, rings: Rings, alpha: float, beta: float, beta_steps: int | None, eps: float
    ) -> None:
        self.rings, self.alpha, self.eps = rings, alpha, eps
        self.first_beta, self.beta_steps = beta, beta_steps
        self.tree = SumTree(rings.rows * rings.slots)
        self.highest = 1.0  # of p, which is what the tree holds
        self.added = 0

    @property
    def beta(self) -> float:
        if self.beta_steps is None:
            return self.first_beta
        return self.first_beta + (1 - self.first_beta) * min(1.0, self.added / self.beta_steps)

    def add(self, at: np.ndarray) -> None:
        """Moves that nobody has learnt from."""
        self.tree.set(at, self.highest)
        self.added += len(at)

    def drop(self, at: np.ndarray) -> None:
        """Slots without a move are never drawn."""
        self.tree.set(at, 0.0)

    def draw(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Indices of slots [size], with replacement."""
        return self.tree.find(rng.random(size) * self.tree.total)

    def weigh(self, batch: Batch, row: np.ndarray, slot: np.ndarray) -> Batch:
        """The batch with its weights, and with the numbers by which `update` knows its moves."""
        p = self.tree.leaves[self.rings.index(row, slot)]
        batch.weights = ((p / p.min()) ** -self.beta).astype(np.float32)
        batch.index = slot * self.rings.rows + row
        return batch

    def update(self, index: np.ndarray, error: np.ndarray) -> None:
        """TD errors of moves that were drawn; those that made room since are left out."""
        slot, row = np.divmod(index, self.rings.rows)
        there = slot >= self.rings.written[row] - self.rings.slots
        p = (np.abs(error[there]).astype(np.float64) + self.eps) ** self.alpha
        self.tree.set(self.rings.index(row, slot)[there], p)
        self.highest = max(self.highest, float(p.max(initial=0.0)))

    def state_dict(self) -> State:
        return {"p": self.tree.leaves.copy(), "highest": self.highest, "added": self.added}

    def load_state_dict(self, state: State) -> None:
        self.tree.fill(state["p"])
        self.highest, self.added = state["highest"], state["added"]


def make_priorities(
    rings: Rings,
    priority_alpha: float = 0.0,
    priority_beta: float = 0.4,
    priority_beta_steps: int | None = None,
    priority_eps: float = 1e-6,
) -> Priorities | None:
    """From a buffer's keys; None for uniform replay (alpha 0)."""
    if priority_alpha == 0:
        return None
    return Priorities(rings, priority_alpha, priority_beta, priority_beta_steps, priority_eps)
