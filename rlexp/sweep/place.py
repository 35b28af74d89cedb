"""Where a sweep or a search may begin; every launcher's runs pass here, since sweepers do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from rlexp.errors import UserError
from rlexp.run_dir import RunDir
from rlexp.sweep import search
from rlexp.sweep.jobs import is_sweep
from rlexp.sweep.lock import held

# Hydra takes plugins only by an importable name under this package.
PACKAGE = "hydra_plugins.rlexp"


@contextmanager
def taken(folder: Path, searched: bool) -> Iterator[None]:
    """Hold a sweep's (or, `searched`, a search's) directory while its runs are launched.

    UserError, and nothing written, where something else lies there or another process has it.
    """
    what = "search" if searched else "sweep"
    there = None
    if RunDir(folder).exists:
        there = "a run"
    elif search.is_search(folder):
        there = None if searched else "a search"
    elif is_sweep(folder):
        there = "a sweep" if searched else None
    if there is not None:
        raise UserError(f"{folder} holds {there}: give the {what} another run_dir")
    with held(folder):
        yield


class GridSweeper(BasicSweeper):
    """Hydra's own, in a directory that was looked at before anything is written there."""

    def sweep(self, arguments: list[str]) -> Any:
        assert self.config is not None
        with taken(Path(str(self.config.hydra.sweep.dir)), searched=False):
            return super().sweep(arguments)


GridSweeper.__module__ = PACKAGE
