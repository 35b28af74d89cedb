"""Intervals against published values, and how often they hold the true value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rlexp.seeds import derive
from rlexp.statistics import mean_interval, rate_interval, share_interval


def test_a_mean_of_many_values_has_students_interval() -> None:
    values = np.random.default_rng(0).exponential(size=400)
    spread = 1.966 * values.std(ddof=1) / 20  # t(0.975, 399 degrees of freedom)
    low, high = mean_interval(list(values)) or (0, 0)
    assert low == pytest.approx(values.mean() - spread, abs=0.01)
    assert high == pytest.approx(values.mean() + spread, abs=0.01)


@pytest.mark.parametrize("values", [[0, 1], [0, 1, 1], [-1, 0, 1], [-5, 7, 7.5, 100], [0.1] * 7])
def test_no_interval_leaves_what_was_seen(values: list[float]) -> None:
    low, high = mean_interval(values) or (-np.inf, np.inf)
    assert min(values) <= low <= np.mean(values) + 1e-12 and np.mean(values) - 1e-12 <= high
    assert high <= max(values)


def test_returns_of_two_values_are_a_rate() -> None:
    """15 of 148 returns are 9 and the others 5: Wilson's interval, between 5 and 9."""
    low, high = rate_interval(15, 148) or (0, 0)
    found = mean_interval([9.0] * 15 + [5.0] * 133)
    assert found == pytest.approx((5 + 4 * low, 5 + 4 * high))


def test_one_value_or_one_group_tells_nothing() -> None:
    assert mean_interval([5.0]) is None and mean_interval([5.0, 7.0], [3, 3]) is None
    assert share_interval([True]) is None and share_interval([True, False], [0, 0]) is None
    assert share_interval([True, True], [0, 0]) is None
    assert mean_interval([2.0, 2.0]) == (2.0, 2.0)


def test_groups_of_one_value_are_independent_values() -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.0]
    assert mean_interval(values, [5, 0, 3, 1, 2, 4]) == mean_interval(
        [1.0, 1.5, 9.0, 4.0, 2.0, 3.0]
    )
    assert share_interval([True, False, True], [2, 0, 1]) == rate_interval(2, 3)


def test_repeating_every_value_makes_nothing_surer() -> None:
    """Ten starts, each played 50 times: the interval is that of ten values."""
    values = [float(v) for v in range(10)]
    repeated = mean_interval(values * 50, list(range(10)) * 50)
    assert repeated == pytest.approx(mean_interval(values), abs=1e-9)
    true = [v > 3 for v in values]
    low, high = share_interval(true * 50, list(range(10)) * 50) or (0, 1)
    assert low < 0.35 and high > 0.85
    # Where all starts agree a bootstrap has no width: Wilson's over the starts.
    assert share_interval([True] * 500, list(range(10)) * 50) == rate_interval(10, 10)
    assert share_interval([False] * 500, list(range(10)) * 50) == rate_interval(0, 10)


def test_a_start_weighs_as_much_as_it_was_drawn() -> None:
    """99 episodes of one start and one of another: the mean of a redrawn pair is 0, 1 or 0.01."""
    assert mean_interval([0.0] * 99 + [1.0], [0] * 99 + [1]) == (0.0, 1.0)


Draw = Callable[[np.random.Generator], tuple[list[float], list[int] | None]]


def _normal(rng: np.random.Generator) -> tuple[list[float], None]:
    return list(rng.normal(size=12)), None


def _blackjack(rng: np.random.Generator) -> tuple[list[float], None]:
    return list(rng.choice([-1.0, 0.0, 1.0], p=[0.45, 0.1, 0.45], size=30)), None


def _coin(rng: np.random.Generator) -> tuple[list[float], None]:
    return list(rng.choice([-1.0, 1.0], p=[0.5, 0.5], size=20)), None


def _starts(rng: np.random.Generator) -> tuple[list[float], list[int]]:
    """100 episodes of 15 starts, which are drawn unequally often; each is worth one number."""
    start = rng.choice(15, p=rng.dirichlet(np.full(15, 5.0)), size=100)
    return list(rng.normal(size=15)[start]), [int(s) for s in start]


def _share(
    draw: Draw, interval: Callable[..., tuple[float, float] | None], samples: int = 300
) -> float:
    """In how many samples, as a share, the interval holds the true mean, which is 0."""
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(samples):
        low, high = interval(*draw(rng)) or (np.inf, np.inf)
        hits += low <= 0 <= high
    return hits / samples


@pytest.mark.parametrize("draw", [_normal, _blackjack, _coin, _starts])
def test_an_interval_holds_the_true_mean_as_often_as_it_says(draw: Draw) -> None:
    assert 0.92 <= _share(draw, mean_interval) <= 0.98


def test_few_values_are_held_less_often() -> None:
    """As docs/config.md says: an interval that may not leave three values can't be wide enough."""
    shares = [
        _share(lambda rng, n=n: (list(rng.normal(size=n)), None), mean_interval) for n in (3, 5)
    ]
    assert shares == pytest.approx([0.75, 0.9], abs=0.04)


def test_repeated_starts_taken_as_independent_would_be_far_too_sure() -> None:
    assert _share(_starts, lambda values, groups: mean_interval(values), 60) < 0.7


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
