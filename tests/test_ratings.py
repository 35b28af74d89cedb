"""Ratings against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from rlexp.ratings import (
    MEAN,
    PER_NAT,
    WIDE,
    information,
    intransitive,
    log_posterior,
    most_likely,
    rate,
)  # fmt: skip
from rlexp.statistics import spearman


def played(true: np.ndarray, games: int, rng: np.random.Generator) -> np.ndarray:
    """Wins [P, P] of players with these ratings, `games` a pair."""
    wins = np.zeros((len(true), len(true)), dtype=np.int64)
    for i in range(len(true)):
        for j in range(i):
            wins[i, j] = rng.binomial(games, 1 / (1 + 10 ** ((true[j] - true[i]) / 400)))
            wins[j, i] = games - wins[i, j]
    return wins


TRUE = [
    (1500, 1300, 1200, 1100, 900),
    (1600, 800),
    (1320, 1340, 1360, 1380, 1400, 1420, 620, 420),
    *(tuple(np.random.default_rng(i).normal(MEAN, 500, 6)) for i in range(4)),
]


def test_intervals_hold_what_made_the_games() -> None:
    """Also where somebody loses every game: the others' ratings must not move with it."""
    shares, rng = [], np.random.default_rng(0)
    for true in TRUE:
        ratings, inside = np.array(true, dtype=float), 0
        told = information(1 - np.eye(len(true)), ratings / PER_NAT).diagonal()
        ratings += MEAN - ratings @ told / told.sum()
        for _ in range(20):
            wins = played(ratings, 20, rng)
            found = rate(wins, np.zeros_like(wins), samples=4000)
            inside += int(((found.low <= ratings) & (ratings <= found.high)).sum())
            assert (found.low < found.elo).all() and (found.elo < found.high).all()
        shares.append(inside / (20 * len(true)))
    assert min(shares) >= 0.8 and np.mean(shares) >= 0.9, shares  # 95 % expected


def test_two_players_and_their_draws() -> None:
    """Against the posterior of the gap between two, by a sum over a grid."""
    gap = np.linspace(-20, 20, 200_001)  # nats; a priori normal with twice the variance of each
    for won, lost, draws in ((3, 1, 0), (20, 0, 0), (6, 2, 4)):
        a, b = won + draws / 2, lost + draws / 2
        weight = -a * np.logaddexp(0, -gap) - b * np.logaddexp(0, gap) - gap**2 / (4 * WIDE**2)
        share = np.cumsum(np.exp(weight - weight.max()))
        exact = [gap[np.searchsorted(share, q * share[-1])] for q in (0.025, 0.5, 0.975)]
        expected = MEAN + PER_NAT * np.array(exact) / 2
        wins = np.array([[0, won], [lost, 0]])
        found = rate(wins, np.array([[0, draws], [draws, 0]]), samples=50_000)
        first = [found.low[0], found.elo[0], found.high[0]]
        np.testing.assert_allclose(first, expected, atol=8)
        assert found.elo.mean() == pytest.approx(MEAN, abs=8)


def test_the_highest_point_is_one() -> None:
    wins = played(np.array([1900.0, 1200, 1150, 400]), 20, np.random.default_rng(1)).astype(float)
    best = most_likely(wins)
    top = log_posterior(wins, best[None])[0]
    near = best + 1e-3 * np.random.default_rng(0).standard_normal((200, 4))
    assert (log_posterior(wins, near) < top).all()


def test_circles() -> None:
    stone = np.array([[0, 2, 1], [1, 0, 2], [2, 1, 0]], dtype=float)
    assert intransitive(stone) == (1, 1)
    assert intransitive(np.array([[0, 2, 2], [1, 0, 2], [1, 1, 0]], dtype=float)) == (0, 1)
    assert intransitive(np.ones((4, 4))) == (0, 0)


def test_rank_correlation() -> None:
    x = np.array([1, 2, 3, 4, 5])
    assert spearman(x, x**3) == pytest.approx(1) and spearman(x, -x) == pytest.approx(-1)
    # 1 - 6 * sum d^2 / (n (n^2 - 1)) with d = 0, 1, 1, 0, 0
    assert spearman(x, np.array([1, 3, 2, 4, 5])) == pytest.approx(0.9)
    assert spearman(x, np.ones(5)) is None
    assert spearman(np.array([1, 1, 2]), np.array([3, 3, 9])) == pytest.approx(1)
