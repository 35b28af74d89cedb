"""Normalised runs: what training saw goes with the weights, and what is reported stays raw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rlexp
from rlexp.agents.bounds import Bounds
from rlexp.agents.reward_scale import RewardScale

# The evaluation that training made, again: same starts, same rows, weights from the disk.
AGAIN = """
import json, sys
import rlexp
from rlexp import build
from rlexp.evaluate import evaluate
from rlexp.seeds import derive
loaded = rlexp.load(sys.argv[1])
config = loaded.config
seed = derive(config.seed, "evaluation")
rows = min(config.evaluation.episodes, config.env.num_envs)
act = loaded.team.policy(True, derive(seed, "policy"))
env = build.env(config.env, rows, evaluation=True)
print(json.dumps(evaluate(env, act, config.evaluation.episodes, seed).summary()))
"""
SETTINGS = {
    "ppo": ["env.num_envs=2", "agent.rollout_steps=100"],
    "sac": ["agent.learning_starts=300", "agent.hidden=[16]", "agent.batch_size=16"],
}


@pytest.mark.parametrize("agent", sorted(SETTINGS))
def test_a_fresh_process_gets_the_same_returns(agent: str) -> None:
    rlexp.train([
        "env=gym", "env.id=Pendulum-v1", f"agent={agent}", *SETTINGS[agent],
        "agent.standardise=running", "agent.normalise_reward=true", "total_steps=600",
        "evaluation.episodes=3", "evaluation.gif=false", "logger=csv", "run_dir=run",
        "device=cpu", "device.threads=1",
    ])  # fmt: skip
    (file,) = Path("run/eval").glob("*.json")
    told = json.loads(file.read_text())["greedy"]
    command = [sys.executable, "-c", AGAIN, "run"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(process.stdout.splitlines()[-1]) == told
    # Raw returns: 200 moves of Pendulum cost hundreds, scaled ones would be small.
    assert -2000 < told["return_mean"] < -200
    agent_made = rlexp.load("run").team.agent  # type: ignore[attr-defined]
    assert float(agent_made.net.standardise.count) >= 600  # as training left it


def test_rewards_are_divided_by_the_deviation_of_discounted_returns() -> None:
    rng = np.random.default_rng(0)
    scale, rows = RewardScale(0.9), np.arange(3)
    discounted, seen = np.zeros(3), [1.0, -1.0]  # the prior: mean 0, variance 1, weight 1
    for t in range(50):
        reward, ended = rng.normal(2, 3, size=3), np.array([t % 7 == 6, False, t % 5 == 4])
        scale.update(rows, reward, ended)
        discounted = 0.9 * discounted + reward
        seen.extend(discounted)
        discounted[ended] = 0
    values = np.array(seen[2:])
    # One observation at 0 with variance 1 beside all these.
    mean = values.sum() / 151
    variance = (1 + mean**2 + ((values - mean) ** 2).sum()) / 151
    assert scale.variance == pytest.approx(variance)
    np.testing.assert_allclose(scale(np.array([3.0])), [3 / np.sqrt(variance)], rtol=1e-5)
    assert scale(np.array([1e6, -1e6])).tolist() == [10.0, -10.0]
    again = RewardScale(0.9)
    again.load_state_dict(scale.state_dict())
    for each in (scale, again):
        each.update(rows[:2], np.ones(2), np.zeros(2, dtype=bool))
    assert again.variance == scale.variance and (again.returns == scale.returns).all()


def test_actions_are_stretched_where_there_are_bounds() -> None:
    from gymnasium.spaces import Box

    low, high = np.array([-2, 0, -np.inf]), np.array([2, 0.1, np.inf])
    bounds = Bounds(Box(low.astype(np.float32), high.astype(np.float32)))
    drawn = np.array([[0.5, -1.0, 7.0], [3.0, 0.0, -7.0]], dtype=np.float32)
    np.testing.assert_allclose(bounds.outside(drawn), [[1, 0, 7], [2, 0.05, -7]], rtol=1e-6)
