"""Numbers that are none: noticed before they reach the weights, with the batch that made them."""

from __future__ import annotations

import math
from typing import Any

from rlexp.types import Metrics


class NonFinite(Exception):
    """A metric became NaN or infinite; `batch` is what was being learnt from."""

    def __init__(self, name: str, value: float, batch: Any = None) -> None:
        self.name, self.value, self.batch = name, value, batch
        super().__init__(f"{name} is {value}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.value, self.batch)


def require_finite(metrics: Metrics, batch: Any = None) -> None:
    """Raise NonFinite for the first metric, in the order given, that is not a finite number.

    Call it between the gradients and the optimizer's step, losses first: then the weights are still
    the last good ones, and the name says what went first.
    """
    for name, value in metrics.items():
        number = float(value)
        if not math.isfinite(number):
            raise NonFinite(name, number, batch)
