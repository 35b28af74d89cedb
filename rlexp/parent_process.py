"""What a child process does once its parent is gone, however that ended.

Both know it by a pipe: its one end closes with the parent, also when that is killed (-9).
"""

from __future__ import annotations

import os
import select
import signal
import stat
import threading
from collections.abc import Callable

from rlexp import interrupt

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SWEEP_CHILD = "RLEXP_SWEEP_CHILD"
"""Variable of the processes that a sweep starts: which pipe at their standard input is its."""


def call_when_closed(pipe: int, act: Callable[[], None]) -> None:
    """Call `act` in a thread when the other end of a pipe closes, which nobody writes to."""

    def watch() -> None:
        os.read(pipe, 1)
        act()

    threading.Thread(target=watch, name="rlexp-parent", daemon=True).start()


def die_when_closed(pipe: int) -> None:
    """Kill this process when the other end of a pipe closes, which nobody writes to.

    Linux sends the signal itself, so that it also comes while C code holds Python's lock.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([pipe], [], [], 0)[0]:  # it was closed before the signal was asked for
            os._exit(1)
    else:
        call_when_closed(pipe, lambda: os._exit(1))


def follow_sweep() -> None:
    """In a run that a sweep has started: save and leave as soon as the sweep stops, or is gone."""
    try:
        pipe = os.fstat(0)
    except OSError:
        return
    if not stat.S_ISFIFO(pipe.st_mode) or os.environ.get(SWEEP_CHILD) != str(pipe.st_ino):
        return
    own = os.dup(0)  # nobody else is to read from it, or to wait for what never comes
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)

    def leave() -> None:
        if not interrupt.stopping():
            os.kill(os.getpid(), signal.SIGTERM)

    call_when_closed(own, leave)
