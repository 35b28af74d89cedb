"""The figure that ends a sweep unless it names another: learning curves, seeds taken together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from rlexp.loggers.csv import read
from rlexp.media.plots import COLOURS, column, figure
from rlexp.registry import sweep_figure
from rlexp.run_dir import RunDir


def settings(runs: list[RunDir]) -> list[str]:
    """What tells each run from the others, its seed aside."""
    given = [[str(o) for o in yaml.safe_load(run.overrides.read_text()) or []] for run in runs]
    common = set(given[0]).intersection(*given) if given else set()
    ours = ("seed=", "run_dir=", "resume=", "hydra")
    return [
        ", ".join(o for o in overrides if o not in common and not o.startswith(ours))
        for overrides in given
    ]


@sweep_figure
def curves(folder: Path, runs: list[RunDir]) -> Path | None:
    """Return by steps: the mean over seeds of each setting, and its range."""
    name = "train/return"
    groups: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for run, setting in zip(runs, settings(runs), strict=True):
        columns, rows = read(run.metrics) if run.metrics.is_file() else ([], [])
        if name in columns:
            groups.setdefault(setting, []).append(column(rows, name))
    if not groups:
        return None
    drawn, axes = figure(1, 1)
    ax = axes[0, 0]
    for (setting, found), colour in zip(groups.items(), _colours(len(groups)), strict=True):
        grid = np.unique(np.concatenate([steps for steps, _ in found]))
        values = np.stack([np.interp(grid, steps, values) for steps, values in found])
        label = (setting or "all") + (f" ({len(found)} runs)" if len(found) > 1 else "")
        ax.plot(grid, values.mean(0), color=colour, linewidth=1.5, label=label)
        if len(found) > 1:
            ax.fill_between(grid, values.min(0), values.max(0), color=colour, alpha=0.15, lw=0)
    ax.set_title("Return: mean and range over seeds", fontsize=9, loc="left")
    ax.set_xlabel("environment steps", fontsize=8)
    ax.legend(fontsize=7, frameon=False)
    path = folder / "sweep.png"
    drawn.savefig(path, dpi=120)
    return path


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
