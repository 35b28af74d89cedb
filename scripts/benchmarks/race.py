"""Contenders in processes of their own that take turns, so that a machine whose speed drifts slows
all of them, and ratios are taken pair by pair."""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
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


def race(
    contenders: dict[str, Contender],
    blocks: int,
    steps: int,
    warm_up: int,
    against: str | None = None,
) -> None:
    """Print each one's steps a second, and the ratio of "rlexp" to the best other, or to one."""
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for name, (make, argument) in contenders.items():
        pipes[name], theirs = context.Pipe()
        context.Process(target=work, args=(theirs, make, argument), daemon=True).start()
    print(f"{platform.platform()}, {platform.processor() or platform.machine()}, {cores()} cores")
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for block in range(blocks + 1):
        for name, pipe in pipes.items():
            pipe.send(steps if block else warm_up)
            rate = pipe.recv()
            if block:
                rates[name].append(rate)
    for pipe in pipes.values():
        pipe.send(None)
    for name, values in rates.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name:<30} {middle:8,.1f} steps/s  ({low:,.1f} … {high:,.1f})")
    best = against or max(
        (n for n in rates if n != "rlexp"), key=lambda n: statistics.median(rates[n])
    )
    ratios = [a / b for a, b in zip(rates["rlexp"], rates[best], strict=True)]
    print(
        f"rlexp / {best}: {statistics.median(ratios):.2f}  ({min(ratios):.2f} … {max(ratios):.2f})"
    )
