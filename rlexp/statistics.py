"""Intervals of means and rates; confusion of classes, rank correlation.

No interval leaves the range of what was seen. A rate has Wilson's (1927). A mean has the percentile
bootstrap's, whose percentiles are spread as far as Student's t is wider than a normal distribution
(Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 5.1): without that it is
too narrow for few values.

Where episodes with the same start are the same episode, the starts are the sample, not the
episodes: whole groups are drawn again, each with all of its values (the cluster bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
REPETITIONS = 10_000
DRAWS_AT_ONCE = 2_000_000
"""Numbers drawn at a time, which bounds the memory of a bootstrap over many values."""


def mean_interval(
    values: Sequence[float], groups: Sequence[int] | None = None
) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean; None for fewer than two groups.

    `groups` gives the group of each value; None: every value is independent of the others.
    """
    sums, counts = _by_group(values, groups)
    if len(sums) < 2:
        return None
    kinds = np.unique(np.asarray(values, dtype=float))
    # Two values of which at least one was seen again are outcomes of a coin, so this is a rate.
    if len(kinds) == 2 and len(values) > 2 and len(sums) == len(values):
        low, high = float(kinds[0]), float(kinds[1])
        rate = rate_interval(int(np.sum(np.asarray(values) == high)), len(values))
        assert rate is not None
        return low + (high - low) * rate[0], low + (high - low) * rate[1]
    return _bootstrap(sums, counts)


def share_interval(
    true: Sequence[bool], groups: Sequence[int] | None = None
) -> tuple[float, float] | None:
    """Return the 95 % interval of the share that is true; None for fewer than two groups.

    It is Wilson's over independent values, and a bootstrap over `groups`. Where all groups agree, a
    bootstrap would have no width, so there it is Wilson's again, with each group counted once.
    """
    sums, counts = _by_group([float(value) for value in true], groups)
    successes = int(np.sum(sums > 0))
    if len(sums) == len(true) or successes == 0 or all(true):
        return rate_interval(successes, len(sums))
    return _bootstrap(sums, counts) if len(sums) > 1 else None


def rate_interval(successes: int, count: int) -> tuple[float, float] | None:
    """Two-sided 95 % Wilson score interval of a rate; None for fewer than two trials."""
    if count < 2:
        return None
    from scipy.special import ndtri  # here, since the import takes a third of a second

    z = float(ndtri(0.5 + CONFIDENCE / 2))
    rate = successes / count
    scale = 1 + z * z / count
    middle = (rate + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def percentiles(drawn: np.ndarray, tail: float = (1 - CONFIDENCE) / 2) -> tuple[float, float]:
    """Return what is left between the lowest and the highest share `tail` of them."""
    low, high = np.percentile(drawn, [100 * tail, 100 * (1 - tail)])
    return float(low), float(high)


def _by_group(
    values: Sequence[float], groups: Sequence[int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the values of each group, float [groups]."""
    numbers = np.asarray(values, dtype=float)
    if groups is None:
        return numbers, np.ones(len(numbers))
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    return np.bincount(index, weights=numbers), np.bincount(index).astype(float)


def _bootstrap(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the interval of the mean over all values when their groups are drawn again."""
    from scipy.special import ndtr, stdtrit

    groups = len(sums)
    widest = float(stdtrit(groups - 1, (1 - CONFIDENCE) / 2)) * math.sqrt(groups / (groups - 1))
    rng = np.random.default_rng(0)
    at_once = max(1, DRAWS_AT_ONCE // groups)
    repetitions = min(REPETITIONS, max(1000, 10 * at_once))  # many values: a second is enough
    means = []
    for begin in range(0, repetitions, at_once):
        chosen = rng.integers(groups, size=(min(at_once, repetitions - begin), groups))
        means.append(sums[chosen].sum(1) / counts[chosen].sum(1))
    low, high = percentiles(np.concatenate(means), float(ndtr(widest)))
    # Rounding may lead a mean of equal values past them.
    each = sums / counts
    return max(low, float(each.min())), min(high, float(each.max()))


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
