"""The figure that ends a comparison of bandit algorithms: reward at each pull, and regret."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rlexp.loggers.csv import read
from rlexp.media.plots import COLOURS, column, figure
from rlexp.registry import sweep_figure
from rlexp.run_dir import RunDir


def lai_robbins(arms: Sequence[float]) -> float:
    """C in C ln T, which no consistent algorithm's regret undercuts (Lai and Robbins 1985).

    The sum over worse arms of their gap, divided by KL(arm || best arm).
    """
    best = max(arms)
    total = 0.0
    for p in arms:
        if p < best < 1:
            gain = p * math.log(p / best) if p > 0 else 0.0
            total += (best - p) / (gain + (1 - p) * math.log((1 - p) / (1 - best)))
    return total


@sweep_figure
def compare(folder: Path, runs: list[RunDir]) -> Path:
    """Average reward at each pull and regret so far, a curve a run; the bound drawn in."""
    drawn, (axes,) = figure(1, 2)
    env: dict[str, Any] = {}
    for run, colour in zip(runs, COLOURS * len(runs), strict=False):
        config = yaml.safe_load(run.config.read_text())
        env = config["env"]
        _, rows = read(run.metrics)
        steps, reward = column(rows, "train/reward")
        _, regret = column(rows, "train/regret")
        pulls = steps / env["num_envs"]
        per_row = np.diff(pulls, prepend=0)  # pulls between two logs
        axes[0].plot(pulls, reward, color=colour, linewidth=1.2, label=_name(config))
        axes[1].plot(pulls, np.cumsum(regret * per_row), color=colour, label=_name(config))
    arms = env["arms"]
    axes[0].axhline(max(arms), color="#333333", linewidth=0.8, linestyle=":", label="best arm")
    axes[0].set_title("Average reward at each pull", fontsize=9, loc="left")
    span = np.arange(2, env["horizon"] + 1)
    bound = lai_robbins(arms) * np.log(span)
    axes[1].plot(span, bound, color="#333333", linewidth=0.8, linestyle=":",
                 label=f"Lai-Robbins, {lai_robbins(arms):.3f} ln T")  # fmt: skip
    axes[1].set_title("Regret so far", fontsize=9, loc="left")
    for ax in axes:
        ax.set_xlabel("pull", fontsize=8)
        ax.legend(fontsize=7, frameon=False)
    count = f"{env['num_envs']:,} simulations"
    drawn.suptitle(f"Arms paying {', '.join(f'{p:g}' for p in arms)}; {count}", fontsize=10)
    path = folder / "bandit.png"
    drawn.savefig(path, dpi=120)
    return path


def _name(config: dict[str, Any]) -> str:
    ties = config["agent"].get("ties")
    return config["agent"]["name"] + (", random ties" if ties == "random" else "")
