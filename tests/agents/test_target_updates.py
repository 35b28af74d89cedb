"""The target follows once a multiple of `target_every`, in its place among the gradient steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rlexp.agents.dqn import DQN
from rlexp.clock import Clock
from rlexp.envs.base import BatchEnv
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO
from tiny import Corridor, PixelCorridor, dqn


def record(agent: DQN) -> list[str]:
    """A list that grows: "g" for a gradient step, "T" for a target update."""
    events: list[str] = []
    update, follow = agent.update, agent.follow

    def gradient_step(batch: Any) -> Any:
        events.append("g")
        return update(batch)

    def target_update() -> None:
        events.append("T")
        follow()

    agent.update, agent.follow = gradient_step, target_update  # type: ignore[method-assign]
    return events


def sequence(env: BatchEnv, steps: int, overlap: bool, **changes: Any) -> str:
    agent = dqn(env, **({"learning_starts": 0} | changes))
    events = record(agent)
    for _ in train(Solo(agent, SOLO, overlap), env, Clock(total_steps=steps), 0):
        pass
    agent.background.join()
    return "".join(events)


@pytest.mark.parametrize("make", [Corridor, PixelCorridor])  # the second's updates have a thread
@pytest.mark.parametrize("rows", [1, 2, 8, 24])
def test_many_rows_owe_what_one_row_owes(rows: int, make: type[Corridor]) -> None:
    """Gradient steps are due after 3, 6, 9 …, the target after 5, 10, 15 (with a step) and 20."""
    env = make(num_envs=rows)
    told = sequence(env, 24, overlap=False, train_every=3, updates=2, target_every=5)
    assert told == "ggTggggTggggTggTgggg"


@pytest.mark.parametrize("rows", [1, 8])
def test_a_target_update_for_every_step(rows: int) -> None:
    """With 8 rows the target once followed 49 times, once a tick, where one row's did 399 times.

    What the last tick owes is never done: learning overlaps with the tick that comes next. One row
    owes target updates from its first step on, 8 rows from the end of their first tick.
    """
    changes = {"train_every": 1, "target_every": 1, "target_tau": 0.005, "learning_starts": 8}
    told = sequence(Corridor(num_envs=rows), 400, overlap=True, **changes)
    assert told == {1: "T" * 7 + "gT" * 392, 8: "gT" * 392}[rows]


def test_more_target_updates_than_gradient_steps() -> None:
    """Their places say which ones lie between two gradient steps."""
    env = Corridor(num_envs=8)
    assert sequence(env, 8, overlap=False, train_every=4, target_every=2) == "TgTTgT"


@pytest.mark.parametrize(
    ("episodes", "expected"), [(1, "ggggT"), (2, "ggTggT"), (4, "gTgTgTgT"), (0, "gggg")]
)
def test_episodes_are_spread_over_their_tick(episodes: int, expected: str) -> None:
    env = Corridor()
    agent = dqn(env, train_every=1, target_every="1ep", learning_starts=0)
    for _ in train(Solo(agent, SOLO, overlap=False), env, Clock(total_steps=4), 0):
        pass
    events = record(agent)
    agent.learn(Clock(steps=8, previous_steps=4, episodes=episodes))
    assert "".join(events) == expected


def test_targets_are_those_of_their_place() -> None:
    """A hard update after 4 and 8 of a tick's 8 gradient steps: steps 5 to 8 use the weights that
    the first 4 left."""
    env = Corridor(num_envs=8)
    agent = dqn(env, train_every=1, target_every=4, target_tau=1.0, learning_starts=0)
    before = [agent.target.head.weight.clone()]
    after: list[torch.Tensor] = []
    update = agent.update

    def watched(batch: Any) -> Any:
        before.append(agent.target.head.weight.clone())
        metrics = update(batch)
        after.append(agent.online.head.weight.detach().clone())
        return metrics

    agent.update = watched  # type: ignore[method-assign]
    for _ in train(Solo(agent, SOLO, overlap=False), env, Clock(total_steps=8), 0):
        pass
    first, *of_each_step = before
    assert all(torch.equal(target, first) for target in of_each_step[:4])
    assert all(torch.equal(target, after[3]) for target in of_each_step[4:])
    assert not torch.equal(first, after[3])
    assert torch.equal(agent.target.head.weight, after[7])
