"""Gradient descent: steps by hand, and down Rosenbrock's valley."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box

from rlexp.agents.gradient_descent import GradientDescent
from rlexp.clock import Clock
from rlexp.envs.rosenbrock import Rosenbrock
from rlexp.errors import UserError
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO

PLANE = Box(-np.inf, np.inf, (2,), np.float64)
YES, NO = np.array([True, True]), np.array([False, False])


def test_steps_by_hand() -> None:
    agent = GradientDescent(PLANE, PLANE, lr=0.1, momentum=0.0)
    gradient = np.array([[1.0, -2.0], [0.0, 4.0]])
    for first in (YES, NO):
        np.testing.assert_allclose(agent.act(gradient, first, None), [[-0.1, 0.2], [0, -0.4]])


def test_momentum_by_hand_and_a_new_game_begins_at_rest() -> None:
    agent = GradientDescent(PLANE, PLANE, lr=1.0, momentum=0.5)
    one = np.ones((2, 2))
    np.testing.assert_allclose(agent.act(one, YES, None), -one)
    np.testing.assert_allclose(agent.act(one, NO, None), -1.5 * one)
    found = agent.act(one, np.array([False, True]), None)
    np.testing.assert_allclose(found, [[-1.75, -1.75], [-1, -1]])


def test_the_policy_has_a_velocity_of_its_own() -> None:
    agent = GradientDescent(PLANE, PLANE, lr=1.0, momentum=0.5)
    one = np.ones((2, 2))
    agent.act(one, YES, None)
    np.testing.assert_allclose(agent.policy(True, 0).act(one[:1], YES[:1]), -one[:1])
    np.testing.assert_allclose(agent.act(one, NO, None), -1.5 * one)


def test_state_comes_back() -> None:
    agent, again = (GradientDescent(PLANE, PLANE, lr=1.0, momentum=0.9) for _ in range(2))
    agent.act(np.ones((2, 2)), YES, None)
    again.load_state_dict(agent.state_dict())
    np.testing.assert_array_equal(
        agent.act(np.ones((2, 2)), NO, None), again.act(np.ones((2, 2)), NO, None)
    )


def test_a_gradient_that_is_no_step() -> None:
    with pytest.raises(UserError, match="is no step"):
        GradientDescent(PLANE, Box(-1, 1, (3,)), lr=1.0, momentum=0.0)


def test_the_valley_step_for_step() -> None:
    """10,000 steps by hand end where the source ends; the first 500 of ours are the same."""
    x, path = np.array([0.0, 2.0]), []
    for _ in range(10_000):
        x0, x1 = x
        slope = [-2 * (1 - x0) - 400 * x0 * (x1 - x0**2), 200 * (x1 - x0**2)]
        x = x - 0.001 * np.array(slope)
        path.append(x)
    assert path[-1] == pytest.approx([0.99450, 0.98901], abs=5e-6)
    env = Rosenbrock(1, 1.0, 100.0, [0.0, 2.0], max_steps=None)
    agent = GradientDescent(PLANE, PLANE, lr=0.001, momentum=0.0)
    turns = train(Solo(agent, SOLO, overlap=False), env, Clock(total_steps=500), 0)
    for turn, expected in zip(turns, path[:500], strict=True):
        info = turn.tick.done[SOLO].info
        np.testing.assert_allclose([info["x0"][0], info["x1"][0]], expected, rtol=1e-9)
