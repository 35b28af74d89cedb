"""What an on-policy agent has played since its last update."""

from __future__ import annotations

import numpy as np

from rlexp.types import State


class Rollout:
    """`steps` moves of every row, as they come; each column becomes [T, N, …] when it is taken."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.columns: dict[str, list[np.ndarray]] = {}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def full(self) -> bool:
        return len(self) >= self.steps

    def add(self, **values: np.ndarray) -> None:
        """One move of all rows: arrays [N, …], the same names every time."""
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)

    def truncate(self, rows: np.ndarray, next_value: np.ndarray) -> None:
        """End the games of these rows with the last step; its successors are worth that, [B]."""
        for name, value in (("ended", True), ("next_value", next_value)):
            column = self.columns[name][-1].copy()  # the environment's own array, perhaps
            column[rows] = value
            self.columns[name][-1] = column

    def take(self) -> dict[str, np.ndarray]:
        """All columns; the rollout is empty afterwards."""
        found = {name: np.stack(values) for name, values in self.columns.items()}
        self.columns = {}
        return found

    def state_dict(self) -> State:
        return {name: np.stack(values) for name, values in self.columns.items()}

    def load_state_dict(self, state: State) -> None:
        self.columns = {name: list(values) for name, values in state.items()}
