"""A logger whose failure does not end the run: said once, its rows kept, and tried again later."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rlexp.clock import Clock
from rlexp.loggers.base import About, Logger

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0  # seconds from a failure to the next try
MOST_ROWS = 10_000


class Guarded(Logger):
    """Hands everything on to a logger, but for a while after it has failed.

    Rows of metrics are kept meanwhile and handed on later; images and GIFs are left out. Its start
    may fail as ever: nothing has been trained yet.
    """

    def __init__(self, logger: Logger, tell: Callable[[str], None]) -> None:
        self.logger, self.tell = logger, tell
        self.rows: deque[tuple[int, dict[str, float]]] = deque(maxlen=MOST_ROWS)
        self.lost = 0
        self.pause, self.next_try = FIRST_PAUSE, 0.0
        self.failing = self.told = False

    @property
    def name(self) -> str:
        return type(self.logger).__name__.removesuffix("Logger").lower() or "logger"

    def start(self, about: About) -> None:
        self.logger.start(about)

    def note(self, text: str) -> None:
        self._try(lambda: self.logger.note(text))

    def progress(self, clock: Clock, returns: float | None) -> None:
        self._try(lambda: self.logger.progress(clock, returns))

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.lost += len(self.rows) == MOST_ROWS
        self.rows.append((step, metrics))
        self._try(self._hand_on)

    def _hand_on(self) -> None:
        while self.rows:
            self.logger.log(*self.rows[0])
            self.rows.popleft()

    def gif(self, step: int, name: str, path: Path) -> None:
        self._try(lambda: self.logger.gif(step, name, path))

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self._try(lambda: self.logger.image(step, name, picture))

    def finish(self, metrics: dict[str, float]) -> None:
        self.next_try = 0.0
        self._try(self._hand_on)
        self._try(lambda: self.logger.finish(metrics))

    def flush(self) -> None:
        self._try(self.logger.flush)

    def close(self) -> None:
        if not self.failing:
            self._try(self._hand_on)
        missing = self.lost + len(self.rows)
        if missing:
            self.tell(f"note: {self.name} lacks {missing:,} rows of metrics; metrics.csv has them")
            self.rows.clear()
            self.lost = 0
        try:
            self.logger.close()
        except Exception as ex:
            self._failed(ex)

    def _try(self, call: Callable[[], None]) -> None:
        if self.failing and time.monotonic() < self.next_try:
            return
        try:
            call()
        except Exception as ex:
            self._failed(ex)
            return
        if self.failing and not self.rows:
            self.failing, self.pause = False, FIRST_PAUSE

    def _failed(self, ex: Exception) -> None:
        self.failing = True
        self.next_try = time.monotonic() + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        if not self.told:
            self.told = True
            why = (str(ex).strip().splitlines() or [""])[0]
            self.tell(
                f"note: logger {self.name} failed: {type(ex).__name__}: {why}; training continues, "
                "and it is tried again later"
            )


def guarded(loggers: Sequence[Logger], tell: Callable[[str], None]) -> list[Logger]:
    """Return loggers of which only a required one can end the run."""
    return [each if getattr(each, "required", False) else Guarded(each, tell) for each in loggers]
