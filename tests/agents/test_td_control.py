"""Q-learning and Sarsa: each rule by hand, resume, and what they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

import rlexp
from conftest import FAST
from rlexp.agents.sarsa import Sarsa, policy_value
from rlexp.agents.td_control import QLearning, TDControl, best_value, td_target
from rlexp.clock import Clock
from rlexp.envs.gridworld import GridWorld
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, Transition
from tiny import epsilon, learnt

CLOCK = Clock(10**6)


def agent(kind: type[TDControl], rows: int = 1, **changes: Any) -> TDControl:
    torch.manual_seed(0)
    values: dict[str, Any] = {
        "hidden": None, "init": 0.0, "gamma": 0.9, "lr": 0.5, "eval_epsilon": 0.0,
        "epsilon": epsilon(kind="constant", start=0.2),
    }  # fmt: skip
    return kind(
        Discrete(12), Discrete(4), num_envs=rows, device=torch.device("cpu"), seed=0,
        **(values | changes),
    )  # fmt: skip


def play(
    learner: TDControl, obs: int, action: int, reward: float, next_obs: int, end: str = ""
) -> dict[str, Any] | None:
    """One move of one learner."""
    learner.observe(
        Transition(
            np.array([0]), np.array([obs]), np.array([action]), np.array([reward]),
            np.array([next_obs]), np.array([end == "terminated"]), np.array([end == "truncated"]),
        )
    )  # fmt: skip
    return learner.learn(CLOCK)


def table(learner: TDControl) -> np.ndarray:
    return learner.q.q  # type: ignore[union-attr]


def test_targets() -> None:
    q = np.array([[1.0, 5.0, 3.0], [2.0, 2.0, 8.0]])
    legal = np.array([[True, False, True], [True, True, True]])
    np.testing.assert_allclose(best_value(q, legal), [3.0, 8.0])
    np.testing.assert_allclose(policy_value(q, legal, np.array([0.5, 0.0])), [2.5, 8.0])
    reward, ends = np.array([1.0, 1.0]), np.array([True, False])
    np.testing.assert_allclose(td_target(reward, ends, np.array([9.0, 10.0]), 0.9), [1.0, 10.0])


def test_q_learning_by_hand() -> None:
    learner = agent(QLearning)
    table(learner)[0, 1] = [0.0, 2.0, 1.0, 0.0]
    found = play(learner, obs=0, action=3, reward=1.0, next_obs=1)
    # 0 + 0.5 (1 + 0.9 * 2 - 0)
    assert table(learner)[0, 0].tolist() == pytest.approx([0, 0, 0, 1.4])
    assert found == {"loss/td": pytest.approx(2.8**2), "train/td_error": pytest.approx(2.8),
                     "train/q": 0.0}  # fmt: skip
    play(learner, 0, 3, -1.0, 1, end="terminated")  # 1.4 + 0.5 (-1 - 1.4)
    assert table(learner)[0, 0, 3] == pytest.approx(0.2)
    play(learner, 0, 3, -1.0, 1, end="truncated")  # 0.2 + 0.5 (0.8 - 0.2): the limit is no death
    assert table(learner)[0, 0, 3] == pytest.approx(0.5)


def test_what_is_illegal_is_worth_nothing() -> None:
    learner = agent(QLearning, init=5.0)
    table(learner)[0, 1] = [5.0, 2.0, 1.0, 5.0]
    legal = np.array([[False, True, True, False]])
    assert learner.act(np.array([1]), np.array([True]), legal)[0] in (1, 2)
    play(learner, 0, 0, 0.0, 1)  # 5 + 0.5 (0.9 * 2 - 5)
    assert table(learner)[0, 0, 0] == pytest.approx(3.4)


def test_sarsa_by_hand() -> None:
    learner = agent(Sarsa)
    table(learner)[0, 1] = [0.0, 2.0, 1.0, 0.0]
    assert play(learner, obs=0, action=3, reward=1.0, next_obs=1) is None
    assert table(learner)[0, 0, 3] == 0.0  # waits for the next action
    play(learner, obs=1, action=2, reward=0.0, next_obs=2)
    assert table(learner)[0, 0, 3] == pytest.approx(0.95)  # 0.5 (1 + 0.9 * 1): what was taken
    assert table(learner)[0, 1, 2] == 1.0
    found = play(learner, obs=2, action=0, reward=4.0, next_obs=5, end="terminated")
    assert table(learner)[0, 1, 2] == pytest.approx(0.5)  # 1 + 0.5 (0.9 * 0 - 1)
    assert table(learner)[0, 2, 0] == pytest.approx(2.0)  # 0.5 * 4, at once
    assert found is not None and found["train/td_error"] == pytest.approx((1 + 4) / 2)
    assert play(learner, obs=0, action=0, reward=0.0, next_obs=2) is None  # a new game


def test_sarsa_bootstraps_through_a_limit() -> None:
    """With the mean of the policy: epsilon 0.2 of (0 + 2 + 1 + 0) / 4, else the best."""
    learner = agent(Sarsa)
    table(learner)[0, 1] = [0.0, 2.0, 1.0, 0.0]
    play(learner, obs=0, action=3, reward=1.0, next_obs=1, end="truncated")
    value = 0.2 * 0.75 + 0.8 * 2.0
    assert table(learner)[0, 0, 3] == pytest.approx(0.5 * (1 + 0.9 * value))


def test_exploring_and_ties() -> None:
    learner = agent(QLearning, rows=4000)
    table(learner)[:, 0] = [0.0, 3.0, 3.0, 1.0]
    actions = learner.act(np.zeros(4000, dtype=int), np.ones(4000, dtype=bool), None)
    share = np.bincount(actions, minlength=4) / 4000
    np.testing.assert_allclose(share, [0.05, 0.45, 0.45, 0.05], atol=0.03)
    learner.q.q[:, 0, 2] += 1  # type: ignore[union-attr]
    greedy = learner.policy(greedy=True, seed=0)
    assert (greedy.act(np.zeros(9, dtype=int), np.ones(9, dtype=bool)) == 2).all()
    legal = np.tile([True, True, False, True], (9, 1))
    assert (greedy.act(np.zeros(9, dtype=int), np.ones(9, dtype=bool), legal) == 1).all()


def test_epsilon_counts_each_learners_own_episodes() -> None:
    fall = epsilon(kind="linear", start=1.0, end=0.0, unit="episode", length=4)
    learner = agent(QLearning, rows=3, epsilon=fall)
    learner.episodes[:] = [0, 1, 4]
    assert learner.epsilons().tolist() == [1.0, 0.75, 0.0]
    steps = agent(QLearning, rows=3, epsilon=epsilon(start=1.0, end=0.0, length=4))
    steps.moves = 1
    assert steps.epsilons().tolist() == [0.75] * 3


@pytest.mark.parametrize("kind", [QLearning, Sarsa])
@pytest.mark.parametrize("hidden", [None, [8]])
def test_state_comes_back(kind: type[TDControl], hidden: list[int] | None) -> None:
    """Learns on as the one that was never saved, in the middle of games."""

    def start() -> tuple[TDControl, GridWorld]:
        env = GridWorld(["...+", ".#.-", "S..."], 3, 1.0, -1.0, 0.0, True, 9)
        return agent(kind, rows=3, hidden=hidden, lr=0.05), env

    def run(learner: TDControl, env: GridWorld, steps: int) -> None:
        for _ in train(Solo(learner, SOLO, overlap=False), env, Clock(3 * steps), 5):
            pass

    learner, env = start()
    run(learner, env, 40)
    other, again = start()
    other.load_state_dict(learner.state_dict())
    again.load_state_dict(env.state_dict())
    env.load_state_dict(env.state_dict())  # so that both begin from the pending Tick
    run(learner, env, 40)
    run(other, again, 40)
    for row in range(3):
        np.testing.assert_array_equal(learner.action_values(row), other.action_values(row))


def optimal(world: GridWorld, gamma: float) -> np.ndarray:
    """bool [cells, 4]: the best moves, by value iteration over the map itself."""
    height, width = world.drawn.shape
    moves = ((-1, 0), (1, 0), (0, -1), (0, 1))
    price = {"+": 1.0, "-": -1.0}
    values = np.zeros((height, width))
    q = np.zeros((height, width, 4))
    for _ in range(1000):
        for r in range(height):
            for c in range(width):
                for a, (down, right) in enumerate(moves):
                    y, x = r + down, c + right
                    if not (0 <= y < height and 0 <= x < width) or world.drawn[y, x] == "#":
                        y, x = r, c
                    kind = world.drawn[y, x]
                    after = 0.0 if kind == "+" else values[y, x]
                    q[r, c, a] = price.get(str(kind), 0.0) + gamma * after
        values = q.max(2)
    best: np.ndarray = q >= values[..., None] - 1e-9
    return best.reshape(-1, 4)


def choices(learner: TDControl, row: int) -> np.ndarray:
    return learner.action_values(row).argmax(1)


def test_the_fast_preset_is_optimal_from_every_cell() -> None:
    """Ten learners of ten; run one by one, the preset's own command does as well."""
    learner, world = learnt(
        ["experiment=gridworld_fast", "env.num_envs=10", "total_episodes=10_000"]
    )
    best = optimal(world, 0.9)
    cells = np.flatnonzero(world.free & ~world.ends)
    for row in range(10):
        assert best[cells, choices(learner, row)[cells]].all(), f"learner {row}"


def test_sarsa_keeps_away_from_the_pit_and_q_learning_does_not_care() -> None:
    """The first move from the start: up leads round, right leads past the pit."""
    upwards = {}
    for name in ("sarsa", "q_learning"):
        run = ["experiment=gridworld_sarsa", f"agent={name}", "agent.hidden=null", "agent.lr=0.1"]
        learner, _ = learnt([*run, "env.num_envs=20", "total_episodes=40_000"])
        upwards[name] = np.mean([choices(learner, row)[8] == 0 for row in range(20)])
    assert upwards["sarsa"] == 1.0 and upwards["q_learning"] < 0.9


@pytest.mark.parametrize("name", ["q_learning", "sarsa"])
def test_frozen_lake(name: str) -> None:
    run = ["env=gym", "env.id=FrozenLake-v1", "env.kwargs={is_slippery: false}", f"agent={name}"]
    rlexp.train([*run, *FAST, "total_steps=8000", "run_dir=run"])
    result = rlexp.load("run").evaluate(2)
    assert result["return_mean"] == 1.0 and result["length_mean"] == 6.0


def test_weights_go_on_in_another_number_of_rows(main: Any) -> None:
    run = ["train", "experiment=gridworld_fast", *FAST]
    assert main(*run, "total_episodes=20", "run_dir=a")[0] == 0
    code, _, err = main(
        *run, "total_episodes=9", "agent.init_from=a", "env.num_envs=3", "run_dir=b"
    )
    assert code == 0, err
    code, _, err = main(*run, "agent.init_from=a", "agent.hidden=[50]", "run_dir=c")
    assert code == 2 and "agent.init_from: the weights of" in err and not Path("c").exists()
