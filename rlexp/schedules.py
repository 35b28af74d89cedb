"""Numbers that change as training goes on, such as epsilon."""

from __future__ import annotations

from dataclasses import dataclass

from rlexp.schemas.fields import choice, number


@dataclass
class Schedule:
    """A value by steps or episodes, counted since `delay` of them have passed.

    constant:     start
    linear:       from start to end in `length` units, then end
    exponential:  start * decay ** units, never past end
    """

    kind: str = choice("constant", "linear", "exponential")
    start: float = number()
    end: float = number()
    unit: str = choice("step", "episode")
    delay: int = number(low=0)
    length: int = number(low=1)
    decay: float = number(low=0, high=1)

    def value(self, steps: int, episodes: int) -> float:
        count = max(0, (steps if self.unit == "step" else episodes) - self.delay)
        if self.kind == "constant":
            return self.start
        if self.kind == "linear":
            return self.start + (self.end - self.start) * min(1.0, count / self.length)
        return max(self.end, self.start * self.decay**count)
