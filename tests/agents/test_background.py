"""Updates in the background and shared gradients: faster, and the same every time."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np
import pytest
import torch

from rlexp import codec
from rlexp.agents.background import Background
from rlexp.agents.dqn import DQN
from rlexp.clock import Clock
from rlexp.evaluate import evaluate
from rlexp.loop import train
from rlexp.networks.shards import Shards
from rlexp.teams.solo import Solo
from rlexp.types import SOLO
from tiny import PixelCorridor, dqn


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_add_up_to_the_whole(count: int) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    x, y = torch.randn(11, 5), torch.randn(11, 1)
    parameters = list(net.parameters())
    (net(x) - y).square().mean().backward()
    expected = [p.grad.clone() for p in parameters if p.grad is not None]

    def loss(rows: slice) -> tuple[torch.Tensor, int]:
        return (net(x[rows]) - y[rows]).square().sum() / 11, rows.stop - rows.start

    sizes = Shards(count).backward(parameters, 11, loss)
    assert sum(sizes) == 11 and len(sizes) == count and max(sizes) - min(sizes) <= 1
    for p, e in zip(parameters, expected, strict=True):
        torch.testing.assert_close(p.grad, e)


def test_no_share_is_empty() -> None:
    assert Shards(4).slices(2) == [slice(0, 1), slice(1, 2)]


def test_a_job_is_joined_and_its_error_rises() -> None:
    background = Background(threaded=True)
    background.start(lambda: time.sleep(0.05) or {"x": 1.0})
    assert background.take() == {"x": 1.0}
    assert background.take() is None

    def broken() -> None:
        raise ZeroDivisionError

    background.start(broken)
    with pytest.raises(ZeroDivisionError):
        background.take()


def digest(agent: DQN) -> str:
    structure, arrays, segments = codec.flatten(agent.state_dict())
    total = hashlib.sha256(repr(structure).encode())
    for name in sorted(arrays):
        total.update(arrays[name].tobytes())
    for segment in segments.values():
        for _, _, views in segment.blocks():
            for view in views.values():
                total.update(view.tobytes())
    return total.hexdigest()


def run(slow: float = 0.0, looking: bool = False) -> str:
    """A short training; `slow` delays the game, `looking` evaluates in between."""

    class Slow(PixelCorridor):
        def send(self, actions: dict) -> None:
            time.sleep(slow)
            super().send(actions)

    env = Slow(num_envs=2)
    agent = dqn(env, 2, train_every=6)
    team = Solo(agent, SOLO, overlap=True)
    for turn in train(team, env, Clock(total_steps=200), 0):
        if looking and turn.clock.crossed(50):
            evaluate(PixelCorridor(), team.policy(greedy=True, seed=0), 1, seed=0)
    return digest(agent)


def test_speed_changes_nothing() -> None:
    assert run() == run(slow=0.002) == run(looking=True)


@pytest.mark.parametrize(("target_every", "target_tau"), [(50, 1.0), (1, 0.1), ("1ep", 1.0)])
def test_goes_on_from_a_state_taken_while_a_job_was_in_flight(
    target_every: int | str, target_tau: float
) -> None:
    target: dict[str, Any] = {"target_every": target_every, "target_tau": target_tau}

    def go_on(agent: DQN, env: PixelCorridor, clock: Clock) -> str:
        for _ in train(Solo(agent, SOLO, overlap=True), env, clock, 0):
            pass
        return digest(agent)

    env = PixelCorridor(num_envs=2)
    agent, clock = dqn(env, 2, train_every=6, **target), Clock(total_steps=112)
    go_on(agent, env, clock)
    assert agent.background.job is None  # taking the digest joined it
    saved = codec.flatten({"agent": agent.state_dict(), "env": env.state_dict()})
    counts = clock.state_dict()

    def load() -> tuple[DQN, PixelCorridor, Clock]:
        state = codec.unflatten(*saved)
        again_env = PixelCorridor(num_envs=2)
        again = dqn(again_env, 2, train_every=6, **target)
        again.load_state_dict(state["agent"])
        again_env.load_state_dict(state["env"])
        again_clock = Clock(total_steps=200)
        again_clock.load_state_dict(counts)
        return again, again_env, again_clock

    straight_env = PixelCorridor(num_envs=2)
    straight = dqn(straight_env, 2, train_every=6, **target)
    assert go_on(*load()) == go_on(straight, straight_env, Clock(total_steps=200))


def test_learns_from_pictures() -> None:
    env = PixelCorridor(num_envs=2)
    agent = dqn(env, 2, lr=1e-3, double=True)
    team = Solo(agent, SOLO, overlap=True)
    for _ in train(team, env, Clock(total_steps=700), 0):
        pass
    result = evaluate(PixelCorridor(), team.policy(greedy=True, seed=0), 1, seed=0)
    assert result.games[0].length == 4
    with torch.no_grad():
        q = agent.online(torch.from_numpy(PixelCorridor().observe_rows()))
    assert np.isfinite(q.numpy()).all()
