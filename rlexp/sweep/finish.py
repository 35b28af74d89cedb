"""The end of a sweep: a table, a figure, an exit code; and going on with what is missing."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from rlexp import registry, trust
from rlexp.changes import refuse_another_run
from rlexp.errors import UserError
from rlexp.run_dir import RunDir
from rlexp.safe_files import check_tree
from rlexp.shell import command
from rlexp.sweep import plan, search
from rlexp.sweep.jobs import (
    Job,
    Outcome,
    begun,
    is_sweep,
    jobs_of,
    outcome,
    read_manifest,
    run_jobs,
    summary,
    write_manifest,
)
from rlexp.sweep.lock import held

Figure = Callable[[Path, list[RunDir]], Path | None]


def outcomes(folder: Path) -> list[Outcome]:
    """Of every job of a sweep: those of its manifest, or (other launchers) its directories."""
    return [outcome(folder, job) for job in jobs_of(folder)]


def finish(folder: Path, figure: str | None) -> int:
    """Print the table, draw the figure; 1 if any run is not finished.

    A sweep of another launcher gets its list of jobs now: from then on `rlexp resume` knows it.
    """
    if not is_sweep(folder) and (jobs := begun(folder)):
        write_manifest(folder, jobs)
    found = outcomes(folder)
    print(f"rlexp: sweep {folder}\n{summary(found)}", file=sys.stderr)
    runs = [RunDir(folder / end.job.name) for end in found if end.state == "finished"]
    if figure is not None and runs:
        draw(figure, folder, runs)
    if search.is_search(folder):
        told = search.best(folder)
        print(f"rlexp: {told or 'no trial is finished'}", file=sys.stderr)
        return 0 if told else 1
    return 0 if found and len(runs) == len(found) else 1


def draw(figure: str, folder: Path, runs: list[RunDir]) -> None:
    """Call "module:function" with the sweep's folder and finished runs. A figure that fails is
    told, and takes nothing along."""
    try:
        path = load_figure(figure)(folder, runs)
    except Exception:
        traceback.print_exc()
        print(f"rlexp: the figure {figure} failed; the runs are whole", file=sys.stderr)
        return
    if path is not None:
        print(f"rlexp: figure {path}", file=sys.stderr)


def load_figure(figure: str) -> Figure:
    def fits(found: object) -> bool:
        return getattr(found, "draws_sweeps", False) is True

    found: Figure = registry.imported(figure, "sweep_figure", fits, "a figure of a sweep")
    return found


def resume(folder: Path, overrides: Sequence[str], trusted: bool = False) -> int:
    """Do what is missing, redo what failed, skip what is finished."""
    check_tree(folder)
    plan.refuse_shared_directories(read_manifest(folder))
    with held(folder):
        return _resume(folder, overrides, trusted)


def _resume(folder: Path, overrides: Sequence[str], trusted: bool) -> int:
    jobs = read_manifest(folder)
    at_once: int | None = None
    for arg in overrides:
        name, _, value = arg.partition("=")
        if name != "hydra.launcher.n_jobs" or not value.isdecimal() or int(value) < 1:
            raise UserError(
                f"{arg}: a sweep's runs go on with their own overrides; "
                "only hydra.launcher.n_jobs=N may be given"
            )
        at_once = int(value)
    todo = [job for job in jobs if outcome(folder, job).state != "finished"]
    _refuse_edited(folder, jobs, todo)
    done = len(jobs) - len(todo)
    wanted = [each for job in todo for each in trust.command_line(job.overrides)]
    trust.require([*wanted, *_figure_named(folder)], folder, trusted)
    print(f"rlexp: {done} of {len(jobs)} runs are finished, {len(todo)} to do", file=sys.stderr)
    run_jobs(folder, todo, at_once)
    return finish(folder, figure_of(folder))


def _refuse_edited(folder: Path, jobs: Sequence[Job], todo: Sequence[Job]) -> None:
    """UserError where the jobs' overrides no longer make the runs that are there.

    A preset or a default was edited since, so that what is missing would be another experiment.
    Of the finished runs one is looked at, since composing takes its time.
    """
    from rlexp.config.compose import compose

    begun = [job for job in jobs if plan.has_results(RunDir(folder / job.name))]
    unfinished = [job for job in begun if job in todo]
    finished = [job for job in begun if job not in todo][: 1 if todo else 0]
    for job in [*unfinished, *finished]:
        planned = plan.PlannedJob(job, compose(job.overrides).config)
        run = RunDir(folder / job.name)
        refuse_another_run(
            run,
            plan.differences(folder, planned),
            "Its overrides mean something else by now: was a YAML file edited? Undo that, or "
            f"resume the run as it was: {command('rlexp', 'resume', run.path)}",
        )


def _figure_named(folder: Path) -> list[trust.Named]:
    figure = figure_of(folder)
    return (
        [] if figure is None or registry.is_own(figure) else [trust.named("sweep_figure", figure)]
    )


def figure_of(folder: Path) -> str | None:
    """What the sweep's own runs were configured with."""
    from rlexp.config.compose import load

    for end in outcomes(folder):
        config = folder / end.job.name / "config.yaml"
        if config.is_file():
            return load(config).sweep_figure
    return None
