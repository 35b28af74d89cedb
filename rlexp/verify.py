"""Proof that a run resumes exactly: two runs, one killed and resumed, compared bit by bit."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import checkpoint
from rlexp.clock import Clock
from rlexp.codec import flatten
from rlexp.errors import UserError
from rlexp.run_dir import RunDir

# Wall-clock time is the one thing that may differ.
TIMES = ("/recorder/elapsed",)


def leaves(run: RunDir) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of everything in the last checkpoint and in metrics.csv, time aside."""
    folder = run.full_checkpoints()[-1]
    structure, arrays, _ = flatten(_open_segments(checkpoint.load(folder)))
    for name, value in _numbers(structure, ""):
        if name not in TIMES:
            yield name, repr(value).encode()
    for name, array in sorted(arrays.items()):
        yield name, repr((array.shape, array.dtype)).encode() + array.tobytes()
    with open(run.metrics, newline="") as f:
        for row in csv.DictReader(f):
            for name, text in row.items():
                if not name.startswith("time/"):
                    yield f"metrics.csv, step {row['step']}, {name}", str(text).encode()


def _open_segments(node: Any) -> Any:
    """Buffer blocks in the place of their names."""
    if isinstance(node, checkpoint.SavedSegments):
        return {block.partition("_")[0]: views for block, views in node.blocks()}
    if isinstance(node, dict):
        return {key: _open_segments(value) for key, value in node.items()}
    return node


def _numbers(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _numbers(value, f"{path}/{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _numbers(value, f"{path}/{i}")
    else:
        yield path, node


@dataclass(frozen=True)
class Comparison:
    """`parts` is where two runs part, in the order of the state; empty when they are equal."""

    parts: list[str]
    count: int
    hashes: tuple[str, str]


def compare(a: RunDir, b: RunDir) -> Comparison:
    """Hold the final states and metrics of two runs against each other."""
    ours, theirs = dict(leaves(a)), dict(leaves(b))
    names = [*ours, *(name for name in theirs if name not in ours)]
    parts = [name for name in names if ours.get(name) != theirs.get(name)]
    return Comparison(parts, len(names), (_digest(ours), _digest(theirs)))


def _digest(found: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name, data in sorted(found.items()):
        total.update(name.encode() + b"\0" + data + b"\0")
    return total.hexdigest()[:16]


def run_child(arguments: Sequence[str], kill_at: int | None = None) -> int:
    """`rlexp train|resume …` in a process of its own, which kills itself (-9) at a step."""
    command = [sys.executable, "-m", "rlexp.verify", str(kill_at or 0), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    killed = done.returncode == -signal.SIGKILL
    if done.returncode != 0 and not (killed and kill_at):
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise UserError(last[0].removeprefix("rlexp: "))
    return done.returncode


def short_run(steps: int, has_learning_starts: bool) -> list[str]:
    """Overrides that make a run of any preset short, with all that can go wrong in it."""
    found = [
        f"total_steps={steps}",
        "total_episodes=null",
        f"log_every={max(1, steps // 10)}",
        f"checkpoint.every={max(1, steps // 5)}",
        f"evaluation.every={max(1, steps // 2)}",
        "evaluation.episodes=2",
        "evaluation.gif=false",
        "logger=[csv,tensorboard]",
        "run_dir=null",
        "resume=null",
    ]
    if has_learning_starts:
        found.append(f"agent.learning_starts={max(1, steps // 5)}")
    return found


def verify(
    overrides: Sequence[str], folder: Path, steps: int, kills: int
) -> tuple[Comparison, list[int]]:
    """Train straight, and train with `kills` kills at random steps; (comparison, kill steps)."""
    straight, killed = RunDir(folder / "straight"), RunDir(folder / "killed")
    run_child(["train", *overrides, f"run_dir={straight.path}"])
    marks = sorted(random.SystemRandom().sample(range(1, steps), kills))
    run_child(["train", *overrides, f"run_dir={killed.path}"], marks[0])
    for mark in [*marks[1:], None]:
        run_child(["resume", str(killed.path)], mark)
    return compare(straight, killed), marks


def _child(kill_at: int, command: str, arguments: Sequence[str]) -> None:
    from rlexp import going_on, locate, runner
    from rlexp.config.compose import compose, load

    def each_turn(clock: Clock) -> None:
        if kill_at and clock.steps >= kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    if command == "train":
        going_on.start_or_resume(compose(arguments), each_turn=each_turn)
        return
    run = locate.locate(arguments[0]).run
    folder, _ = locate.whole_checkpoint(run)
    runner.resume(run, load(run.config), folder, each_turn)


if __name__ == "__main__":
    from rlexp.commands.common import told

    at, name, *rest = sys.argv[1:]
    sys.exit(told(lambda: _child(int(at), name, rest)))
