"""Every id that is registered trains with an agent that fits, or is refused in one line."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
from gymnasium.envs.registration import registry

import rlexp
from rlexp import build, fitting
from rlexp.clock import Clock
from rlexp.errors import UserError
from rlexp.loop import train

FAMILIES = ("classic_control", "toy_text")
OURS = sorted(
    id
    for id, spec in registry.items()
    if isinstance(spec.entry_point, str) and any(f".{f}." in spec.entry_point for f in FAMILIES)
)
AGENTS = {"discrete": ["ppo", "dqn"], "continuous": ["ppo", "sac"]}
SMALL = {
    "ppo": ["agent.rollout_steps=50"],
    "dqn": ["agent.learning_starts=50", "agent.target_every=50"],
    "sac": ["agent.learning_starts=80", "agent.hidden=[16]", "agent.batch_size=16"],
}
CONFIGS: dict[str, Any] = {}


def config(agent: str, id: str) -> Any:
    """Composed once an agent: that is what takes the time."""
    if agent not in CONFIGS:
        given = ["env=gym", "env.id=any", f"agent={agent}", "device=cpu", "device.threads=1"]
        CONFIGS[agent] = rlexp.compose([*given, *SMALL.get(agent, [])]).config
    found = copy.deepcopy(CONFIGS[agent])
    found.env.id = id
    return found


def kind(id: str) -> str:
    env = build.env(config("ppo", id).env)
    try:
        return fitting.kind_of_action(env.spec.action_spaces["agent"])
    finally:
        env.close()


def test_the_families_are_there() -> None:
    assert {"CartPole-v1", "Pendulum-v1", "Taxi-v4", "Blackjack-v1"} <= set(OURS)
    assert len(OURS) >= 12


@pytest.mark.parametrize("id", OURS)
def test_it_trains_a_hundred_steps(id: str) -> None:
    for agent in AGENTS[kind(id)]:
        chosen = config(agent, id)
        env = build.env(chosen.env)
        team = build.team(chosen, build.plan(chosen, env.spec))
        learnt = [turn.metrics for turn in train(team, env, Clock(total_steps=100), 0)]
        env.close()
        assert any(learnt), agent


@pytest.mark.slow
@pytest.mark.parametrize("id", OURS)
def test_it_trains_a_thousand_steps(id: str) -> None:
    """Whole runs, evaluation and all, with both agents."""
    more = ["logger=csv", "total_steps=1000", "evaluation.episodes=2", "evaluation.max_steps=300"]
    for agent in AGENTS[kind(id)]:
        score = rlexp.train(["env=gym", f"env.id={id}", f"agent={agent}", *SMALL[agent], *more])
        print(f"{id} {agent}: {score:.2f}")


@pytest.mark.parametrize("id", sorted(set(registry) - set(OURS)))
def test_others_are_made_or_refused_in_one_line(id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            build.env(config("ppo", id).env).close()
        except UserError as ex:
            assert "\n" not in str(ex) and str(ex).startswith("env."), ex
