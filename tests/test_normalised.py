"""Normalised runs: what training saw goes with the weights, and what is reported stays raw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

import rlexp
from rlexp import build
from rlexp.agents.bounds import Bounds
from rlexp.agents.reward_scale import RewardScale
from rlexp.clock import Clock
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO
from tiny import Corridor, dqn

SETTINGS = {
    "a2c": ["env.num_envs=2", "agent.rollout_steps=50"],
    "ppo": ["env.num_envs=2", "agent.rollout_steps=100"],
    "sac": ["agent.learning_starts=300", "agent.hidden=[16]", "agent.batch_size=16"],
}


def evaluated(*keys: str) -> Any:
    """The greedy games of `rlexp eval` in a process of its own."""
    command = [sys.executable, "-m", "rlexp.cli", "eval", "run", *keys, "gif=false", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)["greedy"]


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
    assert evaluated("starts=training") == told
    assert evaluated("episodes=3")["return_mean"] != told["return_mean"]
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
    low, high = np.array([-2, 0, -np.inf]), np.array([2, 0.1, np.inf])
    bounds = Bounds(Box(low.astype(np.float32), high.astype(np.float32)))
    drawn = np.array([[0.5, -1.0, 7.0], [3.0, 0.0, -7.0]], dtype=np.float32)
    np.testing.assert_allclose(bounds.outside(drawn), [[1, 0, 7], [2, 0.05, -7]], rtol=1e-6)
    one = Bounds(Box(np.array([-1, 2], np.float32), np.array([1, 2], np.float32)))
    played = one.outside(np.array([[0.5, 0.7]], np.float32))
    assert played.tolist() == [[0.5, 2]] and one.inside(played).tolist() == [[0.5, 0]]


def test_replayed_rewards_are_scaled_when_they_are_sampled() -> None:
    env = Corridor()
    agent = dqn(env, normalise_reward=True, learning_starts=10_000)
    plain = dqn(env, learning_starts=10_000)
    for player in (agent, plain):
        for _ in train(Solo(player, SOLO, False), Corridor(), Clock(total_steps=60), 0):
            pass
    raw, scaled = plain._sample().reward, agent._sample().reward
    assert set(np.unique(raw).tolist()) <= {np.float32(-0.1).item(), 1.0}
    assert agent.reward_scale is not None
    np.testing.assert_allclose(scaled, raw / np.sqrt(agent.reward_scale.variance), rtol=1e-5)


@pytest.mark.parametrize("kind", ["a2c", "ppo", "reinforce"])
def test_on_policy_agents_learn_from_scaled_rewards(kind: str) -> None:
    config = rlexp.compose(["env=cartpole", f"agent={kind}", "agent.normalise_reward=true"]).config
    env = build.env(config.env)
    team: Any = build.team(config, build.plan(config, env.spec))
    for _ in train(team, env, Clock(total_steps=20), 0):
        pass
    agent = team.agent
    if kind == "reinforce":
        stored = agent.games[0].get("reward") or list(agent.finished_games[-1]["reward"])
    else:
        stored = agent.rollout.columns["reward"]
    assert float(np.ravel(stored[-1])[0]) == pytest.approx(
        1 / np.sqrt(agent.reward_scale.variance), rel=1e-5
    )
