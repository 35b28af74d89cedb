"""Contenders in processes of their own that take turns, so that a machine whose speed drifts slows
all of them, and ratios are taken pair by pair."""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

Contender = tuple[Callable[[Any], Iterator[int]], Any]
"""(generator function that yields the steps done so far, its argument)."""


def cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def work(pipe: Connection, make: Callable[[Any], Iterator[int]], argument: Any) -> None:
    """In a process of its own: does as many steps as it is told, says how long they took."""
    steps = make(argument)
    done = next(steps)
    while True:
        wanted = pipe.recv()
        if wanted is None:
            return
        began, start = time.perf_counter(), done
        while done < start + wanted:
            done = next(steps)
        pipe.send((done - start) / (time.perf_counter() - began))


def ours(overrides: list[str]) -> Iterator[int]:
    """The loop and metrics of a real run; yields the steps done."""
    from rlexp import device

    device.prepare()
    from rlexp import build
    from rlexp.api import compose
    from rlexp.clock import Clock
    from rlexp.hooks import Recorder
    from rlexp.loggers.base import Loggers
    from rlexp.loop import train

    config = compose(["device=cpu", *overrides]).config
    env = build.env(config.env)
    team = build.team(config, build.plan(config, env.spec))
    recorder, clock = Recorder(None, Loggers([])), Clock()
    yield 0
    for turn in train(team, env, clock, 0):
        recorder.turn(turn)
        yield clock.steps


def tell(figures: dict[str, list[float]]) -> None:
    """What was measured, in one line for scripts/claims: name → values, one a block."""
    rounded = {name: [float(f"{v:.5g}") for v in values] for name, values in figures.items()}
    print("figures:", json.dumps(rounded))


def race(
    contenders: dict[str, Contender],
    blocks: int,
    steps: int,
    warm_up: int,
    favourites: Sequence[str] = ("rlexp",),
    unit: str = "steps",
    against: str | None = None,
    title: str = "",
) -> None:
    """Print each one's steps a second, and the ratio of each favourite to the best other.

    `title` stands before the figures' names where a script has several races.
    """
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for name, (make, argument) in contenders.items():
        pipes[name], theirs = context.Pipe()
        # No daemon: such a process could not have children, one for each game.
        process = context.Process(target=work, args=(theirs, make, argument))
        process.start()
        atexit.register(process.terminate)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    processor = platform.processor() or platform.machine()
    print(f"{platform.platform()}, {processor}, {cores()} cores{load}")
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for block in range(blocks + 1):
        for name, pipe in pipes.items():
            pipe.send(steps if block else warm_up)
            rate = pipe.recv()
            if block:
                rates[name].append(rate)
    for pipe in pipes.values():
        pipe.send(None)
    wide = max(30, *map(len, rates))
    for name, values in rates.items():
        places = 1 if max(values) >= 10 else 3
        low, middle, high = min(values), statistics.median(values), max(values)
        span = f"({low:,.{places}f} … {high:,.{places}f})"
        print(f"{name:<{wide}} {middle:8,.{places}f} {unit}/s  {span}")
    others = [name for name in rates if name not in favourites]
    best = against or max(others, key=lambda name: statistics.median(rates[name]))
    figures = {f"{title}{name} {unit}/s": values for name, values in rates.items()}
    for name in favourites:
        ratios = [a / b for a, b in zip(rates[name], rates[best], strict=True)]
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        print(f"{name} / {best}: {middle:.2f}  ({low:.2f} … {high:.2f})")
        figures[f"{title}{name} times"] = ratios
    tell(figures)
