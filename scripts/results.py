"""Draws docs/results.md from runs: when each first succeeded, when nearly always, and the curves.

    uv run python scripts/results.py            from zoo/ and benchmarks/runs/ of the repository
    uv run python scripts/results.py RUN …      from your own runs instead, into results/

Where a run's curve is found:

    rlexp export RUN benchmarks/runs/PRESET/seed_1 weights=false
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from rlexp.errors import UserError
from rlexp.export import HEADER, OTHER_TASK, result_row, rival_rows
from rlexp.report.reading import Run, find

OURS = [Path("zoo"), Path("benchmarks/runs")]
PLAYS = {"eval/success_rate": "greedy", "eval/success_rate/sampled": "sampled"}
NEARLY = 0.9
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
INTRO = """# Results

Drawn by `uv run python scripts/results.py`{source}. Every row is one run by the command in
its directory, from scratch unless that says `agent.init_from`; evaluation plays whole games that
training never saw; success is the share of all episodes that succeed (curves logged by earlier
versions counted equal episodes once). Runs that have fewer steps than they were to have were
stopped.
"""
SOURCE = """ from the runs in `zoo/` (with weights: `rlexp eval zoo/NAME`) and
`benchmarks/runs/` (curves alone), made on a machine of 2 cores that did other work besides"""


def when(run: Run, least: float) -> str:
    """The first evaluation with so much success, and how long that took."""
    found = [(run.series.first(name, least), play) for name, play in PLAYS.items()]
    reached = [(step, play) for step, play in found if step is not None]
    if not reached:
        return "not within it"
    step, play = min(reached)
    return f"{step:,} ({play}{hours(run, step)})"


def hours(run: Run, step: int) -> str:
    seconds = run.series.last("time/elapsed_s", step)
    return "" if seconds is None else f", {seconds / 3600:.2f} h"


def row(run: Run) -> str:
    wanted = run.config.get("total_steps")
    of = f" of {wanted:,}" if isinstance(wanted, int) and wanted > run.steps else ""
    commit = str(run.system.get("git_commit"))[:8]
    cells = (run.dir.path, run.seed, when(run, 1e-9), when(run, NEARLY),
             f"{run.steps:,}{of}{hours(run, run.steps)}", commit)  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def task(run: Run) -> str:
    """The preset, and what makes another task of it: mario_ppo env.stage=1-2."""
    changed = [o for o in run.overrides if o.startswith(OTHER_TASK)]
    return " ".join([str(run.system.get("project")), *changed])


def draw(name: str, runs: list[Run], path: Path) -> None:
    """Success by steps, a colour a run: greedy evaluation with dots, sampled with triangles."""
    from rlexp.media.plots import figure

    far = [run for run in runs if run.series.points("train/x_pos")[0]]
    drawn, axes = figure(1, 2 if far else 1)
    for run, colour in zip(runs, COLOURS * len(runs), strict=False):
        label = f"seed {run.seed}"
        for (metric, play), mark in zip(PLAYS.items(), "o^", strict=True):
            steps, rates = run.series.points(metric)
            style = "-" if mark == "o" else "--"
            axes[0, 0].plot(steps, rates, style, marker=mark, markersize=3.5, color=colour,
                            linewidth=1, label=f"{label}, {play}")  # fmt: skip
        if run in far:
            steps, x_pos = run.series.points("train/x_pos")
            axes[0, 1].plot(steps, x_pos, color=colour, linewidth=1.2, label=label)
            axes[0, 1].set_title("x in training (with retries)", fontsize=9, loc="left")
    axes[0, 0].set_title("success in evaluation", fontsize=9, loc="left")
    axes[0, 0].set_ylim(-0.03, 1.03)
    for ax in axes.flat:
        ax.set_xlabel("environment steps", fontsize=8)
        ax.legend(fontsize=6.5, frameon=False)
    drawn.suptitle(name, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=120)


def shipped(run: Run) -> list[str]:
    """What `rlexp eval` found of a checkpoint that is there."""
    path = run.dir.path / "evaluations.json"
    if not path.is_file():
        return []
    lines = []
    for result in json.loads(path.read_text()):
        keys = " ".join(["", *result["overrides"]])
        lines += ["", f"`rlexp eval {run.dir.path} episodes={result['episodes']}{keys}`", ""]
        lines += [*HEADER, *(result_row(play, result[play]) for play in PLAYS.values())]
        lines += rival_rows(result.get("by_rival", {}))
    return lines


def main() -> None:
    given = sys.argv[1:]
    folder = Path("results" if given else "docs")
    try:
        runs = find(given or [str(path) for path in OURS if path.is_dir()])
    except UserError as ex:
        sys.exit(f"results: {ex}")
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda r: (task(r), str(r.seed))):
        if any(run.series.points(name)[0] for name in PLAYS):
            groups.setdefault(task(run), []).append(run)
    lines = [INTRO.format(source="" if given else SOURCE)]
    for name, group in groups.items():
        picture = Path("images") / f"results_{re.sub(r'[^a-z0-9-]+', '_', name)}.png"
        draw(name, group, folder / picture)
        lines += [f"## {name}", "", f"![{name}]({picture})", "",
                  "| run | seed | first success in evaluation | first 90 % | steps | commit |",
                  "| --- | --- | --- | --- | --- | --- |", *map(row, group),
                  *(line for run in group for line in shipped(run)), ""]  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "results.md").write_text("\n".join(lines).rstrip() + "\n")
    print(f"{folder / 'results.md'}: {len(runs)} runs, {len(groups)} tasks")


if __name__ == "__main__":
    main()
