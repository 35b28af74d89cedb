"""Rosenbrock's valley against its derivatives by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlexp.envs.rosenbrock import Rosenbrock, rosenbrock
from rlexp.types import SOLO


def by_hand(x: np.ndarray, a: float, b: float) -> np.ndarray:
    """The gradient [N, 2]."""
    x0, x1 = x.T
    return np.stack([-2 * (a - x0) - 4 * b * x0 * (x1 - x0**2), 2 * b * (x1 - x0**2)], 1)


def test_values() -> None:
    x = torch.tensor([[0.0, 2.0], [1.0, 1.0], [-1.0, 1.0], [2.0, 3.0]], dtype=torch.float64)
    assert rosenbrock(x).tolist() == [401, 0, 4, 101]
    assert rosenbrock(x, a=2.0, b=1.0).tolist() == [8, 1, 9, 1]


@pytest.mark.parametrize(("a", "b"), [(1.0, 100.0), (-0.5, 3.0)])
def test_observations_are_gradients_and_actions_steps(a: float, b: float) -> None:
    env = Rosenbrock(3, a, b, [0.0, 2.0], max_steps=None)
    tick = env.start(0)
    assert tick.obs[SOLO].dtype == np.float64  # type: ignore[union-attr]
    rng = np.random.default_rng(0)
    x = np.tile([0.0, 2.0], (3, 1))
    np.testing.assert_allclose(tick.obs[SOLO], by_hand(x, a, b))
    for _ in range(20):
        step = rng.normal(size=(3, 2))
        x = x + step
        env.send({SOLO: step})
        tick = env.recv()
        t = tick.done[SOLO]
        np.testing.assert_allclose(tick.obs[SOLO], by_hand(x, a, b), rtol=1e-9)
        np.testing.assert_allclose(t.reward, -rosenbrock(torch.tensor(x), a, b), rtol=1e-6)
        np.testing.assert_array_equal(t.info["x0"], x[:, 0])
        np.testing.assert_array_equal(t.info["x1"], x[:, 1])
        assert not t.terminated.any() and not t.truncated.any()


def test_a_cut_game_starts_again() -> None:
    env = Rosenbrock(2, 1.0, 100.0, [0.0, 2.0], max_steps=3)
    first = env.start(0).obs[SOLO]
    for _ in range(3):
        env.send({SOLO: np.full((2, 2), 0.25)})
        tick = env.recv()
    t = tick.done[SOLO]
    assert t.truncated.all() and t.info["x0"].tolist() == [0.75, 0.75]
    assert tick.episodes[0].info == {"x0": 0.75, "x1": 2.75} and tick.episodes[0].length == 3
    np.testing.assert_array_equal(tick.obs[SOLO], first)
    np.testing.assert_allclose(t.next_obs, by_hand(np.full((2, 2), (0.75, 2.75)), 1.0, 100.0))


def test_state_comes_back() -> None:
    env = Rosenbrock(2, 1.0, 100.0, [0.0, 2.0], max_steps=9)
    tick = env.start(0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        env.send({SOLO: rng.normal(size=(2, 2))})
        tick = env.recv()
    again = Rosenbrock(2, 1.0, 100.0, [0.0, 2.0], max_steps=9)
    again.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(again.start(1).obs[SOLO], tick.obs[SOLO])
    for _ in range(10):
        step = {SOLO: rng.normal(size=(2, 2))}
        env.send(step)
        again.send(step)
        a, b = env.recv(), again.recv()
        np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])
        assert a.episodes == b.episodes


def test_the_picture_shows_point_and_minimum() -> None:
    env = Rosenbrock(1, 1.0, 100.0, [0.0, 2.0], max_steps=None)
    env.start(0)

    def place(colour: tuple[int, int, int]) -> np.ndarray:
        return np.argwhere((env.render(0) == colour).all(-1)).mean(0)

    point, goal = place((213, 94, 0)), place((0, 158, 115))
    assert point[0] < goal[0] and point[1] < goal[1]  # (0, 2) is above and left of (1, 1)
    env.send({SOLO: np.array([[1e9, np.nan]])})
    env.recv()
    assert env.render(0).shape == (240, 240, 3)  # a point that ran away is not drawn
