"""Replay of sequences: chunks of play as it happened, over the ends of games.

A slot holds an observation and what led to it: the action before, the reward of the step INTO it,
whether it opens a game and whether the game terminated there. A game's last observation has a slot
like every other, so that deaths are learnt. A row's games follow one another in its ring, and a
chunk may begin in one and end in the next: `first` says where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlexp.buffers.base import Segments, Storage, item_bytes, mask_column
from rlexp.buffers.rings import Rings
from rlexp.envs.base import is_image
from rlexp.types import EnvSpec, Seat, State, Transition

BLOCK_PICTURES, BLOCK_VECTORS = 256, 8192
MASK = "action_mask"


@dataclass(slots=True)
class Chunks:
    """T steps of B sequences.

    obs         [T, B, …]  as the environment gave them
    action      float32 [T, B, A]  that led to obs, as the model sees it; zeros where `first`
    reward      float32 [T, B]  of the step into obs; 0 where `first`
    first       bool [T, B]  obs opens a game
    terminated  bool [T, B]  the game ended here
    action_mask bool [T, B, actions]  what is legal on seeing obs; None where everything always is
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    first: np.ndarray
    terminated: np.ndarray
    action_mask: np.ndarray | None = None


def _columns(spec: EnvSpec, seat: Seat) -> dict[str, tuple[tuple[int, ...], Any]]:
    space = spec.observation_spaces[seat]
    assert space.shape is not None
    columns: dict[str, tuple[tuple[int, ...], Any]] = {
        "obs": (space.shape, space.dtype),
        "action": ((_action_size(spec, seat),), np.float32),
        "reward": ((), np.float32),
        "first": ((), np.bool_),
        "terminated": ((), np.bool_),
    }
    return columns | mask_column(spec, seat, MASK)


class SequenceBuffer:
    """A ring of slots for every row; a chunk begins in any slot that has enough behind it.

    `recent_share` of the chunks come from the newest `recent` slots (of all rows together), the
    others from all.
    """

    def __init__(
        self,
        capacity: int,
        spec: EnvSpec,
        seat: Seat,
        storage: Storage,
        recent_share: float = 0.0,
        recent: int = 1,
    ) -> None:
        space = spec.observation_spaces[seat]
        slots = capacity // spec.num_envs
        if slots < 2:
            raise ValueError(f"capacity={capacity} must be at least {2 * spec.num_envs}")
        self.rings = Rings(spec.num_envs, slots)
        self.capacity = slots * spec.num_envs
        self.recent_share, self.recent = recent_share, max(1, recent // spec.num_envs)
        self.data = Segments(self.capacity, BLOCK_PICTURES if is_image(space) else BLOCK_VECTORS)
        self.data.arrays = storage.make_all(self.capacity, _columns(spec, seat))
        self.has_masks = MASK in self.data.arrays
        self.open = np.zeros(spec.num_envs, dtype=bool)  # the newest slot's game goes on

    @staticmethod
    def bytes_per_item(spec: EnvSpec, seat: Seat) -> int:
        """Return the bytes that one slot takes."""
        return item_bytes(_columns(spec, seat))

    def __len__(self) -> int:
        """Observations held."""
        return int(np.minimum(self.rings.written, self.rings.slots).sum())

    def add(self, t: Transition, action: np.ndarray, drop_last: bool = False) -> None:
        """`action` float32 [B, A]: the transition's, as the model sees it.

        `drop_last` forgets the observation and reward that end a game: a mistake, to see its cost.
        """
        fresh = ~self.open[t.rows]
        if fresh.any():
            assert isinstance(t.obs, np.ndarray)
            rows, count = t.rows[fresh], int(fresh.sum())
            nothing = np.zeros((count, action.shape[1]), dtype=np.float32)
            no = np.zeros(count, dtype=bool)
            self._push(rows, t.obs[fresh], nothing, np.zeros(count, np.float32), ~no, no)
            self._store_mask(rows, t.action_mask, fresh)
        assert isinstance(t.next_obs, np.ndarray)
        kept = ~t.ended if drop_last else np.ones(len(t.rows), dtype=bool)
        if kept.any():
            no = np.zeros(int(kept.sum()), dtype=bool)
            self._push(t.rows[kept], t.next_obs[kept], action[kept], t.reward[kept], no,
                       t.terminated[kept])  # fmt: skip
            self._store_mask(t.rows[kept], t.next_action_mask, kept)
        self.open[t.rows] = ~t.ended

    def _push(self, rows: np.ndarray, obs: np.ndarray, action: np.ndarray, reward: np.ndarray,
              first: np.ndarray, terminated: np.ndarray) -> None:  # fmt: skip
        at = self.rings.push(rows)
        arrays = self.data.arrays
        arrays["obs"][at], arrays["action"][at], arrays["reward"][at] = obs, action, reward
        arrays["first"][at], arrays["terminated"][at] = first, terminated
        self.data.touch(at)

    def _store_mask(self, rows: np.ndarray, mask: np.ndarray | None, moved: np.ndarray) -> None:
        """Store the entries `moved` of `mask` in the newest slots of `rows`."""
        if self.has_masks:
            self.data.arrays[MASK][self.rings.newest(rows)] = True if mask is None else mask[moved]

    def truncate(self, rows: np.ndarray) -> None:
        """Close the games in progress in these rows: the next observation opens another."""
        self.open[rows] = False

    def ready(self, length: int) -> bool:
        """Is there a chunk of that length?"""
        return bool((np.minimum(self.rings.written, self.rings.slots) >= length).any())

    def sample(self, batch_size: int, length: int, rng: np.random.Generator) -> Chunks:
        """Chunks of `length` steps; every possible beginning is equally likely."""
        newest = rng.binomial(batch_size, self.recent_share) if self.recent_share > 0 else 0
        row, slot = self._begin(batch_size - newest, length, self.rings.slots, rng)
        if newest:
            window = max(self.recent, length)
            more_rows, more_slots = self._begin(newest, length, window, rng)
            row, slot = np.concatenate([row, more_rows]), np.concatenate([slot, more_slots])
        at = self.rings.index(row, slot + np.arange(length)[:, None])  # [T, B]
        return Chunks(**{name: array[at] for name, array in self.data.arrays.items()})

    def _begin(
        self, size: int, length: int, window: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(row, slot) where chunks begin, that lie in the newest `window` slots of their row."""
        filled = np.minimum(np.minimum(self.rings.written, self.rings.slots), window)
        starts = np.maximum(filled - length + 1, 0)
        edges = np.cumsum(starts)
        if edges[-1] == 0:
            raise RuntimeError(f"the buffer holds no {length} steps in a row yet")
        pick = rng.integers(edges[-1], size=size)
        row = np.searchsorted(edges, pick, side="right")
        place = pick - (edges[row] - starts[row])
        return row, self.rings.written[row] - filled[row] + place

    def state_dict(self) -> State:
        return {
            "written": self.rings.written.copy(),
            "open": self.open.copy(),
            "data": self.data,
        }

    def load_state_dict(self, state: State) -> None:
        self.rings.written[:] = state["written"]
        self.open[:] = state["open"]
        state["data"].restore(self.data)


def _action_size(spec: EnvSpec, seat: Seat) -> int:
    """One-hot where actions are numbers, the numbers themselves elsewhere."""
    space = spec.action_spaces[seat]
    count = getattr(space, "n", None)
    return int(count) if count is not None else int(np.prod(space.shape or (1,)))
