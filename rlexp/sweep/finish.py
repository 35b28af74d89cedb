"""The end of a sweep: a table, a figure, an exit code; and going on with what is missing."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from rlexp import registry, trust
from rlexp.errors import UserError
from rlexp.report.reading import Run
from rlexp.run_dir import RunDir
from rlexp.safe_files import check_tree
from rlexp.sweep import search
from rlexp.sweep.jobs import (
    Job,
    Outcome,
    is_sweep,
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
    if is_sweep(folder):
        return [outcome(folder, job) for job in read_manifest(folder)]
    return [outcome(folder, job) for job in _begun(folder)]


def _begun(folder: Path) -> list[Job]:
    """Jobs that other launchers than ours have begun, from their directories."""
    jobs: list[Job] = []
    for run in sorted(path.parent for path in folder.glob("*/status.json")):
        number = run.name.partition("_")[0]
        overrides = Run(RunDir(run), run.name).overrides
        kept = [o for o in overrides if not o.startswith(("hydra", "run_dir=", "resume="))]
        jobs.append(Job(int(number) if number.isdecimal() else len(jobs), kept, run.name))
    return jobs


def finish(folder: Path, figure: str | None) -> int:
    """Print the table, draw the figure; 1 if any run is not finished.

    A sweep of another launcher gets its list of jobs now: from then on `rlexp resume` knows it.
    """
    if not is_sweep(folder) and (begun := _begun(folder)):
        write_manifest(folder, begun)
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
    done = len(jobs) - len(todo)
    wanted = [each for job in todo for each in trust.command_line(job.overrides)]
    trust.require([*wanted, *_figure_named(folder)], folder, trusted)
    print(f"rlexp: {done} of {len(jobs)} runs are finished, {len(todo)} to do", file=sys.stderr)
    run_jobs(folder, todo, at_once)
    return finish(folder, figure_of(folder))


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
