"""Bandit pulls a second, learning included: rlexp's rows against one pull at a time.

    uv run python scripts/benchmarks/bandits.py

Both sides play the arms of env=bandit for 250 pulls, again and again, in one process, alternating;
medians of seven parts. The other side is plain Python: lists, `random`, no NumPy in the loop.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable

from race import tell

from rlexp.agents.bandits import UCB1, BanditLearner, EpsilonGreedy
from rlexp.clock import Clock
from rlexp.envs.bandit import Bandit
from rlexp.hooks import Recorder
from rlexp.loggers.base import Loggers
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO

ARMS, HORIZON, ROWS, PARTS = [0.3, 0.5, 0.9], 250, 4000, 7


def rows(make: Callable[[Bandit], BanditLearner]) -> float:
    """Pulls a second of one run's loop, its metrics included."""
    env = Bandit(ARMS, ROWS, HORIZON)
    team, recorder = Solo(make(env), SOLO, overlap=False), Recorder(None, Loggers([]))
    clock = Clock(total_steps=ROWS * HORIZON)
    began = time.perf_counter()
    for turn in train(team, env, clock, 0):
        recorder.turn(turn)
    return clock.steps / (time.perf_counter() - began)


def one_by_one(choose: Callable[[list[int], list[float], int], int]) -> float:
    """Pulls a second of a loop over single pulls."""
    simulations = 200
    began = time.perf_counter()
    for _ in range(simulations):
        pulls, means = [0] * len(ARMS), [0.0] * len(ARMS)
        for t in range(HORIZON):
            arm = choose(pulls, means, t)
            reward = random.random() < ARMS[arm]
            pulls[arm] += 1
            means[arm] += (reward - means[arm]) / pulls[arm]
    return simulations * HORIZON / (time.perf_counter() - began)


def epsilon_greedy(pulls: list[int], means: list[float], t: int) -> int:
    if random.random() < 0.1:
        return random.randrange(len(ARMS))
    return means.index(max(means))


def ucb1(pulls: list[int], means: list[float], t: int) -> int:
    if t < len(ARMS):
        return t
    scores = [m + math.sqrt(2 * math.log(t) / n) for m, n in zip(means, pulls, strict=True)]
    return scores.index(max(scores))


def main() -> None:
    def ours_greedy(env: Bandit) -> BanditLearner:
        return EpsilonGreedy(env.spec.action_spaces[SOLO], ROWS, 0, epsilon=0.1)

    def ours_ucb1(env: Bandit) -> BanditLearner:
        return UCB1(env.spec.action_spaces[SOLO], ROWS, 0, c=2.0)

    pairs = {"epsilon_greedy": (ours_greedy, epsilon_greedy), "ucb1": (ours_ucb1, ucb1)}
    figures = {}
    for name, (ours, theirs) in pairs.items():
        rows(ours)
        found = [(rows(ours), one_by_one(theirs)) for _ in range(PARTS)]
        fast, slow = (statistics.median(side) for side in zip(*found, strict=True))
        ratios = sorted(a / b for a, b in found)
        print(
            f"{name}: {fast / 1e6:.2f} million pulls a second in {ROWS:,} rows, "
            f"{slow / 1e6:.2f} one at a time: {statistics.median(ratios):.1f} times "
            f"({ratios[0]:.1f} … {ratios[-1]:.1f})"
        )
        figures[f"{name} pulls/s"] = [a for a, _ in found]
        figures[f"{name} times"] = ratios
    tell(figures)


if __name__ == "__main__":
    main()
