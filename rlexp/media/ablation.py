"""The figure of a sweep over an agent's `mistakes`: what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from rlexp.loggers.csv import read
from rlexp.media.plots import COLOURS, column, figure
from rlexp.registry import sweep_figure
from rlexp.run_dir import RunDir

GRAY = "#888888"


@sweep_figure
def mistakes(folder: Path, runs: list[RunDir]) -> Path | None:
    """mistakes.png: training returns by steps, and what the last three evaluations of each gave."""
    groups: dict[str, list[RunDir]] = {}
    for run in runs:
        names = yaml.safe_load(run.config.read_text())["agent"].get("mistakes", [])
        groups.setdefault(", ".join(names) or "none", []).append(run)
    if not groups:
        return None
    drawn, ((left, right),) = figure(1, 2)
    for i, (name, found) in enumerate(groups.items()):
        colour = "#000000" if name == "none" else COLOURS[(i - 1) % len(COLOURS)]
        curves = [column(read(run.metrics)[1], "train/episode_return") for run in found]
        grid = np.unique(np.concatenate([steps for steps, _ in curves]))
        values = np.stack([np.interp(grid, *curve) for curve in curves if len(curve[0])])
        left.plot(grid, values.mean(0), color=colour, linewidth=1.5, label=name)
        ends = [end for run in found if (end := last_evaluations(run)) is not None]
        if ends:
            right.barh(i, np.mean(ends), color=colour, alpha=0.85)
            right.plot(ends, [i] * len(ends), "o", color=GRAY, markersize=3)
            right.annotate(f"{np.mean(ends):.0f}", (max(ends), i), (5, 0),
                           textcoords="offset points", fontsize=7, va="center")  # fmt: skip
    left.set_title("Return of an episode while training", fontsize=9, loc="left")
    left.set_xlabel("environment steps", fontsize=8)
    left.legend(fontsize=7, frameon=False)
    right.set_yticks(range(len(groups)), list(groups), fontsize=8)
    right.invert_yaxis()
    right.grid(False)
    right.margins(x=0.12)
    right.set_title("Greedy return, the last three evaluations", fontsize=9, loc="left")
    count = max(len(found) for found in groups.values())
    drawn.suptitle(f"What a mistake costs, {_runs(count)} each", fontsize=10)
    path = folder / "mistakes.png"
    drawn.savefig(path, dpi=120)
    return path


def last_evaluations(run: RunDir) -> float | None:
    """Mean of the last three; None where the run was never evaluated."""
    values: Sequence[float] = column(read(run.metrics)[1], "eval/return_mean")[1][-3:].tolist()
    return float(np.mean(values)) if values else None


def _runs(count: int) -> str:
    return "one run" if count == 1 else f"{count} runs"
