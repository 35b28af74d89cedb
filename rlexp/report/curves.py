"""Learning curves of a group: the middle of its seeds, and how far they may be from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlexp.report import bootstrap
from rlexp.report.reading import Run

POINTS = 120
REPETITIONS = 400


@dataclass
class Curve:
    """IQM over seeds at each step, float [n]; NaN where no run has been. `low` and `high`: the 95 %
    bootstrap interval, of one run the curve itself. `runs`: every seed's own [seeds, n]."""

    steps: np.ndarray
    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray
    runs: np.ndarray


def grid(runs: Sequence[Run], name: str, points: int = POINTS) -> np.ndarray | None:
    """Steps that suit all these runs; None where none has two values of this metric."""
    found = [steps for run in runs if len(steps := run.series.points(name)[0]) > 1]
    if not found:
        return None
    logged = np.unique(np.concatenate([np.asarray(steps) for steps in found]))
    if len(logged) <= points:
        return logged
    return np.unique(np.linspace(logged[0], logged[-1], points).round().astype(np.int64))


def curve(runs: Sequence[Run], name: str, steps: np.ndarray) -> Curve | None:
    """Straight lines between what was logged, nothing before and after; None without values."""
    rows = []
    for run in runs:
        at, logged = run.series.points(name)
        if at:
            rows.append(np.interp(steps, at, logged, left=np.nan, right=np.nan))
    if not rows:
        return None
    table = np.stack(rows)
    middle, low, high = (np.full(len(steps), np.nan) for _ in range(3))
    present = ~np.isnan(table)
    rng = np.random.default_rng(0)
    for mask in np.unique(present, axis=1).T:
        here = (present == mask[:, None]).all(axis=0)
        values = table[np.ix_(mask, here)]
        if not len(values):
            continue
        middle[here] = bootstrap.iqm(values, axis=0)
        drawn = values[rng.integers(len(values), size=(REPETITIONS, len(values)))]
        low[here], high[here] = np.percentile(bootstrap.iqm(drawn, axis=1), [2.5, 97.5], axis=0)
    return Curve(steps, middle, low, high, table)
