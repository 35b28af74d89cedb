"""Processor time of the commands that a user waits for: `rlexp --help`, `rlexp train --cfg job`.

uv run python scripts/benchmarks/startup.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from race import tell

COMMANDS = {"help": ["--help"], "config": ["train", "--cfg", "job"]}
PARTS = 9


def seconds(arguments: list[str]) -> float:
    """Of a processor: what it takes on a machine that does nothing else."""
    command = [sys.executable, "-m", "rlexp.cli", *arguments]
    # Compiled modules are kept between starts, as Python does unless it is told not to.
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = os.times()
    subprocess.run(command, capture_output=True, check=True, env=plain)
    after = os.times()
    own = after.children_user - before.children_user
    return own + after.children_system - before.children_system


def main() -> None:
    figures = {}
    for name, arguments in COMMANDS.items():
        seconds(arguments)
        figures[name] = [seconds(arguments) for _ in range(PARTS)]
        middle = statistics.median(figures[name])
        print(f"rlexp {' '.join(arguments)}: {middle:.2f} s, at least {min(figures[name]):.2f} s")
    tell(figures)


if __name__ == "__main__":
    main()
