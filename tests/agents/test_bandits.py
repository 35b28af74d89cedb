"""Bandits against reference values, and each rule against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlexp.agents.bandits import KLUCB as KLUCBAgent
from rlexp.agents.bandits import UCB1, EpsilonGreedy, GradientBandit, Thompson, bernoulli_kl
from rlexp.clock import Clock
from rlexp.envs.bandit import Bandit
from rlexp.errors import UserError
from rlexp.loop import train
from rlexp.media.bandit import lai_robbins
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, Transition

ARMS, PULLS = [0.3, 0.5, 0.9], 250
MAKERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "epsilon_greedy": (EpsilonGreedy, {"epsilon": 0.1}),
    "ucb1": (UCB1, {"c": 2.0}),
    "thompson": (Thompson, {}),
}


def rewards(name: str, ties: str, rows: int = 4000) -> np.ndarray:
    """Rewards [pulls, rows]."""
    env = Bandit(ARMS, rows, PULLS)
    make, values = MAKERS[name]
    agent = make(env.spec.action_spaces[SOLO], rows, 3, ties=ties, **values)
    turns = train(Solo(agent, SOLO, overlap=False), env, Clock(total_steps=rows * PULLS), 5)
    return np.stack([turn.tick.done[SOLO].reward for turn in turns])


@pytest.mark.parametrize(
    ("name", "ties", "mean", "last"),
    [
        ("epsilon_greedy", "first", 0.798, 0.866),
        ("epsilon_greedy", "random", 0.834, 0.866),
        ("ucb1", "first", 0.816, 0.860),
        ("thompson", "first", 0.879, 0.897),
    ],
)
def test_reference_values(name: str, ties: str, mean: float, last: float) -> None:
    """Within three standard errors (and the half digit to which the references are given)."""
    found = rewards(name, ties)
    by_row = found.mean(0)
    error = by_row.std() / np.sqrt(len(by_row))
    assert abs(by_row.mean() - mean) < 3 * error + 0.0005
    end = found[-1]
    assert abs(end.mean() - last) < 3 * end.std() / np.sqrt(len(end)) + 0.0005


def play(agent: Any, action: list[int], reward: list[float]) -> None:
    size = len(action)
    zeros = np.zeros((size, 1), dtype=np.float32)
    no = np.zeros(size, dtype=bool)
    agent.observe(
        Transition(np.arange(size), zeros, np.array(action), np.array(reward), zeros, no, no)
    )


def space() -> Any:
    return Bandit(ARMS, 1, 1).spec.action_spaces[SOLO]


def test_ucb1_by_hand() -> None:
    agent = UCB1(space(), 1, 0, c=2.0)
    assert np.isinf(agent.scores()).all()
    for arm, reward in ((0, 1.0), (1, 0.0), (2, 1.0), (2, 0.0)):
        play(agent, [arm], [reward])
    log = np.log(4)
    expected = [[1 + np.sqrt(2 * log), np.sqrt(2 * log), 0.5 + np.sqrt(log)]]
    np.testing.assert_allclose(agent.scores(), expected)


def test_kl_ucb_solves_its_equation() -> None:
    agent = KLUCBAgent(space(), 1, 0)
    for arm, reward in ((0, 1.0), (0, 0.0), (1, 0.0), (2, 1.0), (2, 1.0), (0, 1.0)):
        play(agent, [arm], [reward])
    q = agent.scores()[0]
    # n KL(mean, q) = ln 6 where q < 1
    assert 3 * bernoulli_kl(np.array(2 / 3), q[0]) == pytest.approx(np.log(6), abs=1e-4)
    assert 1 * bernoulli_kl(np.array(0.0), q[1]) == pytest.approx(np.log(6), abs=1e-4)
    assert q[2] == pytest.approx(1.0, abs=1e-6)


def test_gradient_bandit_by_hand() -> None:
    agent = GradientBandit(space(), 1, 0, lr=0.3)
    play(agent, [1], [1.0])  # the baseline is this very reward: nothing to learn
    np.testing.assert_allclose(agent.preferences, 0)
    play(agent, [0], [0.0])  # baseline 1/2: step 0.3 * (0 - 1/2)
    np.testing.assert_allclose(agent.preferences, [[-0.15 * 2 / 3, 0.05, 0.05]])


def test_ties() -> None:
    first = EpsilonGreedy(space(), 600, 0, epsilon=0.0)
    assert (first.best(np.zeros((600, 3))) == 0).all()
    random = EpsilonGreedy(space(), 600, 0, epsilon=0.0, ties="random")
    counts = np.bincount(random.best(np.tile([1.0, 0.0, 1.0], (600, 1))), minlength=3)
    assert counts[1] == 0 and abs(counts[0] - 300) < 75


def test_rows_are_independent_and_a_new_game_forgets() -> None:
    agent = UCB1(space(), 3, 0, c=2.0)
    play(agent, [0, 1, 2], [1.0, 0.0, 1.0])
    assert agent.pulls.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    agent.act(np.zeros((3, 1)), np.array([False, True, False]), None)
    assert agent.pulls.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_lai_robbins() -> None:
    assert lai_robbins(ARMS) == pytest.approx(1.364, abs=5e-4)


@pytest.mark.parametrize("arms", [[0.5], [0.5, 1.5], [-0.1, 0.5]])
def test_arms_that_can_not_be(arms: list[float]) -> None:
    with pytest.raises(UserError, match="env.arms"):
        Bandit(arms, 1, 10)
