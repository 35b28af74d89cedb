"""The policy gradient of the maze: its update by hand, its stop rule, and what it learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Discrete

from rlexp.agents.tabular_policy_gradient import TabularPolicyGradient, score, softmax
from rlexp.clock import Clock
from rlexp.envs.maze import expected_steps
from rlexp.types import Transition
from tiny import learnt

CLOCK = Clock(10**6)
RIGHT, LEFT = 1, 3


def agent(rows: int = 1, states: int = 3, **changes: Any) -> TabularPolicyGradient:
    """For a corridor of three cells: legal is right, then left and right."""
    values: dict[str, Any] = {
        "lr": 1.0, "lr_decay": None, "sign": "minus", "stop_change": None, "max_episodes": None,
    }  # fmt: skip
    made = TabularPolicyGradient(Discrete(states), Discrete(4), rows, 0, **(values | changes))
    made.legal.table[0] = [False, True, False, False]
    made.legal.table[1:] = [False, True, False, True]
    return made


def play(
    learner: TabularPolicyGradient, path: list[tuple[int, int]], reward: float, rows: int = 1,
    last: bool = True, truncated: bool = False,
) -> list[float]:  # fmt: skip
    """An episode of (cell, action), the same in the first `rows`; gives the changes told."""
    told = []
    for i, (cell, action) in enumerate(path):
        over = last and i == len(path) - 1
        flags = np.full(rows, over)
        no = np.zeros(rows, dtype=bool)
        earned = np.full(rows, reward if over else 0.0)
        cells, actions = np.full(rows, cell), np.full(rows, action)
        ends = (no, flags) if truncated else (flags, no)
        learner.observe(Transition(np.arange(rows), cells, actions, earned, cells, *ends))
        metrics = learner.learn(CLOCK)
        told += [metrics["train/policy_change"]] if metrics else []
    return told


def test_softmax_over_the_legal_moves() -> None:
    theta = np.log([[1.0, 2.0, 4.0, 1.0]])
    legal = np.array([[True, True, False, True]])
    np.testing.assert_allclose(softmax(theta, legal), [[0.25, 0.5, 0.0, 0.25]])
    np.testing.assert_allclose(softmax(theta + 1e4, legal), [[0.25, 0.5, 0.0, 0.25]])


@pytest.mark.parametrize(("sign", "right", "left"), [("minus", 0.25, -0.25), ("plus", 0.75, 0.25)])
def test_the_update_by_hand(sign: str, right: float, left: float) -> None:
    """Two moves, T = 2: theta += (n(s,a) -/+ pi n(s)) / 2; n(1) = 1, half each way."""
    learner = agent(sign=sign)
    (change,) = play(learner, [(0, RIGHT), (1, RIGHT)], reward=1 / 2)
    theta = learner.theta[0]
    assert theta[1, RIGHT] == pytest.approx(1 + right)
    assert theta[1, LEFT] == pytest.approx(1 + left)
    # A cell with one legal move: minus leaves it, plus adds (1 + 1) / 2; what is illegal stays.
    assert theta[0, RIGHT] == pytest.approx(1.0 if sign == "minus" else 2.0)
    assert theta[0, [0, 2, 3]].tolist() == [1, 1, 1] and theta[2].tolist() == [1, 1, 1, 1]
    p = 1 / (1 + np.exp(-0.5))
    assert change == pytest.approx(2 * (p - 0.5))


def test_minus_is_the_gradient_of_the_log_probability() -> None:
    """Against finite differences, over a random episode's counts."""
    rng = np.random.default_rng(0)
    theta, legal = rng.normal(size=(5, 4)), np.array([[True, True, False, True]] * 5)
    counts = rng.integers(4, size=(5, 4)) * legal

    def log_probability(theta: np.ndarray) -> float:
        p = softmax(theta, legal)
        return float((counts * np.log(np.where(legal, p, 1.0))).sum())

    found = score(counts[None].astype(float), softmax(theta, legal)[None], "minus")[0]
    for s in range(5):
        for a in range(4):
            tilt = np.zeros_like(theta)
            tilt[s, a] = 1e-6
            slope = (log_probability(theta + tilt) - log_probability(theta - tilt)) / 2e-6
            assert found[s, a] == pytest.approx(slope, abs=1e-6)


def test_rows_learn_at_their_own_ends() -> None:
    learner = agent(rows=2)
    play(learner, [(0, RIGHT), (1, RIGHT)], reward=0.5, rows=1)
    assert (learner.theta[1] == 1).all() and learner.episodes.tolist() == [1, 0]
    assert learner.counts[0].sum() == 0
    play(learner, [(0, RIGHT), (1, LEFT)], reward=0.5, rows=2, last=False)
    assert learner.counts.sum((1, 2)).tolist() == [2, 2] and learner.episodes.tolist() == [1, 0]


def test_the_step_size_may_fall() -> None:
    learner = agent(lr=4.0, lr_decay=4)
    steps = []
    for _ in range(5):
        steps.append(learner.metrics()["train/lr"])
        play(learner, [(0, RIGHT), (1, RIGHT)], reward=0.5)
    assert steps == [4.0, 3.0, 2.0, 1.0, 0.0]
    before = learner.theta.copy()
    play(learner, [(0, RIGHT), (1, RIGHT)], reward=0.5)
    np.testing.assert_array_equal(learner.theta, before)


def test_learners_stop_by_change_or_count() -> None:
    learner = agent(rows=2, stop_change=0.2)
    changes: list[float] = []
    while not learner.stopped[0]:
        changes += play(learner, [(0, RIGHT), (1, RIGHT)], reward=0.5, rows=1)
    assert changes[-1] < 0.2 <= min(changes[:-1]) and not learner.finished
    before = learner.theta[0].copy()
    assert play(learner, [(0, RIGHT), (1, RIGHT)], reward=0.5, rows=1) == []
    np.testing.assert_array_equal(learner.theta[0], before)
    counted = agent(max_episodes=3)
    for expected in (False, False, True):
        play(counted, [(0, RIGHT), (1, RIGHT)], reward=0.5)
        assert counted.finished is expected


def test_an_episode_without_a_return_says_nothing_of_stopping() -> None:
    learner = agent(stop_change=1e-3)
    assert play(learner, [(0, RIGHT), (1, LEFT)], reward=0.0, truncated=True) == [0.0]
    assert not learner.finished and learner.counts.sum() == 0


def test_greedy_play_takes_the_likeliest_legal_move() -> None:
    learner = agent(rows=2)
    learner.theta[0, 1] = [9, 0, 9, 2]
    learner.theta[1, 1] = [9, 3, 9, 2]
    policy = learner.policy(greedy=True, seed=0)
    legal = np.array([[False, True, False, True]] * 4)
    # Row i plays learner i modulo their number.
    assert policy.act(np.ones(4, dtype=int), np.ones(4, dtype=bool), legal).tolist() == [3, 1, 3, 1]
    sampled = learner.policy(greedy=False, seed=0)
    many = np.ones(4000, dtype=int), np.ones(4000, dtype=bool)
    drawn = sampled.act(*many, np.tile(legal[:1], (4000, 1)))
    share = (drawn[1::2] == RIGHT).mean()
    assert set(drawn) == {RIGHT, LEFT} and abs(share - 1 / (1 + np.exp(-1))) < 0.04


def test_weights_of_another_number_of_learners() -> None:
    learner = agent(rows=2)
    learner.theta[1] = 5
    other = agent(rows=3)
    other.load_weights(learner.state_dict()["weights"])
    other.act(np.zeros(3, dtype=int), np.ones(3, dtype=bool), None)
    assert other.theta[:, 0, 0].tolist() == [1, 5, 1]
    with pytest.raises(RuntimeError, match="here"):
        agent(states=4).load_weights(learner.state_dict()["weights"])


def test_the_fast_preset_finds_the_shortest_way() -> None:
    """100 learners of 100 under 4.2 expected steps after 500 episodes of their own."""
    learner, maze = learnt(["experiment=maze_fast"])
    assert (learner.episodes == 500).all()
    steps = expected_steps(maze, softmax(learner.theta, ~maze.walls))
    assert steps.shape == (100,) and steps.max() < 4.2, f"worst {steps.max():.3f}"


def test_the_sources_sign_and_step_size_stop_at_4_steps() -> None:
    """About 231 episodes; ours, over 100 learners, within 5 of that."""
    run = ["experiment=maze", "agent.sign=plus", "agent.lr=0.1", "env.num_envs=100"]
    learner, maze = learnt([*run, "total_episodes=100_000"])
    assert learner.finished and abs(learner.episodes.mean() - 231) < 5
    steps = expected_steps(maze, softmax(learner.theta, ~maze.walls))
    assert np.median(steps) < 4.05


def test_a_run_ends_when_it_has_learnt(main: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = main(
        "train", "experiment=maze", "logger=csv", "run_dir=run", "evaluation.gif=false"
    )
    assert code == 0, err
    from rlexp.loggers.csv import read
    from rlexp.run_dir import RunDir

    run = RunDir(Path("run"))
    assert run.read_status()["episodes"] < 1000
    _, rows = read(run.metrics)
    assert float(rows[-1]["train/policy_change"]) < 1e-3
    assert float(rows[-1]["train/expected_steps"]) < 4.3 < float(rows[0]["train/expected_steps"])
    assert [int(float(row["train/episodes"])) for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["env=cartpole"], "the agent takes discrete, the environment gives Box"),
        (["env=maze", "agent.sign=mins"], "Did you mean 'minus'?"),
        (["env=maze", "agent.stop_change=0"], "agent.stop_change=0.0 must be greater than 0"),
    ],
)
def test_mistakes_are_one_line(
    main: Callable[..., tuple[int, str, str]], own_folder: Path, overrides: list[str], message: str
) -> None:
    code, out, err = main("train", "agent=tabular_policy_gradient", *overrides)
    assert code == 2 and message in err and err.count("\n") == 1 and out == ""
    assert list(own_folder.iterdir()) == []
