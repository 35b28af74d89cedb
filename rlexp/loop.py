"""The one train loop: bandits, DQN on Mario, PPO, two players, supervised tasks alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rlexp.clock import Clock
from rlexp.types import Env, Metrics, Team, Tick, truncate_games


@dataclass(slots=True)
class Turn:
    """What one turn of the loop brought."""

    clock: Clock
    tick: Tick
    metrics: Metrics | None


def train(team: Team, env: Env, clock: Clock, seed: int) -> Iterator[Turn]:
    """Plays and learns until the clock stops; yields after every tick.

    Between two turns nothing is in flight: logging, evaluation and checkpoints happen there, and a
    checkpoint taken there holds everything. An off-policy team learns while the environment steps,
    always on the data up to the last tick, so threads change the time it takes and nothing else.
    """
    tick = env.start(seed)
    # A resumed environment begins a new game in each row whose old one it can't bring back.
    truncate_games(team, np.flatnonzero(tick.first))
    while clock.running:
        env.send(team.act(tick))
        metrics = team.learn(clock) if team.overlap else None
        tick = env.recv()
        team.observe(tick)
        clock.advance(tick)
        if not team.overlap:
            metrics = team.learn(clock)
        clock.stopped = team.finished
        yield Turn(clock, tick, metrics)
