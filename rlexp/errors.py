"""Mistakes that a user can mend: told in one line, exit code 2, never a traceback."""

from __future__ import annotations

import difflib
import os
import traceback
from collections.abc import Iterable


class UserError(Exception):
    """Something the user asked for can't be done; the message says what, where and what to try."""


class RunStopped(Exception):
    """A run can't go on, for a reason that one line tells: a full disk, a NaN. Exit code 1.

    `state` is what its status.json says from then on; `score`, if it has one all the same.
    """

    state = "failed"

    def __init__(self, message: str, score: float | None = None) -> None:
        super().__init__(message)
        self.score = score


def stopped_by(ex: BaseException) -> RunStopped:
    """What to raise for a SystemExit or KeyboardInterrupt of code that is not ours: it ends a run,
    but must not look like the end that rlexp or a user chose.
    """
    frame = traceback.extract_tb(ex.__traceback__)[-1]
    call = f"called sys.exit({ex.code!r})" if isinstance(ex, SystemExit) else f"raised {ex!r}"
    return RunStopped(
        f"{os.path.basename(frame.filename)}, line {frame.lineno}: {frame.name} {call}"
    )


def nearest(word: str, options: Iterable[str], n: int = 3, cutoff: float = 0.5) -> list[str]:
    """The options that look most like `word`, best first; `cutoff`: how much at least, 0 to 1."""
    by_lower = {option.lower(): option for option in options}
    found = difflib.get_close_matches(word.lower(), by_lower, n=n, cutoff=cutoff)
    return [by_lower[f] for f in found]


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A sentence that names the nearest valid choices, or all of them when none is near."""
    options = sorted(set(options))
    if not options:
        return ""
    near = nearest(word, options)
    if near:
        return f" Did you mean {' or '.join(repr(n) for n in near)}?"
    shown = ", ".join(options[:12]) + (", …" if len(options) > 12 else "")
    return f" Choose from: {shown}."
