"""Intervals: Student's t for means, Wilson (1927) for rates. Confusion of classes,
rank correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Two-sided 95 % interval of the mean; None for fewer than two values."""
    count = len(values)
    if count < 2:
        return None
    from scipy.special import stdtrit  # here, since the import takes a third of a second

    spread = float(np.std(values, ddof=1)) / math.sqrt(count)
    half = float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * spread
    middle = float(np.mean(values))
    return middle - half, middle + half


def rate_interval(successes: int, count: int) -> tuple[float, float] | None:
    """Two-sided 95 % Wilson score interval of a rate; None for fewer than two trials."""
    if count < 2:
        return None
    from scipy.special import ndtri

    z = float(ndtri(0.5 + CONFIDENCE / 2))
    rate = successes / count
    scale = 1 + z * z / count
    middle = (rate + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion(actual: np.ndarray, said: np.ndarray, classes: int) -> np.ndarray:
    """Counts int [classes, classes]: the row is what it was, the column what was said."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (actual, said), 1)
    return table


def spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's correlation of the ranks, ties at their mean rank; None where one is constant."""
    centred = []
    for values in (x, y):
        _, at, ties = np.unique(values, return_inverse=True, return_counts=True)
        if len(ties) < 2:
            return None
        rank = np.cumsum(ties) - (ties - 1) / 2
        centred.append(rank[at] - (len(values) + 1) / 2)
    first, second = centred
    return float((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))
