"""Draws docs/results.md from runs: when each first succeeded, when nearly always, and the curves.

    uv run python scripts/results.py            from zoo/ and benchmarks/runs/ of the repository
    uv run python scripts/results.py RUN …      from your own runs instead, into results/

Where a run's curve is found:

    rlexp export RUN benchmarks/runs/PRESET/seed_1 weights=false
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rlexp.report.reading import Run, find

OURS = [Path("zoo"), Path("benchmarks/runs")]
PLAYS = {"eval/success_rate": "greedy", "eval/success_rate/sampled": "sampled"}
NEARLY = 0.9
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
INTRO = """# Results

Drawn by `uv run python scripts/results.py` from the runs in `zoo/` (with weights:
`rlexp eval zoo/NAME`) and `benchmarks/runs/` (curves alone). Every row is one run from scratch by
the command in its directory; evaluation plays whole games that training never saw. Hours are those
of a machine of 2 cores that did other work besides.
"""


def seconds_at(run: Run, step: int) -> float | None:
    """Of training until a step; what the run logged last before it."""
    steps, elapsed = run.series.points("time/elapsed_s")
    until = [s for at, s in zip(steps, elapsed, strict=True) if at <= step]
    return until[-1] if until else None


def first(run: Run, least: float) -> tuple[int, str] | None:
    """(step, how it was played) of the first evaluation with so much success."""
    found = []
    for name, play in PLAYS.items():
        steps, rates = run.series.points(name)
        found += [(s, play) for s, rate in zip(steps, rates, strict=True) if rate >= least][:1]
    return min(found) if found else None


def when(run: Run, found: tuple[int, str] | None) -> str:
    if found is None:
        return "not within it"
    step, play = found
    seconds = seconds_at(run, step)
    hours = "" if seconds is None else f", {seconds / 3600:.2f} h"
    return f"{step:,} ({play}{hours})"


def last_step(run: Run) -> int:
    return max((run.series.points(name)[0] or [0])[-1] for name in ("time/elapsed_s", *PLAYS))


def row(run: Run) -> str:
    step = last_step(run)
    seconds = seconds_at(run, step)
    hours = "?" if seconds is None else f"{seconds / 3600:.2f}"
    commit = str(run.system.get("git_commit"))[:8]
    cells = (run.dir.path, run.seed, when(run, first(run, 1e-9)), when(run, first(run, NEARLY)),
             f"{step:,}", hours, run.system.get("cores_used", "?"), commit)  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def draw(name: str, runs: list[Run], path: Path) -> None:
    """Success by steps, a colour a run: greedy evaluation with dots, sampled with triangles."""
    from rlexp.media.plots import figure

    drawn, axes = figure(1, 2)
    for run, colour in zip(runs, COLOURS * len(runs), strict=False):
        label = f"seed {run.seed}"
        steps, x_pos = run.series.points("train/x_pos")
        axes[0, 1].plot(steps, x_pos, color=colour, linewidth=1.2, label=label)
        for (metric, play), mark in zip(PLAYS.items(), "o^", strict=True):
            steps, rates = run.series.points(metric)
            style = "-" if mark == "o" else "--"
            axes[0, 0].plot(steps, rates, style, marker=mark, markersize=3.5, color=colour,
                            linewidth=1, label=f"{label}, {play}")  # fmt: skip
    axes[0, 0].set_title("success in evaluation", fontsize=9, loc="left")
    axes[0, 0].set_ylim(-0.03, 1.03)
    axes[0, 1].set_title("x in training (with retries)", fontsize=9, loc="left")
    for ax in axes.flat:
        ax.set_xlabel("environment steps", fontsize=8)
        ax.legend(fontsize=6.5, frameon=False)
    drawn.suptitle(name, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=120)


def zoo(run: Run) -> list[str]:
    """Evaluations of a checkpoint that is shipped."""
    path = run.dir.path / "evaluations.json"
    if not path.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_text())
    lines = []
    for result in found:
        keys = " ".join(result["overrides"])
        for play in ("greedy", "sampled"):
            s = result[play]
            low, high = s["success_ci"] or (s["success_rate"],) * 2
            lines.append(f"| `{run.dir.path}` | {play} | {s['success_rate']:.1%} | "
                         f"{low:.1%} … {high:.1%} | {s['return_mean']:.0f} | "
                         f"{s['episodes']} of {s['played']} | {keys} |")  # fmt: skip
    return lines


def main() -> None:
    given = sys.argv[1:]
    folder = Path("results" if given else "docs")
    runs = find(given or [str(path) for path in OURS if path.is_dir()])
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda r: (str(r.system.get("project")), str(r.seed))):
        if any(run.series.points(name)[0] for name in PLAYS):
            groups.setdefault(str(run.system.get("project")), []).append(run)
    lines = [INTRO]
    shipped = [line for group in groups.values() for run in group for line in zoo(run)]
    if shipped:
        lines += ["## Checkpoints", "",
                  "| | play | success | 95 % interval | return | distinct games | keys |",
                  "| --- | --- | --- | --- | --- | --- | --- |", *shipped, ""]  # fmt: skip
    for name, group in groups.items():
        picture = Path("images") / f"results_{name}.png"
        draw(name, group, folder / picture)
        lines += [f"## {name}", "", f"![{name}]({picture})", "",
                  "| run | seed | first success in evaluation | first 90 % | steps | hours "
                  "| cores | commit |", "| --- | --- | --- | --- | --- | --- | --- | --- |",
                  *map(row, group), ""]  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "results.md").write_text("\n".join(lines).rstrip() + "\n")
    print(f"{folder / 'results.md'}: {len(runs)} runs, {len(groups)} presets")


if __name__ == "__main__":
    main()
