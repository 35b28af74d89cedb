"""Intervals against published values."""

from __future__ import annotations

import pytest

from rlexp.seeds import derive
from rlexp.statistics import mean_interval, rate_interval


def test_students_t() -> None:
    # t(0.975, 4 degrees of freedom) = 2.776; mean 3, standard deviation 1.5811
    low, high = mean_interval([1, 2, 3, 4, 5]) or (0, 0)
    assert (low, high) == pytest.approx((3 - 2.7764 * 0.70711, 3 + 2.7764 * 0.70711), abs=1e-3)
    assert mean_interval([5.0]) is None
    assert mean_interval([2.0, 2.0]) == (2.0, 2.0)


def test_wilson() -> None:
    # Newcombe 1998, table I: 81 of 263 and 15 of 148
    assert rate_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert rate_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert rate_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert rate_interval(1, 1) is None


def test_seeds_differ_by_purpose_and_seed() -> None:
    seeds = {derive(s, p) for s in (0, 1, 2**40) for p in ("env", "agent", "networks")}
    assert len(seeds) == 9
    assert derive(1, "env") == derive(1, "env")
