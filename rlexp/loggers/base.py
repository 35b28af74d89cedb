"""What a logger is, and all of a run's loggers as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlexp.clock import Clock
from rlexp.run_dir import RunDir


@dataclass(frozen=True)
class About:
    """What a logger may know of its run; `step` is where a resumed run goes on, else 0."""

    run: RunDir
    config: dict[str, Any]
    step: int


class Logger:
    """Base of all loggers: does nothing; override what is of use.

    A failure after `start` does not end the run (guarded.py), unless the logger is `required`.
    """

    required = False

    def start(self, about: About) -> None:
        """Once. On resume everything past `about.step` is to be forgotten."""

    def note(self, text: str) -> None:
        """A sentence for people."""

    def progress(self, clock: Clock, returns: float | None) -> None:
        """Every turn: be quick."""

    def log(self, step: int, metrics: dict[str, float]) -> None: ...

    def gif(self, step: int, name: str, path: Path) -> None: ...

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """RGB uint8 [H, W, 3]."""

    def finish(self, metrics: dict[str, float]) -> None:
        """The run is over: final metrics, beside the hyperparameters."""

    def flush(self) -> None:
        """Before a checkpoint: what was logged up to now is on disk."""

    def close(self) -> None: ...


class Loggers(Logger):
    """Hands everything on to each."""

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers = list(loggers)

    def start(self, about: About) -> None:
        for logger in self.loggers:
            logger.start(about)

    def note(self, text: str) -> None:
        for logger in self.loggers:
            logger.note(text)

    def progress(self, clock: Clock, returns: float | None) -> None:
        for logger in self.loggers:
            logger.progress(clock, returns)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        for logger in self.loggers:
            logger.log(step, metrics)

    def gif(self, step: int, name: str, path: Path) -> None:
        for logger in self.loggers:
            logger.gif(step, name, path)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        for logger in self.loggers:
            logger.image(step, name, picture)

    def finish(self, metrics: dict[str, float]) -> None:
        for logger in self.loggers:
            logger.finish(metrics)

    def flush(self) -> None:
        for logger in self.loggers:
            logger.flush()

    def close(self) -> None:
        for logger in self.loggers:
            logger.close()


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts → {"agent.lr": …}."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found
