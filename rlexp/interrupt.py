"""SIGINT and SIGTERM: finish the turn, save everything, leave with the signal's exit code."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """The run was told to stop and has been saved. `code` is what a shell expects: 130 or 143."""

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        self.code = 128 + number
        super().__init__(f"stopped by {self.name}")


class Interrupts:
    """While active, the first signal is noted and the second stops at once.

    Python runs handlers in the main thread only; elsewhere (a notebook's worker) this does nothing.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number

    def check(self) -> None:
        """Raise Interrupted once a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
