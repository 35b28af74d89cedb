"""Ratings against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from rlexp.ratings import MEAN, elo, intransitive, rate
from rlexp.statistics import spearman


def test_ratings_are_those_that_made_the_games() -> None:
    true = np.array([1500.0, 1300, 1200, 1100, 900])
    chance = 1 / (1 + 10 ** ((true[None] - true[:, None]) / 400))
    points = chance * 2000
    np.fill_diagonal(points, 0)
    np.testing.assert_allclose(elo(points[None])[0], true, atol=2)
    rng = np.random.default_rng(0)
    wins = np.zeros((5, 5), dtype=np.int64)
    inside = 0
    for _ in range(10):
        for i in range(5):
            for j in range(i):
                wins[i, j] = rng.binomial(100, chance[i, j])
                wins[j, i] = 100 - wins[i, j]
        found = rate(wins, np.zeros_like(wins), samples=100)
        inside += int(((found.low <= true) & (true <= found.high)).sum())
    assert inside >= 43  # of 50, 95 % expected


def test_two_players_and_their_draws() -> None:
    """Won 3 of 4, and one draw each against an average player of 1200."""
    found = elo(np.array([[[0, 3.0], [1.0, 0]]]))[0]
    assert found.mean() == pytest.approx(MEAN)
    gamma = 10 ** ((found[0] - MEAN) / 400)
    # At the maximum what was won is what was expected: 3 + 1/2 of 4 + 1 games.
    assert 4 * gamma / (gamma + 1 / gamma) + gamma / (gamma + 1) == pytest.approx(3.5)
    draws = np.array([[0, 10], [10, 0]])
    even = rate(np.zeros_like(draws), draws)
    assert even.elo.tolist() == pytest.approx([MEAN, MEAN])
    unbeaten = rate(np.array([[0, 20], [0, 0]]), np.zeros((2, 2), dtype=int))
    assert 1400 < unbeaten.elo[0] < 1600
    assert unbeaten.low[0] < unbeaten.elo[0] < unbeaten.high[0]


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
