"""Replay of whole transitions (Lin 1992): the buffer of vector observations."""

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
from rlexp.types import EnvSpec, Seat, State, Transition

BLOCK = 8192
NEXT_MASK = "next_action_mask"


def _columns(spec: EnvSpec, seat: Seat) -> dict[str, tuple[tuple[int, ...], Any]]:
    space, actions = spec.observation_spaces[seat], spec.action_spaces[seat]
    assert space.shape is not None and actions.shape is not None
    columns: dict[str, tuple[tuple[int, ...], Any]] = {
        "obs": (space.shape, space.dtype),
        "next_obs": (space.shape, space.dtype),
        "action": (actions.shape, actions.dtype),
        "reward": ((), np.float32),
        "terminated": ((), np.bool_),
        "ended": ((), np.bool_),
    }
    return columns | mask_column(spec, seat, NEXT_MASK)


class ReplayBuffer:
    """A ring of transitions for every row; drawn with replacement, uniformly or by priorities."""

    def __init__(
        self, capacity: int, spec: EnvSpec, seat: Seat, storage: Storage, **priority: Any
    ) -> None:
        slots = capacity // spec.num_envs
        if slots < 1:
            raise ValueError(f"capacity={capacity} must be at least env.num_envs={spec.num_envs}")
        self.rings = Rings(spec.num_envs, slots)
        self.capacity = slots * spec.num_envs
        self.priorities = make_priorities(self.rings, **priority)
        self.data = Segments(self.capacity, BLOCK)
        self.data.arrays = storage.make_all(self.capacity, _columns(spec, seat))

    @staticmethod
    def bytes_per_item(spec: EnvSpec, seat: Seat) -> int:
        """Of one transition."""
        return item_bytes(_columns(spec, seat))

    def __len__(self) -> int:
        return int(np.minimum(self.rings.written, self.rings.slots).sum())

    def add(self, t: Transition) -> None:
        at = self.rings.push(t.rows)
        for name, array in self.data.arrays.items():
            array[at] = mask_or_all(t, name) if name == NEXT_MASK else getattr(t, name)
        self.data.touch(at)
        if self.priorities is not None:
            self.priorities.add(at)

    def truncate(self, rows: np.ndarray) -> None:
        """Close the games in progress in these rows; their last transitions have all they need."""
        at = self.rings.newest(rows[self.rings.written[rows] > 0])
        at = at[~self.data.arrays["ended"][at]]
        self.data.arrays["ended"][at] = True
        self.data.touch(at)

    def sample(
        self, batch_size: int, rng: np.random.Generator, n_step: int = 1, gamma: float = 1.0
    ) -> Batch:
        arrays = self.data.arrays
        row, slot = self.rings.draw(
            batch_size, rng, lambda at, _: np.ones(len(at), dtype=bool), self.priorities
        )
        returns, discount, last = self.rings.look_ahead(arrays, row, slot, n_step, gamma)
        at, end = self.rings.index(row, slot), self.rings.index(row, last)
        batch = Batch(
            obs=arrays["obs"][at],
            action=arrays["action"][at],
            reward=returns,
            next_obs=arrays["next_obs"][end],
            discount=discount,
            next_action_mask=arrays[NEXT_MASK][end] if NEXT_MASK in arrays else None,
        )
        return batch if self.priorities is None else self.priorities.weigh(batch, row, slot)

    def update_priorities(self, index: np.ndarray, error: np.ndarray) -> None:
        """TD errors [B] of the moves of a batch, by its index."""
        assert self.priorities is not None
        self.priorities.update(index, error)

    def state_dict(self) -> State:
        found: State = {"written": self.rings.written.copy(), "data": self.data}
        if self.priorities is not None:
            found["priorities"] = self.priorities.state_dict()
        return found

    def load_state_dict(self, state: State) -> None:
        self.rings.written[:] = state["written"]
        state["data"].restore(self.data)
        if self.priorities is not None:
            self.priorities.load_state_dict(state["priorities"])
