"""Replay for pictures: each is stored once, stacks are rebuilt when sampled.

A stacked observation repeats the pictures of the three before it, and a transition's next_obs those
of its obs: stored naively that is eight pictures a transition, here it is one. (Mnih et al. 2015
keep their memory the same way.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rlexp.buffers.base import (
    Batch,
    Segments,
    Storage,
    item_bytes,
    mask_column,
    mask_or_all,
)
from rlexp.buffers.priorities import make_priorities
from rlexp.buffers.rings import Rings
from rlexp.envs.base import is_image
from rlexp.types import EnvSpec, Seat, State, Transition

BLOCK = 512
NEXT_MASK = "next_action_mask"


def _columns(spec: EnvSpec, seat: Seat) -> dict[str, tuple[tuple[int, ...], Any]]:
    space, actions = spec.observation_spaces[seat], spec.action_spaces[seat]
    assert space.shape is not None
    columns: dict[str, tuple[tuple[int, ...], Any]] = {
        "picture": ((space.shape[0] // spec.frame_stack, *space.shape[1:]), np.uint8),
        "action": (actions.shape or (), actions.dtype or np.int64),
        "reward": ((), np.float32),
        "terminated": ((), np.bool_),
        "ended": ((), np.bool_),
        "moved": ((), np.bool_),  # something was done here: a transition starts in this slot
        "age": ((), np.uint8),
    }
    # Of the transition that starts here: a slot's own mask is not known where a game begins.
    return columns | mask_column(spec, seat, NEXT_MASK)


class FrameBuffer:
    """A ring of pictures for every row.

    Slot i of a row holds a picture and what was done on seeing it; its successor is slot i + 1. A
    game's last picture has a slot, too, on which nothing was done. `age` is the number of pictures
    before a slot in the same game, counted up to stack - 1: a stack never looks past its game.
    Sampling is with replacement, uniform or by priorities.
    """

    def __init__(
        self, capacity: int, spec: EnvSpec, seat: Seat, storage: Storage, **priority: Any
    ) -> None:
        space = spec.observation_spaces[seat]
        if not is_image(space):
            raise ValueError("the frames buffer stores uint8 pictures [C, H, W]")
        assert space.shape is not None
        self.stack, rows = spec.frame_stack, spec.num_envs
        self.channels = space.shape[0] // self.stack
        slots = capacity // rows
        if slots <= self.stack:
            raise ValueError(f"capacity={capacity} must be more than {self.stack * rows}")
        self.rings = Rings(rows, slots)
        self.capacity = slots * rows
        self.priorities = make_priorities(self.rings, **priority)
        self.data = Segments(self.capacity, BLOCK)
        self.data.arrays = storage.make_all(self.capacity, _columns(spec, seat))
        self.open = np.zeros(rows, dtype=bool)  # the newest picture awaits its move
        self.count = 0

    @staticmethod
    def bytes_per_item(spec: EnvSpec, seat: Seat) -> int:
        """Of one picture and what belongs to it."""
        return item_bytes(_columns(spec, seat))

    def __len__(self) -> int:
        """Transitions that can be sampled, but for the few whose stack the ring has cut."""
        return self.count

    def add(self, t: Transition) -> None:
        assert isinstance(t.obs, np.ndarray) and isinstance(t.next_obs, np.ndarray)
        fresh = ~self.open[t.rows]
        if fresh.any():
            self._begin(t.rows[fresh], t.obs[fresh])
        arrays = self.data.arrays
        at = self.rings.newest(t.rows)
        for name in ("action", "reward", "terminated", "ended"):
            arrays[name][at] = getattr(t, name)
        if NEXT_MASK in arrays:
            arrays[NEXT_MASK][at] = mask_or_all(t, NEXT_MASK)
        arrays["moved"][at] = True
        self.data.touch(at)
        if self.priorities is not None:
            self.priorities.add(at)
        self.count += len(at)
        age = np.minimum(arrays["age"][at].astype(np.int64) + 1, self.stack - 1)
        self._push(t.rows, t.next_obs[:, -self.channels :], age)
        self.open[t.rows] = ~t.ended

    def _begin(self, rows: np.ndarray, obs: np.ndarray) -> None:
        """A game's first observations. A game that goes on from its midst (envs/retries.py) opens
        with pictures that differ: those before the newest get slots, too, on which nothing is done.
        """
        pictures = obs.reshape(len(rows), self.stack, self.channels, *obs.shape[2:])
        past = (pictures[:, :-1] != pictures[:, -1:]).any(axis=(1, 2, 3, 4))
        for i in range(self.stack - 1 if past.any() else 0):
            self._push(rows[past], pictures[past, i], age=np.full(past.sum(), i))
        self._push(rows, pictures[:, -1], age=np.where(past, self.stack - 1, 0))

    def _push(self, rows: np.ndarray, pictures: np.ndarray, age: np.ndarray) -> None:
        """One more picture for each of `rows`; the oldest of a full ring makes room."""
        arrays = self.data.arrays
        at = self.rings.push(rows)
        self.count -= int(arrays["moved"][at].sum())
        arrays["picture"][at] = pictures
        arrays["moved"][at] = False
        arrays["age"][at] = age
        self.data.touch(at)
        if self.priorities is not None:
            self.priorities.drop(at)

    def truncate(self, rows: np.ndarray) -> None:
        """Close the games in progress in these rows; the picture that awaits a move is the last."""
        rows = rows[self.open[rows]]
        at = self.rings.index(rows, self.rings.written[rows] - 2)
        self.data.arrays["ended"][at] = True
        self.data.touch(at)
        self.open[rows] = False

    def sample(
        self, batch_size: int, rng: np.random.Generator, n_step: int = 1, gamma: float = 1.0
    ) -> Batch:
        arrays = self.data.arrays
        # A full ring may have dropped the older pictures of a stack.
        row, slot = self.rings.draw(
            batch_size,
            rng,
            lambda at, place: arrays["moved"][at] & (place >= arrays["age"][at]),
            self.priorities,
        )
        returns, discount, last = self.rings.look_ahead(arrays, row, slot, n_step, gamma)
        batch = Batch(
            obs=self._stacks(row, slot),
            action=arrays["action"][self.rings.index(row, slot)],
            reward=returns,
            next_obs=self._stacks(row, last + 1),
            discount=discount,
            next_action_mask=(
                arrays[NEXT_MASK][self.rings.index(row, last)] if NEXT_MASK in arrays else None
            ),
        )
        return batch if self.priorities is None else self.priorities.weigh(batch, row, slot)

    def update_priorities(self, index: np.ndarray, error: np.ndarray) -> None:
        """TD errors [B] of the moves of a batch, by its index."""
        assert self.priorities is not None
        self.priorities.update(index, error)

    def _stacks(self, row: np.ndarray, slot: np.ndarray) -> np.ndarray:
        """Observations [B, stack * C, H, W] as the environment gave them."""
        arrays = self.data.arrays
        age = arrays["age"][self.rings.index(row, slot)].astype(np.int64)
        back = np.minimum(np.arange(self.stack - 1, -1, -1), age[:, None])
        at = self.rings.index(row[:, None], slot[:, None] - back)
        pictures = arrays["picture"][at]  # [B, stack, C, H, W]
        return pictures.reshape(len(row), -1, *pictures.shape[3:])

    def state_dict(self) -> State:
        found: State = {
            "written": self.rings.written.copy(),
            "open": self.open.copy(),
            "count": self.count,
            "data": self.data,
        }
        if self.priorities is not None:
            found["priorities"] = self.priorities.state_dict()
        return found

    def load_state_dict(self, state: State) -> None:
        self.rings.written[:] = state["written"]
        self.open[:] = state["open"]
        self.count = state["count"]
        state["data"].restore(self.data)
        if self.priorities is not None:
            self.priorities.load_state_dict(state["priorities"])
