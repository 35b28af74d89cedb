"""SIGINT, SIGTERM and SIGHUP: finish the step, save everything, leave with the signal's exit code.

A second signal ends the process within seconds, whatever it hangs in: an environment that never
returns keeps the main thread from finishing its step, and Python from joining its threads.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
SAME = 0.3  # seconds: `timeout`, `uv run` and job managers send one signal twice
GRACE = 3.0  # seconds that a second signal leaves for an orderly end

_active: Interrupts | None = None


class Interrupted(Exception):
    """The run was told to stop and has been saved. `code` is what a shell expects: 130 or 143."""

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        self.code = 128 + number
        super().__init__(f"stopped by {self.name}")


def exit_code(ex: KeyboardInterrupt) -> int:
    """Return what a shell expects of a process that a second signal has stopped."""
    return 128 + (ex.args[0] if ex.args and isinstance(ex.args[0], int) else signal.SIGINT)


def stopping() -> bool:
    """Return True once a signal has come to the run or sweep of this process."""
    return _active is not None and _active.number is not None


class Interrupts:
    """While active, the first signal is noted, and the second one stops at once.

    The second raises KeyboardInterrupt in the main thread. If this has not ended everything after
    GRACE seconds, `last_words` is called, the child processes are killed, and the process exits.
    A SIGHUP that is ignored (`nohup`) stays so.

    Python runs handlers in the main thread only; elsewhere (a notebook's worker) this does nothing.
    """

    def __init__(self, last_words: Callable[[], None] | None = None) -> None:
        self.number: int | None = None
        self.last_words = last_words
        self._noted_at, self._raised = 0.0, False
        self._before: dict[int, Any] = {}
        self._outer: Interrupts | None = None
        self._ended = threading.Event()
        self._wakeup = (-1, -1)  # the watching thread's pipe, and what was there before

    def __enter__(self) -> Interrupts:
        global _active
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
            read_end, write_end = os.pipe()
            os.set_blocking(write_end, False)
            before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
            self._wakeup = write_end, before
            # A daemon: the main thread may hang in C code, where no handler of Python's runs.
            threading.Thread(target=self._watch, args=(read_end,), daemon=True).start()
            self._outer, _active = _active, self
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number, self._noted_at = number, time.monotonic()
            _leave_closed_terminal()
        elif time.monotonic() - self._noted_at > SAME and not self._raised:
            self._raised = True  # a third would keep things from being closed
            raise KeyboardInterrupt(number)

    def _watch(self, read_end: int) -> None:
        """Count the signals as they come; exit after the second if the main thread does not."""
        first: float | None = None
        second: int | None = None
        while second is None and (numbers := os.read(read_end, 64)):
            for number in numbers:
                if number in STOPPING:
                    now = time.monotonic()
                    first = now if first is None else first
                    if now - first > SAME:
                        second = number
        if second is not None and not self._ended.wait(GRACE):
            self._exit(second)
        os.close(read_end)

    def _exit(self, number: int) -> None:
        """End the process from this thread, children first; nothing is waited for."""
        try:
            if self.last_words is not None:
                threading.Thread(target=self.last_words, daemon=True).start()
            workers = sys.modules.get("multiprocessing")  # none without it
            for child in workers.active_children() if workers is not None else ():
                child.kill()
            name = signal.Signals(number).name
            with suppress(OSError):
                os.write(2, f"\nrlexp: stopped by a second {name}, unsaved\n".encode())
            time.sleep(0.2)
        finally:
            os._exit(128 + number)

    def check(self) -> None:
        """Raise Interrupted once a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)

    def __exit__(self, *exception: object) -> None:
        global _active
        self._ended.set()
        if self._before:
            write_end, before = self._wakeup
            signal.set_wakeup_fd(before)
            os.close(write_end)
            _active = self._outer
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def _leave_closed_terminal() -> None:
    """Write to nowhere what would go to a terminal that was closed, where writing fails."""
    for stream in (sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):
            descriptor = stream.fileno()  # type: ignore[union-attr]
            try:
                os.write(descriptor, b"")
            except OSError:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
