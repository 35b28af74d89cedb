"""Where a sweep or a search may begin; every launcher's runs pass here, since sweepers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from rlexp.errors import UserError
from rlexp.run_dir import RunDir
from rlexp.sweep import plan, search
from rlexp.sweep.jobs import is_sweep, write_manifest
from rlexp.sweep.lock import held

# Hydra takes plugins only by an importable name under this package.
PACKAGE = "hydra_plugins.rlexp"


@contextmanager
def taken(folder: Path, searched: bool, planned: Sequence[plan.PlannedJob] = ()) -> Iterator[None]:
    """Hold a sweep's (or, `searched`, a search's) directory while its runs are launched.

    UserError, and nothing written, where something else lies there, be it other runs than those
    planned, or another process has it.
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
    plan.refuse_other_runs(folder, planned)
    with held(folder):
        yield


class GridSweeper(BasicSweeper):
    """Hydra's own, in a directory that was looked at before anything is written there."""

    def sweep(self, arguments: list[str]) -> Any:
        assert self.config is not None
        folder = Path(str(self.config.hydra.sweep.dir))
        if self.config.sweep_figure is not None:
            from rlexp.sweep import finish  # reads reports: loaded where a sweep begins

            finish.load_figure(str(self.config.sweep_figure))
        jobs = plan.plan(self.config, self.hydra_context, self._jobs(arguments), first_number=0)
        with taken(folder, searched=False, planned=jobs):
            write_manifest(folder, [each.job for each in jobs])  # whatever launches them
            return super().sweep(arguments)

    def _jobs(self, arguments: list[str]) -> list[list[str]]:
        """The overrides of every job, of all batches."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        return [job for batch in self.split_arguments(overrides, None) for job in batch]

    @staticmethod
    def split_arguments(overrides: list[Any], max_batch_size: int | None) -> list[Any]:
        """Make every job's overrides; UserError where a key has no value to make one with."""
        for override in overrides:
            if override.is_discrete_sweep() and not list(override.sweep_string_iterator()):
                raise UserError(f"{override.input_line} holds no value: there is nothing to run")
        return BasicSweeper.split_arguments(overrides, max_batch_size)

    def validate_batch_is_legal(self, batch: Any) -> None:
        """Do nothing: every job was composed and checked before anything was written."""


GridSweeper.__module__ = PACKAGE
