"""Interquartile means and intervals against rliable 1.2.0, whose output the numbers are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import trim_mean

from rlexp.report import bootstrap

# Columns are tasks: 5 and 4 runs on two of them.
OURS = np.array([[3.0, 10.0], [5.0, 11.0], [1.0, 30.0], [8.0, 2.0], [13.0, 7.0]]).T
THEIRS = np.array([[2.0, 9.0], [4.0, 12.0], [6.0, 1.0], [7.0, 3.0]]).T


def test_what_rliable_gives() -> None:
    assert bootstrap.iqm_of(OURS) == pytest.approx(7.333333333333333)
    assert bootstrap.iqm_of(THEIRS) == 5.0
    assert bootstrap.improvement(OURS, THEIRS) == pytest.approx(0.6)
    # rliable's own intervals of 50,000 repetitions; ours are redrawn with other random numbers.
    assert bootstrap.interval(OURS) == pytest.approx((4.0, 12.33), abs=0.35)
    assert bootstrap.interval(THEIRS) == pytest.approx((2.5, 8.0), abs=0.35)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 11, 12, 50])
def test_the_published_definition(count: int) -> None:
    """scipy's trim_mean with a quarter at either end."""
    scores = np.random.default_rng(count).normal(size=count)
    assert bootstrap.iqm_of([scores]) == pytest.approx(trim_mean(scores, 0.25))
    table = np.random.default_rng(0).normal(size=(3, count))
    assert bootstrap.iqm(table) == pytest.approx(trim_mean(table, 0.25, axis=1))


def test_runs_are_redrawn_within_their_task() -> None:
    # Were runs of both tasks mixed, an interval would hold 50.
    assert bootstrap.interval([[0.0] * 4, [100.0] * 4]) == (50.0, 50.0)
    low, high = bootstrap.interval([[0.0] * 4 + [100.0] * 4]) or (0, 0)
    assert low < 20 and high > 80


def test_a_difference() -> None:
    middle, interval = bootstrap.difference([[10.0, 11, 12, 13]], [[1.0, 2, 3, 4]])
    assert middle == 9 and interval is not None and 6 < interval[0] < 9 < interval[1] < 12
    _, turned = bootstrap.difference([[1.0, 2, 3, 4]], [[10.0, 11, 12, 13]])
    assert turned is not None and turned[0] == pytest.approx(-interval[1], abs=0.3)
    assert bootstrap.difference([[1.0]], [[2.0, 3.0]]) == (-1.5, None)
    # Independent redraws: the interval of two equal groups is not that of one with itself.
    _, same = bootstrap.difference([[0.0, 10.0] * 5], [[0.0, 10.0] * 5])
    assert same is not None and same[0] < -3 and same[1] > 3


def test_ties_count_half() -> None:
    assert bootstrap.improvement([[1.0, 1.0]], [[1.0, 1.0]]) == 0.5
    assert bootstrap.improvement([[2.0]], [[1.0]]) == 1.0
    assert bootstrap.improvement([[2.0, 0.0]], [[1.0, 2.0]]) == (1 + 0 + 0.5 + 0) / 4


def test_how_often_the_interval_holds_the_truth() -> None:
    """docs/compare.md quotes these shares: few seeds make it too narrow."""
    rng = np.random.default_rng(0)
    for count, share in ((4, 0.87), (10, 0.935)):
        held = 0
        for i in range(600):
            low, high = bootstrap.percentiles(
                bootstrap.draws([rng.normal(size=count)], i, repetitions=400)
            )
            held += low <= 0 <= high
        assert held / 600 == pytest.approx(share, abs=0.035)
