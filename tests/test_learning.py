"""The learning bars of the presets, on several seeds: minutes each, `pytest -m slow`."""

from __future__ import annotations

import numpy as np
import pytest

import rlexp
from rlexp.agents.tabular_policy_gradient import softmax
from rlexp.envs.maze import expected_steps
from tiny import learnt


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(5))
def test_cartpole_dqn_fast(seed: int) -> None:
    """475+ over 100 greedy games of the last checkpoint, within 50,000 steps."""
    run = ["experiment=cartpole_dqn_fast", f"seed={seed}", "run_dir=run", "logger=csv"]
    rlexp.train(run)
    agent = rlexp.load("run")
    result = agent.evaluate(100)
    print(f"seed {seed}: {result['return_mean']:.1f} of 500 after {agent.step:,} steps")
    assert agent.step <= 50_000
    assert result["return_mean"] >= 475


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sign", "lr", "episodes", "bad"),
    [("minus", 1.0, (380, 450), (0, 0)), ("plus", 0.1, (226, 241), (0, 0.005)),
     ("plus", 0.5, None, (0.05, 0.11))],
)  # fmt: skip
def test_maze(
    sign: str, lr: float, episodes: tuple[float, float] | None, bad: tuple[float, float]
) -> None:
    """When 1,000 learners stop, and how many of them end with 6 expected steps or more."""
    run = ["experiment=maze", f"agent.sign={sign}", f"agent.lr={lr}", "env.num_envs=1000"]
    learner, maze = learnt([*run, "total_episodes=null", "total_steps=8_000_000"])
    steps = expected_steps(maze, softmax(learner.theta, ~maze.walls))
    share = (steps >= 6).mean()
    mean = learner.episodes.mean()
    print(f"{sign} {lr}: {mean:.0f} episodes, median {np.median(steps):.3f}, bad {share:.1%}")
    if episodes is not None:
        assert learner.finished and episodes[0] < mean < episodes[1]
    assert np.median(steps) < 4.2 and bad[0] <= share <= bad[1]


@pytest.mark.slow
def test_maze_fast() -> None:
    """Under 4.2 expected steps after 500 episodes: all but two of 1,000 learners, on ten seeds."""
    steps = []
    for seed in range(10):
        learner, maze = learnt(["experiment=maze_fast", f"seed={seed}"])
        steps.append(expected_steps(maze, softmax(learner.theta, ~maze.walls)))
    print("worst learner of each run:", " ".join(f"{s.max():.3f}" for s in steps))
    assert (np.stack(steps) >= 4.2).sum() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["gridworld_q_learning", "gridworld_fast"])
@pytest.mark.parametrize("seed", range(10))
def test_gridworld(preset: str, seed: int) -> None:
    """The shortest way, five moves, from the start; gridworld_fast from every cell."""
    learner, world = learnt([f"experiment={preset}", f"seed={seed}"])
    greedy = learner.action_values(0).argmax(1)
    moves = lengths(world.following, world.ends, greedy)
    assert moves[world.start_cell] == 5
    if preset == "gridworld_fast":
        living = np.flatnonzero(world.free & ~world.ends)
        # Without entering the pit, whose -1 outweighs two moves saved.
        assert moves[living].tolist() == [3, 2, 1, 4, 2, 1, 5, 4, 3, 4]


def lengths(following: np.ndarray, ends: np.ndarray, greedy: np.ndarray) -> np.ndarray:
    """Moves that greedy play takes from each cell; 99 where it never arrives."""
    found = np.full(len(greedy), 99)
    for start in range(len(greedy)):
        cell, count = start, 0
        while not ends[cell] and count < 99:
            cell, count = following[cell, greedy[cell]], count + 1
        found[start] = count
    return found
