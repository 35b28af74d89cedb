"""Jobs of a sweep before any of them begins: composed, named, and held against what is there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from rlexp.errors import UserError
from rlexp.run_dir import RunDir
from rlexp.shell import command
from rlexp.sweep.jobs import Job, jobs_of, own_overrides

if TYPE_CHECKING:  # what reads saved runs is loaded only where a sweep begins
    from rlexp.changes import Change
    from rlexp.schemas.run import RunConfig

# What a sweep keeps in its own directory beside its jobs.
RESERVED = ("logs",)


@dataclass(frozen=True)
class PlannedJob:
    """A job with its checked config. `composed`: the same as Hydra has it, with its own keys."""

    job: Job
    config: RunConfig
    composed: Any = None


def plan(
    config: Any, hydra_context: Any, job_overrides: Sequence[Sequence[str]], first_number: int
) -> list[PlannedJob]:
    """Compose every job; a mistake in any of them comes to light before the first begins."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import setup_globals
    from omegaconf import OmegaConf, open_dict, read_write

    from rlexp.config.compose import to_run_config

    setup_globals()
    planned = []
    for number, overrides in enumerate(job_overrides, start=first_number):
        composed = hydra_context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        HydraConfig.instance().set_config(composed)
        name = str(OmegaConf.select(composed, "hydra.sweep.subdir"))
        task = copy.deepcopy(composed)
        with read_write(task), open_dict(task):
            del task["hydra"]
        job = Job(number, own_overrides(overrides), name)
        checked = to_run_config(task)
        if checked.pictures:
            from rlexp.media.pictures import picture_class

            for spec in checked.pictures:
                picture_class(spec)
        planned.append(PlannedJob(job, checked, composed))
    refuse_shared_directories([each.job for each in planned])
    return planned


def refuse_shared_directories(jobs: Sequence[Job]) -> None:
    """UserError where two jobs would have one directory, or a job one that is not its own."""
    by_name: dict[PurePath, Job] = {}
    for job in jobs:
        path = PurePath(job.name)
        inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
        if not inside or path.parts[0] in RESERVED:
            raise UserError(
                f"hydra.sweep.subdir={job.name} is not a directory of a job's own in the sweep's"
            )
        other = by_name.setdefault(path, job)
        if other is not job:
            raise UserError(
                f"jobs #{other.number} and #{job.number} would share the directory {job.name}: "
                "hydra.sweep.subdir must differ from job to job. Leave it out, or write "
                "'hydra.sweep.subdir=${hydra.job.num}'"
            )
    for path, job in by_name.items():
        for parent in path.parents:
            if parent in by_name:
                raise UserError(
                    f"job #{job.number} ({job.name}) would lie in the directory of job "
                    f"#{by_name[parent].number} ({by_name[parent].name})"
                )


def refuse_other_runs(folder: Path, planned: Sequence[PlannedJob]) -> None:
    """UserError, and nothing written, where a job's directory holds another run's results."""
    from rlexp.changes import refuse_another_run
    from rlexp.sweep.search import is_search

    names = {each.job.name for each in planned}
    by_number = {each.job.number: each.job for each in planned}
    what = "search" if is_search(folder) else "sweep"
    instead = (
        f"Give the {what} another run_dir, or resume it as it was: "
        f"{command('rlexp', 'resume', folder)}"
    )
    for job in jobs_of(folder):
        ours = by_number.get(job.number)
        if ours is not None and job.name not in names and has_results(RunDir(folder / job.name)):
            raise UserError(
                f"{folder} holds another {what}: its job #{job.number} is {job.name}, "
                f"not {ours.name}. {instead}"
            )
    for each in planned:
        refuse_another_run(RunDir(folder / each.job.name), differences(folder, each), instead)


def differences(folder: Path, planned: PlannedJob) -> list[Change]:
    """What differs between a job and the run in its directory; nothing where none has begun."""
    from rlexp.changes import changes
    from rlexp.config.compose import load

    run = RunDir(folder / planned.job.name)
    return changes(load(run.config), planned.config) if has_results(run) else []


def has_results(run: RunDir) -> bool:
    """True unless it was never started, or killed while it was set up, which loses nothing."""
    if not run.config.is_file():
        return False
    return bool(run.full_checkpoints()) or run.read_status()["state"] in ("finished", "pruned")


def to_do(folder: Path, planned: Sequence[PlannedJob]) -> list[Job]:
    """The jobs that are not finished, or whose limits were raised since."""
    from rlexp.changes import LIMITS

    return [
        each.job
        for each in planned
        if RunDir(folder / each.job.name).read_status()["state"] != "finished"
        or any(change.key in LIMITS for change in differences(folder, each))
    ]
