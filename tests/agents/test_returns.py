"""Advantages and returns against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rlexp.agents.returns import discounted, explained_variance, gae


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def test_gae_by_hand() -> None:
    no = np.zeros((3, 1), dtype=bool)
    found = gae(column(1, 2, 3), column(10, 20, 30), column(20, 30, 40), no, no, 0.5, 0.5)
    # delta: 1+10-10=1, 2+15-20=-3, 3+20-30=-7; A_2=-7, A_1=-3-7/4, A_0=1+A_1/4
    np.testing.assert_allclose(found[:, 0], [1 - 4.75 / 4, -4.75, -7.0])


def test_an_end_by_death_has_no_value_and_a_limit_has_one() -> None:
    ended = np.array([[False], [True], [False]])
    reward, value = column(1, 1, 1), column(0, 0, 0)
    dead = gae(reward, value, column(8, np.nan, 8), ended, ended, 0.5, 1.0)
    np.testing.assert_allclose(dead[:, 0], [1 + 4 + 0.5, 1.0, 5.0])
    none = np.zeros_like(ended)
    cut = gae(reward, value, column(8, 8, 8), none, ended, 0.5, 1.0)
    np.testing.assert_allclose(cut[:, 0], [1 + 4 + 2.5, 5.0, 5.0])


def test_lambda_one_is_the_n_step_return_minus_the_value() -> None:
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(6, 2)), rng.normal(size=(6, 2))
    last = rng.normal(size=2)
    next_value = np.concatenate([value[1:], last[None]])
    no = np.zeros((6, 2), dtype=bool)
    found = gae(reward, value, next_value, no, no, 0.9, 1.0)
    for t in range(6):
        powers = 0.9 ** np.arange(6 - t)
        total = (powers[:, None] * reward[t:]).sum(0) + 0.9 ** (6 - t) * last
        np.testing.assert_allclose(found[t], total - value[t], rtol=1e-5)


def test_rows_do_not_mix() -> None:
    no = np.zeros((2, 2), dtype=bool)
    both = np.array([[1.0, 5.0], [2.0, 6.0]])
    zero = np.zeros((2, 2))
    found = gae(both, zero, zero, no, no, 1.0, 1.0)
    np.testing.assert_allclose(found, [[3, 11], [2, 6]])


def test_discounted_by_hand() -> None:
    np.testing.assert_allclose(discounted(np.array([1.0, 2.0, 4.0]), 0.5), [3.0, 4.0, 4.0])


def test_explained_variance() -> None:
    returns = np.array([1.0, 2.0, 3.0])
    assert explained_variance(returns, returns) == 1.0
    assert explained_variance(np.full(3, 2.0), returns) == 0.0
    assert explained_variance(returns, np.ones(3)) == 0.0
    assert explained_variance(-returns, returns) == pytest.approx(-3.0)
