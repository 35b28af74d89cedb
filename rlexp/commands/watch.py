"""`rlexp watch`: a run or a sweep, live in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rlexp.commands.common import keys_and_paths, told
from rlexp.errors import UserError

HELP = """\
usage: rlexp watch [RUN|SWEEP] [every=1] [once=true]

A run: how far it is, its latest metrics, its return as a curve. A sweep, or several runs: a line
each, also for those that wait. Without a path: everything under outputs/ that runs now. Looks every
second until all are finished, or Ctrl-C; once=true, and where there is no terminal: one look.
"""
OWN = {"every": "1", "once": "false"}


def main(argv: Sequence[str]) -> int:
    if "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0
    return told(lambda: _watch(argv))


def _watch(argv: Sequence[str]) -> None:
    paths, own = keys_and_paths(argv, OWN, "watch")
    try:
        every = float(own["every"])
    except ValueError:
        every = 0.0
    if not 0.1 <= every <= 3600:
        raise UserError(f"every={own['every']} must be seconds, 0.1 to 3600")
    if own["once"] not in ("true", "false"):
        raise UserError(f"once={own['once']} must be true or false")

    def look() -> tuple[list[str], bool]:
        return _look(paths)

    if own["once"] == "true" or not sys.stdout.isatty():
        print("\n".join(look()[0]))
        return
    _live(look, every)


def _look(paths: Sequence[str]) -> tuple[list[str], bool]:
    """(what to show, is anything still going on)."""
    from rlexp.report import live, reading

    not_begun = [name for path in paths for name in live.waiting(Path(path))]
    try:
        runs = reading.find(paths, none=not paths)
    except UserError:
        if not not_begun:
            raise
        runs = []
    if not paths:
        runs = [run for run in runs if run.state == "running"]
        if not runs:
            return ["no run under outputs/ is running now"], False
    going = bool(not_begun) or any(run.state == "running" for run in runs)
    if len(runs) == 1 and not not_begun:
        shown = live.alone(runs[0], sys.stdout.isatty())
    else:
        reading.shorten(runs)
        shown = live.several(runs, not_begun)
    bad = reading.problems(run for run in runs if run.state != "running")
    return [*shown, *([""] if bad else []), *bad], going


def _live(look: Callable[[], tuple[list[str], bool]], every: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as screen:
        while True:
            shown, going = look()
            screen.update(Text.from_ansi("\n".join(shown), no_wrap=True), refresh=True)
            if not going:
                return
            time.sleep(every)
