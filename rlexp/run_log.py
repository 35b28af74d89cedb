"""run.log, and warnings told as notes of the run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from rlexp.run_dir import RunDir


def file_log(run: RunDir) -> logging.Logger:
    log = logging.getLogger(f"rlexp.run.{run.path.name}")
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in list(log.handlers):
        log.removeHandler(handler)
    handler = logging.FileHandler(run.log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk
    log.addHandler(handler)
    return log


class ToldWarnings(warnings.catch_warnings):
    """Our own warnings become notes of the run; each is told once."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(record=False)
        self.tell = tell

    def __enter__(self) -> None:  # type: ignore[override]
        super().__enter__()
        before, told = warnings.showwarning, set()

        def show(message: Any, category: Any, filename: str, *rest: Any, **more: Any) -> None:
            if "rlexp" not in filename:
                before(message, category, filename, *rest, **more)
            elif str(message) not in told:
                told.add(str(message))
                self.tell(f"note: {message}")

        warnings.showwarning = show
