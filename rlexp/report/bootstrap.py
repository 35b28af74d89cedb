"""How sure a few seeds make us: interquartile means and bootstrap intervals.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice", as
their library rliable computes them. Scores come in strata (one a task): each is a list with one
number a run. Runs are drawn again with replacement within each stratum, as often as it has runs,
and the interval is that of the percentiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlexp.statistics import REPETITIONS, percentiles

Strata = Sequence[Sequence[float] | np.ndarray]
Interval = tuple[float, float]


def iqm(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean of the middle half: a quarter of the scores, rounded down, is cut off at either end."""
    count = scores.shape[axis]
    cut = count // 4
    ordered = np.sort(scores, axis=axis)
    return ordered.take(range(cut, count - cut), axis=axis).mean(axis=axis)


def iqm_of(strata: Strata) -> float:
    """Over the scores of all strata together."""
    return float(iqm(np.concatenate([np.asarray(s, dtype=float) for s in strata])))


def draws(strata: Strata, seed: int = 0, repetitions: int = REPETITIONS) -> np.ndarray:
    """The IQM of that many redrawn sets of runs, float [repetitions]."""
    rng = np.random.default_rng(seed)
    drawn = []
    for scores in strata:
        values = np.asarray(scores, dtype=float)
        drawn.append(values[rng.integers(len(values), size=(repetitions, len(values)))])
    return iqm(np.concatenate(drawn, axis=1))


def interval(strata: Strata) -> Interval | None:
    """95 % interval of the IQM; None where a stratum has a single run."""
    if any(len(scores) < 2 for scores in strata):
        return None
    return percentiles(draws(strata))


def difference(ours: Strata, theirs: Strata) -> tuple[float, Interval | None]:
    """(our IQM less theirs, its 95 % interval): both are redrawn, each from its own runs."""
    middle = iqm_of(ours) - iqm_of(theirs)
    if any(len(scores) < 2 for scores in [*ours, *theirs]):
        return middle, None
    return middle, percentiles(draws(ours, 0) - draws(theirs, 1))


def improvement(ours: Strata, theirs: Strata) -> float:
    """Probability that a run of ours beats one of theirs, mean over the strata; ties count half."""
    shares = []
    for a, b in zip(ours, theirs, strict=True):
        gap = np.asarray(a, dtype=float)[:, None] - np.asarray(b, dtype=float)[None, :]
        shares.append(np.mean(gap > 0) + np.mean(gap == 0) / 2)
    return float(np.mean(shares))
