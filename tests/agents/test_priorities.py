"""Prioritised replay in the learner: weighed losses, when priorities follow, exact resume."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rlexp import build, codec
from rlexp.agents.dqn import DQN
from rlexp.api import compose
from rlexp.buffers.base import Batch
from rlexp.clock import Clock
from rlexp.errors import UserError
from rlexp.evaluate import evaluate
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO
from tiny import Corridor, PixelCorridor, dqn

PRIORITIES = {"priority_alpha": 0.6, "priority_beta": 0.4, "priority_beta_steps": 300}


def play(agent: DQN, env: Corridor, clock: Clock) -> None:
    for _ in train(Solo(agent, SOLO, overlap=True), env, clock, 0):
        pass


@pytest.mark.parametrize("shards", [1, 2])
def test_a_weighed_loss_by_hand(shards: int) -> None:
    """Q is 0 everywhere, so errors are the rewards: Huber 0.125, 1.5, 0.5; weighed and averaged."""
    agent = dqn(Corridor(), shards, buffer=PRIORITIES, lr=1e-9)
    with torch.no_grad():
        for parameter in [*agent.online.parameters(), *agent.target.parameters()]:
            parameter.zero_()
    obs = np.eye(5, dtype=np.float32)[:3]
    batch = Batch(
        obs=obs,
        action=np.array([0, 1, 0]),
        reward=np.array([0.5, -2.0, 1.0], dtype=np.float32),
        next_obs=obs,
        discount=np.full(3, 0.9, dtype=np.float32),
        weights=np.array([1.0, 0.5, 0.25], dtype=np.float32),
        index=np.array([7, 8, 9]),
    )
    metrics = agent.update(batch)
    assert float(metrics["loss/td"]) == pytest.approx((0.125 + 0.75 + 0.125) / 3)
    assert float(metrics["train/td_error"]) == pytest.approx(3.5 / 3)  # as it is, not weighed
    # Slopes -0.5, 1, -1 (Huber's is cut at 1), weighed and divided by 3, at the actions taken.
    bias = agent.online.head.bias
    assert isinstance(bias, torch.Tensor) and bias.grad is not None
    np.testing.assert_allclose(bias.grad, [(-0.5 - 0.25) / 3, 0.5 / 3], rtol=1e-6)
    ((index, error),) = agent.surprises
    assert index.tolist() == [7, 8, 9] and error.tolist() == [0.5, -2.0, 1.0]


@pytest.mark.parametrize("env", [Corridor(), PixelCorridor()], ids=["vectors", "pictures"])
def test_priorities_follow_before_the_next_batch_and_not_earlier(env: Corridor) -> None:
    agent = dqn(env, buffer=PRIORITIES, train_every=10, learning_starts=100)
    play(agent, env, Clock(total_steps=95))
    assert agent.buffer.priorities is not None
    leaves = agent.buffer.priorities.tree.leaves
    assert set(leaves) == {0.0, 1.0}
    agent.learn(Clock(steps=100, previous_steps=99))
    agent.background.join()
    assert set(leaves) == {0.0, 1.0} and len(agent.surprises) == 1
    index, error = agent.surprises[0]
    agent.learn(Clock(steps=110, previous_steps=109))
    at = agent.buffer.rings.index(np.zeros(len(index), dtype=int), index)  # of one row
    expected = (error.abs().double().numpy() + 1e-6) ** 0.6
    np.testing.assert_allclose(leaves[at], expected, rtol=1e-5)


def test_each_of_many_updates_draws_by_the_errors_of_the_one_before() -> None:
    """Without a thread; with one, all batches are drawn when the job begins."""
    agent = dqn(Corridor(), buffer=PRIORITIES, train_every=10, updates=5, learning_starts=100)
    play(agent, Corridor(), Clock(total_steps=101))
    assert agent.update_count == 5 and len(agent.surprises) == 1


def digest(agent: DQN) -> list[bytes]:
    structure, arrays, segments = codec.flatten(agent.state_dict())
    found = [repr(structure).encode(), *(arrays[name].tobytes() for name in sorted(arrays))]
    for segment in segments.values():
        found += [view.tobytes() for _, _, views in segment.blocks() for view in views.values()]
    return found


@pytest.mark.parametrize("kind", [Corridor, PixelCorridor])
@pytest.mark.parametrize("stop", [110, 112, 116])
def test_goes_on_from_a_state_with_errors_not_written_yet(kind: Any, stop: int) -> None:
    def make() -> tuple[DQN, Corridor]:
        env = kind(num_envs=2)
        agent = dqn(env, buffer=PRIORITIES, train_every=6, updates=2, dueling=True)
        return agent, env

    (agent, env), clock = make(), Clock(total_steps=stop)
    play(agent, env, clock)
    saved = codec.flatten({"agent": agent.state_dict(), "env": env.state_dict()})
    assert agent.surprises
    (again, again_env), again_clock = make(), Clock(total_steps=200)
    state = codec.unflatten(*saved)
    again.load_state_dict(state["agent"])
    again_env.load_state_dict(state["env"])
    again_clock.load_state_dict(clock.state_dict())
    play(again, again_env, again_clock)
    straight, straight_env = make()
    play(straight, straight_env, Clock(total_steps=200))
    assert digest(again) == digest(straight)


def test_learns_the_corridor_with_all_of_it() -> None:
    env = Corridor(num_envs=2)
    agent = dqn(env, buffer=PRIORITIES, double=True, dueling=True)
    play(agent, env, Clock(total_steps=1500))
    policy = Solo(agent, SOLO, overlap=True).policy(greedy=True, seed=0)
    result = evaluate(Corridor(), policy, 1, seed=0)
    assert result.games[0].length == 4 and result.games[0].success
    with torch.no_grad():
        q = agent.online(torch.eye(5)[:4]).max(1).values
    np.testing.assert_allclose(q, [0.458, 0.62, 0.8, 1.0], atol=0.08)


def test_buffer_auto_hands_on_the_keys_that_its_buffer_has() -> None:
    config = compose(["env=cartpole", "agent=dqn", "buffer.priority_alpha=0.7"]).config
    env = build.env(config.env)
    team: Any = build.team(config, build.plan(config, env.spec))
    assert team.agent.buffer.priorities.alpha == 0.7
    config = compose(["env=cartpole", "agent=dreamer", "buffer.capacity=1000"]).config
    build.team(config, build.plan(config, env.spec))


@pytest.mark.parametrize("agent", ["dreamer", "ppo"])
def test_who_can_learn_from_priorities(agent: str) -> None:
    config = compose([f"agent={agent}", "buffer.priority_alpha=0.7"]).config
    spec = build.env(config.env).spec
    with pytest.raises(UserError, match=f"agent {agent} can't learn from priorities"):
        build.plan(config, spec)
