"""How far a run is, and when something is due: in environment steps, or in episodes as "10ep"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlexp.types import Tick

_EPISODES = re.compile(r"^\s*([0-9][0-9_]*(?:\.[0-9]*)?(?:[eE]\+?[0-9]+)?)\s*(ep)?\s*$")


@lru_cache
def parse_every(value: int | str) -> tuple[int, str]:
    """`1000` → (1000, "steps"), `"10ep"` → (10, "episodes"). ValueError for anything else."""
    match = _EPISODES.match(str(value))
    number = float(match[1]) if match else 0.0
    if match is None or number < 1 or not number.is_integer():
        raise ValueError("expected a whole number of steps, such as 1000, or of episodes: 10ep")
    return int(number), "episodes" if match[2] else "steps"


@dataclass(slots=True)
class Clock:
    """Counts steps (over all rows) and episodes; the first limit reached ends the run, or the team
    that has nothing left to learn (`stopped`).

    Everything periodic asks `crossed`, which compares the counts before and after the last tick,
    so that nothing periodic has a counter of its own that a resumed run could get wrong.
    """

    total_steps: int | None = None
    total_episodes: int | None = None
    steps: int = 0
    episodes: int = 0
    previous_steps: int = 0
    previous_episodes: int = 0
    stopped: bool = False

    @property
    def running(self) -> bool:
        if self.stopped:
            return False
        if self.total_steps is not None and self.steps >= self.total_steps:
            return False
        return self.total_episodes is None or self.episodes < self.total_episodes

    def advance(self, tick: Tick) -> None:
        self.previous_steps, self.previous_episodes = self.steps, self.episodes
        self.steps += tick.steps
        self.episodes += len(tick.episodes)

    def crossed(self, every: int | str | None) -> int:
        """How many multiples of `every` the last tick passed; 0 when `every` is None."""
        if every is None:
            return 0
        period, unit = parse_every(every)
        if unit == "episodes":
            return self.episodes // period - self.previous_episodes // period
        return self.steps // period - self.previous_steps // period

    def crossings(self, every: int | str | None) -> list[float]:
        """Give the position of each multiple of `every` within the last tick: above 0, up to 1.

        A tick of 8 steps that started at step 16 passed step 20 at 0.5. Episodes of one tick are
        spread evenly over it, so what counts steps and what counts episodes can be put in order.
        """
        if every is None:
            return []
        period, unit = parse_every(every)
        before, after = self.previous_steps, self.steps
        if unit == "episodes":
            before, after = self.previous_episodes, self.episodes
        multiples = range((before // period + 1) * period, after + 1, period)
        return [(multiple - before) / (after - before) for multiple in multiples]

    def reached(self, at: int | str) -> bool:
        """True once the count is `at` or more; `at` may be 0."""
        if str(at) == "0":
            return True
        count, unit = parse_every(at)
        return (self.episodes if unit == "episodes" else self.steps) >= count

    def state_dict(self) -> dict[str, int]:
        """The counts; limits belong to the config, which a resumed run may raise."""
        names = ("steps", "episodes", "previous_steps", "previous_episodes", "stopped")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, int]) -> None:
        for name, value in state.items():
            setattr(self, name, type(getattr(self, name))(value))
