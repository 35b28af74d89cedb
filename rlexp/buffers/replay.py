"""Uniform replay of whole transitions (Lin 1992): the buffer of vector observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Space

from rlexp.buffers.base import Batch, Segments, Storage
from rlexp.types import EnvSpec, Seat, State, Transition

BLOCK = 8192


def _columns(space: Space[Any], action_space: Space[Any]) -> dict[str, tuple[tuple[int, ...], Any]]:
    assert space.shape is not None and action_space.shape is not None
    return {
        "obs": (space.shape, space.dtype),
        "next_obs": (space.shape, space.dtype),
        "action": (action_space.shape, action_space.dtype),
        "reward": ((), np.float32),
        "terminated": ((), np.bool_),
    }


class ReplayBuffer:
    """A ring of `capacity` transitions; sampling is uniform, with replacement."""

    def __init__(self, capacity: int, spec: EnvSpec, seat: Seat, storage: Storage) -> None:
        self.capacity = capacity
        columns = _columns(spec.observation_spaces[seat], spec.action_spaces[seat])
        self.data = Segments(capacity, BLOCK)
        for name, (shape, dtype) in columns.items():
            self.data.arrays[name] = storage.make(name, (capacity, *shape), dtype)
        self.head = 0  # where the next transition goes
        self.count = 0

    @staticmethod
    def bytes_per_item(spec: EnvSpec, seat: Seat) -> int:
        """Of one transition."""
        columns = _columns(spec.observation_spaces[seat], spec.action_spaces[seat])
        return sum(int(np.prod(s)) * np.dtype(d).itemsize for s, d in columns.values())

    def __len__(self) -> int:
        return self.count

    def add(self, t: Transition) -> None:
        size = len(t.rows)
        at = (self.head + np.arange(size)) % self.capacity
        arrays = self.data.arrays
        for name in ("obs", "next_obs", "action", "reward", "terminated"):
            arrays[name][at] = getattr(t, name)
        self.data.touch(at)
        self.head = int((self.head + size) % self.capacity)
        self.count = min(self.count + size, self.capacity)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        at = rng.integers(self.count, size=batch_size)
        arrays = self.data.arrays
        return Batch(
            obs=arrays["obs"][at],
            action=arrays["action"][at],
            reward=arrays["reward"][at],
            next_obs=arrays["next_obs"][at],
            terminated=arrays["terminated"][at],
        )

    def state_dict(self) -> State:
        return {"head": self.head, "count": self.count, "data": self.data}

    def load_state_dict(self, state: State) -> None:
        self.head, self.count = state["head"], state["count"]
        state["data"].restore(self.data)
