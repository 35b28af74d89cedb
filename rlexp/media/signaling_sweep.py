"""The figure that ends a sweep of the signaling game: success beside what bounds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rlexp.language import capacity_bound
from rlexp.loggers.csv import read
from rlexp.media.plots import COLOURS, column, figure
from rlexp.registry import sweep_figure
from rlexp.run_dir import RunDir

# Where a run's success is looked for: the first name that any run of the sweep has. Purity beside.
# The first is of all pictures, as the purity: of a sample, success may lie above its bounds.
SOURCES = (
    ("eval/success/heldout", "eval/purity/heldout", "held-out images"),
    ("eval/success_rate/heldout", "eval/purity/heldout", "held-out images"),
    ("eval/success_rate/train", "eval/purity/train", "training images"),
    ("eval/success_rate", "eval/purity", "evaluation"),
)
KEYS = {"classes": "classes", "length": "message length", "vocabulary": "vocabulary"}
INK, PALE = "#333333", "#888888"


@dataclass(frozen=True)
class Cell:
    """One run: its game, what else set it apart from the others, and how it ended."""

    classes: int
    length: int
    vocabulary: int
    other: str
    success: float | None
    purity: float | None

    @property
    def bound(self) -> float:
        return capacity_bound(self.length, self.vocabulary, self.classes)


@sweep_figure
def heatmap(folder: Path, runs: list[RunDir]) -> Path | None:
    """Success over what was swept of classes, length and vocabulary: signaling_sweep.png.

    Two keys make a heat map, three a heat map for each value of the third, one a curve. Seeds are
    averaged; whatever else was swept has a panel of its own. A cell says success / capacity bound,
    and the purity of the messages where it was logged. None where no run has any success to show.
    """
    cells, shown = collect(runs)
    if shown is None:
        return None
    path = folder / "signaling_sweep.png"
    draw(cells, shown).savefig(path, dpi=120)
    return path


def draw(cells: Sequence[Cell], shown: str) -> Any:
    """The figure of `heatmap`; `shown`: what the success was measured on."""
    swept = [key for key in KEYS if len({getattr(cell, key) for cell in cells}) > 1]
    # Rows are classes where these were swept; the last of three keys gets panels.
    swept.sort(key=("classes", "vocabulary", "length").index)
    x = swept[-1] if swept else "classes"
    y = swept[0] if len(swept) > 1 else None
    third = swept[1] if len(swept) > 2 else None
    panels: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda c: (c.other, getattr(c, third) if third else 0)):
        named = [cell.other] * bool(cell.other)
        if third:
            named.append(f"{KEYS[third]} {getattr(cell, third)}")
        panels.setdefault(", ".join(named), []).append(cell)
    wide = min(3, len(panels))
    drawn, axes = figure(-(-len(panels) // wide), wide)
    across, down = _values(cells, x), _values(cells, y) if y else []
    if y is not None:
        drawn.set_size_inches(
            wide * max(3.2, 1.05 * len(across) + 1.0),
            len(axes) * max(2.4, 0.62 * len(down) + 1.1) + 0.5,
        )
    else:
        drawn.set_size_inches(4.6 * wide, 3.5 * len(axes))  # room for the legend
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, group) in zip(axes.flat, panels.items(), strict=False):
        if y is not None:
            _map(ax, group, (y, down), (x, across))
        else:
            _curve(ax, group, x)
        ax.set_title(title, fontsize=8, loc="left")
    fixed = [key for key in KEYS if key not in swept and key != x]
    about = ", ".join(f"{KEYS[key]} {getattr(cells[0], key)}" for key in fixed)
    if y is not None:
        told = "in a cell: success / capacity bound, and the purity of the messages"
        joint = "; " if wide > 1 else "\n"
        drawn.supxlabel(f"{told}{joint}hatched: fewer messages than classes", fontsize=7.5)
    else:
        handles, labels = axes.flat[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=7,
                     frameon=False)  # fmt: skip
    drawn.suptitle(f"Success on {shown}" + (f"; {about}" if about else ""), fontsize=10)
    return drawn


def collect(runs: list[RunDir]) -> tuple[list[Cell], str | None]:
    """(a cell a run, what the success was measured on): the last value that each run logged."""
    tables = [read(run.metrics) if run.metrics.is_file() else ([], []) for run in runs]
    logged = {name for names, _ in tables for name in names}
    found = next((source for source in SOURCES if source[0] in logged), None)
    success, purity, shown = found or ("", "", None)
    cells = []
    for run, (_, rows), other in zip(runs, tables, _others(runs), strict=True):
        env = yaml.safe_load(run.config.read_text())["env"]
        classes = env["classes"]
        number = classes if isinstance(classes, int) else len(classes)
        ends = [_last(rows, name) for name in (success, purity)]
        cells.append(Cell(number, int(env["length"]), int(env["vocabulary"]), other, *ends))
    return cells, shown


def _last(rows: list[dict[str, str]], name: str) -> float | None:
    _, values = column(rows, name)
    return float(values[-1]) if len(values) else None


def _others(runs: list[RunDir]) -> list[str]:
    """The overrides that tell each run from the others, but for its game and its seed."""
    given = [[str(o) for o in yaml.safe_load(run.overrides.read_text()) or []] for run in runs]
    common = set(given[0]).intersection(*given) if given else set()
    ours = ("seed=", "run_dir=", "resume=", "hydra", *(f"env.{key}=" for key in KEYS))
    return [", ".join(o for o in one if o not in common and not o.startswith(ours))
            for one in given]  # fmt: skip


def _values(cells: Sequence[Cell], key: str) -> list[int]:
    return sorted({getattr(cell, key) for cell in cells})


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _map(
    ax: Any, cells: list[Cell], rows: tuple[str, list[int]], columns: tuple[str, list[int]]
) -> None:
    """Colour: success. Hatched: the messages are too few for the classes. White: no run."""
    from matplotlib.patches import Rectangle

    (y, down), (x, across) = rows, columns
    groups: dict[tuple[int, int], list[Cell]] = {}
    for cell in cells:
        at = (down.index(getattr(cell, y)), across.index(getattr(cell, x)))
        groups.setdefault(at, []).append(cell)
    rates = {at: _mean([cell.success for cell in group]) for at, group in groups.items()}
    picture = np.full((len(down), len(across)), np.nan)
    for at, rate in rates.items():
        picture[at] = np.nan if rate is None else rate
    ax.imshow(picture, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for at in np.ndindex(picture.shape):
        corner, group = (at[1] - 0.5, at[0] - 0.5), groups.get(at, [])
        rate = rates.get(at)
        if rate is None:
            ax.text(at[1], at[0], "no run" if not group else "no value", fontsize=7.5,
                    color=PALE, ha="center", va="center")  # fmt: skip
            continue
        if group[0].bound < 1:
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", lw=0,
                                   edgecolor=COLOURS[1], alpha=0.45))  # fmt: skip
        purity = _mean([cell.purity for cell in group])
        small = [] if purity is None else [f"purity {purity:.2f}"]
        small += [f"{len(group)} runs"] * (len(group) > 1)
        _cell(ax, at, f"{rate:.2f} / {group[0].bound:.2f}", small, group[0].bound < 1, rate)
    ax.grid(False)
    ax.set_xticks(range(len(across)), across)
    ax.set_yticks(range(len(down)), down)
    ax.set_xlabel(KEYS[x], fontsize=8)
    ax.set_ylabel(KEYS[y], fontsize=8)


def _cell(
    ax: Any, at: tuple[int, ...], text: str, small: list[str], hatched: bool, rate: float
) -> None:
    dark = rate > 0.55 and not hatched
    ink = "white" if dark else INK
    box = {"facecolor": "white", "alpha": 0.85, "pad": 1.2, "lw": 0} if hatched else None
    ax.text(at[1], at[0], "\n".join([text, *small]), fontsize=7.5, color=ink, ha="center",
            va="center", bbox=box, linespacing=1.25)  # fmt: skip


def _curve(ax: Any, cells: list[Cell], x: str) -> None:
    """Each run a dot, their mean a line; the bounds and chance beside it."""
    across = _values(cells, x)
    groups = [[cell for cell in cells if getattr(cell, x) == value] for value in across]
    limits = (
        ("capacity bound", [group[0].bound for group in groups], INK, "--"),
        ("purity of the messages", [_mean([c.purity for c in group]) for group in groups],
         COLOURS[2], "-"),
        ("chance", [1 / group[0].classes for group in groups], PALE, ":"),
    )  # fmt: skip
    for label, heights, colour, dashes in limits:
        known = [k for k, height in enumerate(heights) if height is not None]
        if known:  # a step at each value: between two of them there is no game
            middle = np.array(known)
            ax.hlines([heights[k] for k in known], middle - 0.35, middle + 0.35,
                      color=colour, linestyles=dashes, linewidth=1.4, label=label)  # fmt: skip
    rates = [_mean([cell.success for cell in group]) for group in groups]
    heights = [np.nan if rate is None else rate for rate in rates]
    ax.plot(range(len(across)), heights, color=COLOURS[0], marker="o", ms=5, lw=1.2,
            label="success, mean of the runs")  # fmt: skip
    for at, group in enumerate(groups):
        each = [cell.success for cell in group if cell.success is not None]
        if len(each) > 1:
            ax.plot([at] * len(each), each, "o", color=COLOURS[5], ms=3, alpha=0.8)
    ax.set_xticks(range(len(across)), across)
    ax.grid(axis="x", visible=False)
    ax.set_xlim(-0.5, len(across) - 0.5)
    ax.set_ylim(0, 1.04)
    ax.set_xlabel(KEYS[x], fontsize=8)
