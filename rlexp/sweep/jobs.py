"""Runs of a sweep, each in a process of its own: one that dies takes no other along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlexp import safe_files, strict_json
from rlexp.config.path_values import verbatim
from rlexp.errors import RunStopped, UserError
from rlexp.machine import cores
from rlexp.parent_process import SWEEP_CHILD
from rlexp.printable import printable
from rlexp.run_dir import RunDir, write_text
from rlexp.sweep.lock import busy
from rlexp.sweep.processes import Processes

MANIFEST = "sweep.json"


@dataclass(frozen=True)
class Job:
    """One run: its number, the overrides that make it, and its directory's name in the sweep's."""

    number: int
    overrides: list[str]
    name: str


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `state` as in status.json, or "missing"; `error` says why it failed."""

    job: Job
    state: str
    score: float | None = None
    error: str | None = None


def own_overrides(overrides: Sequence[str]) -> list[str]:
    """A job's overrides without what says where it lies and how it is launched."""
    return [o for o in overrides if not o.startswith(("hydra", "run_dir=", "resume="))]


def write_manifest(folder: Path, jobs: Sequence[Job]) -> None:
    """sweep.json: what there is to do, added to by every batch of jobs.

    A job takes the place of one of its number that never began under another name.
    """
    numbers = {job.number for job in jobs}
    known = read_manifest(folder) if is_sweep(folder) else []
    known = [job for job in known if job.number not in numbers or _began(folder, job)]
    kept = {job.name: job for job in [*known, *jobs]}
    data = {"jobs": [asdict(job) for job in kept.values()]}
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / MANIFEST, strict_json.dumps(data, indent=1) + "\n")


def is_sweep(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> list[Job]:
    try:
        data = json.loads(safe_files.read_text(folder / MANIFEST, folder))
        return [_job(job) for job in data["jobs"]]
    except (OSError, ValueError, KeyError, TypeError) as ex:
        raise UserError(f"{folder / MANIFEST} can't be read: {ex}") from ex


def jobs_of(folder: Path) -> list[Job]:
    """The jobs of a sweep: its manifest's, or (other launchers) those that have begun."""
    return read_manifest(folder) if is_sweep(folder) else begun(folder)


def begun(folder: Path) -> list[Job]:
    """Jobs that other launchers than ours have begun, from their directories."""
    from rlexp.report.reading import Run

    jobs: list[Job] = []
    for path in sorted(status.parent for status in folder.glob("*/status.json")):
        number = path.name.partition("_")[0]
        overrides = own_overrides(Run(RunDir(path), path.name).overrides)
        jobs.append(Job(int(number) if number.isdecimal() else len(jobs), overrides, path.name))
    return jobs


def _began(folder: Path, job: Job) -> bool:
    return RunDir(folder / job.name).config.is_file()


def _job(entry: dict[str, Any]) -> Job:
    """Return a job as it was written; ValueError where a name would lead out of the sweep."""
    job = Job(**entry)
    texts = isinstance(job.overrides, list) and all(isinstance(o, str) for o in job.overrides)
    if not (safe_files.is_relative(job.name) and type(job.number) is int and texts):
        raise ValueError(f"no job of a sweep: {ascii(entry)[:80]}")
    return job


def outcome(folder: Path, job: Job) -> Outcome:
    """Return what a job's directory says or, where it has not begun, what its sweep has noted."""
    run = RunDir(folder / job.name)
    # Without a config it is an older version's note of a job that never began.
    if _began(folder, job) or (run.status.is_file() and not _note(folder, job).is_file()):
        status = run.read_status()
        return Outcome(job, status["state"], status.get("score"), status.get("error"))
    try:
        note = json.loads(safe_files.read_text(_note(folder, job), folder))
        return Outcome(job, str(note["state"]), error=str(note["error"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Outcome(job, "missing", error="it never began")


def _note(folder: Path, job: Job) -> Path:
    """How a process ended that had not made its run's directory, which has to stay free."""
    return folder / "logs" / f"{job.number:03d}.json"


def run_jobs(folder: Path, jobs: Sequence[Job], at_once: int | None) -> list[Outcome]:
    """Run the jobs, `at_once` at a time (null: one a core); tells as it goes."""
    if os.environ.get(SWEEP_CHILD):
        raise RunStopped("a run of a sweep tried to begin a sweep of its own")
    at_once = min(at_once or cores(), max(1, len(jobs)))
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    todo = list(jobs)
    waited: set[int] = set()
    running: dict[subprocess.Popen[bytes], _Attempt] = {}
    processes = Processes()
    try:
        with processes:
            while running or (todo and not processes.stopping):
                if processes.stopping and processes.stop():
                    _tell("the runs save and leave; a second signal ends them at once")
                while (
                    len(running) < at_once
                    and not processes.stopping
                    and (job := _free(folder, todo, waited)) is not None
                ):
                    todo.remove(job)
                    if job.number in waited and outcome(folder, job).state == "finished":
                        continue  # by the process that was waited for
                    process, attempt = _start(processes, folder, job, max(1, cores() // at_once))
                    running[process] = attempt
                    _tell(f"#{job.number} begins: {job.name}")
                for process in processes.ended():
                    attempt = running.pop(process)
                    _tell(f"#{attempt.job.number} {_settle(folder, attempt, process.returncode)}")
                time.sleep(0.05)
    finally:
        for process, attempt in running.items():  # a second signal, or a failure of the sweep's own
            _settle(folder, attempt, process.returncode)
    processes.interrupts.check()
    return [outcome(folder, job) for job in jobs]


def _free(folder: Path, todo: Sequence[Job], waited: set[int]) -> Job | None:
    """The first job that no process of an earlier sweep is still busy with."""
    for job in todo:
        if not busy(RunDir(folder / job.name)):
            return job
        if job.number not in waited:
            waited.add(job.number)
            _tell(f"#{job.number} is still in use by another process: {job.name} waits for it")
    return None


@dataclass(frozen=True)
class _Attempt:
    """A job in a process; what was there before it, so that its end is told by what is new."""

    job: Job
    status: bytes | None
    log_size: int


def _start(
    processes: Processes, folder: Path, job: Job, share: int
) -> tuple[subprocess.Popen[bytes], _Attempt]:
    log, run = folder / "logs" / f"{job.number:03d}.log", RunDir(folder / job.name)
    if not _began(folder, job):
        _note(folder, job).unlink(missing_ok=True)
        if run.path.is_dir() and {path.name for path in run.path.iterdir()} == {"status.json"}:
            run.status.unlink()  # an older version's note, which kept the run from its directory
    attempt = _Attempt(job, _status(run), log.stat().st_size if log.is_file() else 0)
    # resume=auto: a job that was cut off goes on, one that never began is begun.
    arguments = ["train", *job.overrides, "hydra.mode=RUN"]
    arguments += [f"run_dir={verbatim(str(run.path))}", "resume=auto"]
    return processes.start(arguments, log, RLEXP_CORES=str(share)), attempt


def _status(run: RunDir) -> bytes | None:
    return run.status.read_bytes() if run.status.is_file() else None


def _settle(folder: Path, attempt: _Attempt, code: int) -> str:
    """Write down how a process ended that could not do so itself; gives a word for it."""
    job = attempt.job
    run, end = RunDir(folder / job.name), outcome(folder, job)
    if busy(run):
        return "is in use by another process"
    if code == 0 and end.state == "finished":
        return "finished" + ("" if end.score is None else f", score {end.score}")
    unsaid = end.state in ("missing", "running", "unknown", "finished")
    if unsaid or _status(run) == attempt.status:
        # Also where the directory says "finished": what its process says of itself counts.
        why = f"killed by {signal.Signals(-code).name}" if code < 0 else _last_line(folder, attempt)
        if _began(folder, job):
            status = run.read_status()
            facts = {key: status[key] for key in ("episodes", "score", "metric") if key in status}
            run.write_status("failed", steps=status.get("steps", 0), error=why, **facts)
        else:
            note = strict_json.dumps({"state": "failed", "error": why}) + "\n"
            write_text(_note(folder, job), note)
    end = outcome(folder, job)
    return f"{end.state}: {end.error}"


def _last_line(folder: Path, attempt: _Attempt) -> str:
    """Return the last line that a process has printed."""
    with open(folder / "logs" / f"{attempt.job.number:03d}.log", "rb") as log:
        log.seek(attempt.log_size)
        lines = log.read().decode(errors="replace").splitlines()
    return lines[-1].removeprefix("rlexp: ") if lines else "no output"


def summary(outcomes: Sequence[Outcome]) -> str:
    """A line a job, and how many are finished."""
    lines = []
    for found in outcomes:
        score = "" if found.score is None else f"{found.score:.6g}"
        error = "" if found.state == "finished" else f"  {found.error or ''}"
        line = f"  {found.state:<12}{score:<12}{found.job.name}{error}".rstrip()
        lines.append(printable(line))
    done = sum(found.state == "finished" for found in outcomes)
    lines.append(f"{done} of {len(outcomes)} runs finished")
    return "\n".join(lines)


def _tell(text: str) -> None:
    print(f"rlexp: {printable(text)}", file=sys.stderr, flush=True)
