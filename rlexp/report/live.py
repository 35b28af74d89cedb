"""How runs stand at this moment, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlexp.report.reading import Run
from rlexp.report.score import common
from rlexp.report.series import Series
from rlexp.report.table import age, duration, lines, number
from rlexp.report.terminal import plot, spark
from rlexp.sweep.jobs import is_sweep, read_manifest

SHOWN = (
    *("train/return", "train/length", "train/success_rate", "eval/return_mean"),
    *("eval/success_rate", "loss/td", "loss/total", "loss/fit", "train/entropy", "train/q"),
    *("train/epsilon", "train/lr", "time/steps_per_s"),
)
BAR = 20


def waiting(folder: Path) -> list[str]:
    """Names of a sweep's jobs that have not begun."""
    if not is_sweep(folder):
        return []
    return [job.name for job in read_manifest(folder) if not (folder / job.name).is_dir()]


def alone(run: Run, colour: bool = False, width: int = 80) -> list[str]:
    """One run: how far it is, its latest metrics, its return."""
    series = run.series
    step = _step(run, series)
    since = "last saved " if run.state == "running" else ""
    found = [f"{run.name}  {run.state}, {since}{age(run.time)} ago"]
    total = run.total
    speed = series.last("time/steps_per_s")
    if total:
        left = ""
        if run.state == "running" and speed:
            left = f"  {duration((total - step) / speed)} left"
        found.append(f"{bar(step / total)} {step:,} of {total:,} steps{left}")
    else:
        found.append(f"{step:,} steps")
    if run.error:
        found.append(run.error)
    found.append("")
    rows = [
        [name, number(last), spark(series.points(name)[1][-400:])]
        for name in SHOWN
        if (last := series.last(name)) is not None
    ]
    found += (
        lines(["metric", "now", "course"], rows, left=("metric",)) if rows else ["no metrics yet"]
    )
    steps, values = series.points("train/return")
    if len(steps) > 1:
        found += ["", *plot([("train/return", steps, values)], max(20, width - 16), 8, colour)]
    return found


def several(runs: Sequence[Run], not_begun: Sequence[str] = ()) -> list[str]:
    """A sweep: a line a run, and how many are in which state. The return is one metric of all:
    training's, which also those have that were not evaluated yet."""
    returns = {name for run in runs for name in run.returns}
    metric = "train/return" if "train/return" in returns else common(runs)
    rows = []
    for run in runs:
        tail = run.tail
        step, total = _step(run, tail), run.total
        rows.append([
            run.state, bar(step / total) if total else "", f"{step:,}", number(run.value(metric)),
            spark(tail.points(metric or "")[1], 16), run.name,
        ])  # fmt: skip
    rows += [["waiting", bar(0.0), "0", "-", "", name] for name in not_begun]
    states = [run.state for run in runs] + ["waiting"] * len(not_begun)
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    head = ["state", "progress", "steps", metric or "return", "lately", "run"]
    return [*lines(head, rows, left=("state", "progress", "lately")), "", ", ".join(counts)]


def bar(share: float) -> str:
    done = round(min(max(share, 0.0), 1.0) * BAR)
    return "█" * done + "░" * (BAR - done)


def _step(run: Run, series: Series) -> int:
    """Metrics are written more often than the status."""
    steps = [series.points(name)[0][-1:] for name in ("time/elapsed_s", "train/return")]
    return max([run.steps, *(s[0] for s in steps if s)])
