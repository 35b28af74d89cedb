"""Figures of a run. One style for all: thin axes, one colour a curve, readable when small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlexp.loggers.csv import STEP, read

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CURVES = {
    "train/return": "Return, mean and deviation of 100 episodes",
    "train/success_rate": "Success, share of 100 episodes",
    "train/length": "Length of an episode, moves",
    "loss/td": "Loss",
    "loss/fit": "Loss of the batches",
    "train/q": "Q value",
}
SUCCESS = {
    "eval/success_rate/heldout": "greedy, held-out data",
    "eval/success_rate/train": "greedy, training's data",
}


def figure(rows: int, columns: int) -> tuple[Any, np.ndarray]:
    """(figure, axes [rows, columns]) in the house style; saved by the caller."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(4.6 * columns, 3.1 * rows), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.tick_params(labelsize=8)
    return drawn, axes


def pixels(drawn: Any) -> np.ndarray:
    """A figure as RGB uint8 [H, W, 3]. Its layout stays as it is from now on: frames of an
    animation don't jump, and are drawn faster."""
    drawn.canvas.draw()
    drawn.set_layout_engine("none")
    return np.array(drawn.canvas.buffer_rgba())[..., :3]


def matrix(ax: Any, counts: np.ndarray, numbers: bool = True) -> None:
    """A confusion matrix int [C, C]: a cell is shaded by its share of its row."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if numbers:
        for row, col in np.argwhere(counts):
            ink = "white" if share[row, col] > 0.5 else "#333333"
            ax.text(col, row, str(counts[row, col]), ha="center", va="center", fontsize=8,
                    color=ink)  # fmt: skip
    ax.grid(False)


def column(rows: list[dict[str, str]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of a metric, where it was logged."""
    kept = [row for row in rows if row.get(name)]
    steps = np.array([int(row[STEP]) for row in kept])
    return steps, np.array([float(row[name]) for row in kept])


def curves(metrics: Path, path: Path, title: str) -> Path | None:
    """Learning curves of a metrics.csv; None where there is nothing to draw yet."""
    columns, rows = read(metrics)
    # One value is no curve.
    shown = [n for n in CURVES if n in columns and len(column(rows, n)[0]) > 1]
    if "train/return" in shown:
        shown = [name for name in shown if name != "train/success_rate"]
    if all(row.get("train/length") in (None, "", "1.0") for row in rows):
        shown = [name for name in shown if name != "train/length"]  # games of one move
    if not rows or not shown:
        return None
    wide = min(2, len(shown))
    drawn, axes = figure(-(-len(shown) // wide), wide)
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    for ax, name, colour in zip(axes.flat, shown, COLOURS, strict=False):
        steps, values = column(rows, name)
        ax.plot(steps, values, color=colour, linewidth=1.5, label="training")
        ax.set_title(CURVES[name], fontsize=9, loc="left")
        ax.set_xlabel("environment steps", fontsize=8)
        if name == "train/return":
            _spread(ax, rows, colour)
            _evaluations(ax, rows, {"eval/return_mean": "greedy evaluation"})
        if name == "train/success_rate":  # several seats: each has a return of its own
            _evaluations(ax, rows, SUCCESS)
            ax.set_ylim(-0.03, 1.03)
    drawn.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=120)
    return path


def _spread(ax: Any, rows: list[dict[str, str]], colour: str) -> None:
    both = [row for row in rows if row.get("train/return") and row.get("train/return_std")]
    steps, mean = column(both, "train/return")
    _, spread = column(both, "train/return_std")
    ax.fill_between(steps, mean - spread, mean + spread, color=colour, alpha=0.18, linewidth=0)


def _evaluations(ax: Any, rows: list[dict[str, str]], labels: dict[str, str]) -> None:
    for (name, label), mark in zip(labels.items(), "os^", strict=False):
        steps, values = column(rows, name)
        if len(steps):
            ax.plot(steps, values, mark, color="#333333", markersize=3.5, label=label,
                    fillstyle="none" if mark == "s" else "full")  # fmt: skip
            ax.legend(fontsize=7, frameon=False)
