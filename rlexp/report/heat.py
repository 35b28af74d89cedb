"""Heat-maps as tables: numbers stand in the cells, colour only helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from rlexp.report.comparison import Comparison, Scored
from rlexp.report.groups import ABSENT, text
from rlexp.report.table import number

# From little to much; dark enough or light enough for the text on them (a test counts it).
STOPS = ((247, 247, 242), (199, 222, 232), (120, 175, 205), (44, 113, 165), (8, 50, 100))
INK, PAPER = (0, 0, 0), (255, 255, 255)
MOST = 3  # pairs of keys
ROWS = 16


@dataclass(frozen=True)
class Cell:
    text: str
    style: str
    title: str


@dataclass(frozen=True)
class Heat:
    """A table: rows × columns; None where nothing was run."""

    title: str
    row_key: str
    column_key: str
    columns: list[str]
    rows: list[tuple[str, list[Cell | None]]]


def shade(share: float) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """(background, ink) for 0..1; the ink is the one that is easier to read on it."""
    place = min(max(share, 0.0), 1.0) * (len(STOPS) - 1)
    index = min(int(place), len(STOPS) - 2)
    low, high = np.array(STOPS[index]), np.array(STOPS[index + 1])
    r, g, b = (int(round(v)) for v in low + (high - low) * (place - index))
    ground = (r, g, b)
    return ground, max(INK, PAPER, key=lambda ink: contrast(ground, ink))


def contrast(a: Sequence[int], b: Sequence[int]) -> float:
    """WCAG's contrast ratio of two sRGB colours."""

    def luminance(colour: Sequence[int]) -> float:
        parts = [c / 255 for c in colour]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def by_seed(result: Comparison) -> Heat | None:
    """Settings × seeds: the score of every run."""
    seeds = sorted(
        {run.seed for s in result.ranked for run in s.runs}, key=lambda v: (str(type(v)), v or 0)
    )
    if len(seeds) < 2 or len(seeds) > 20 or len(result.ranked) < 2:
        return None
    scale = _scale([v for s in result.ranked for v in s.scores], result.lower)
    rows = []
    for scored in result.ranked[:ROWS]:
        found = {run.seed: run.value(result.metric) for run in scored.runs}
        cells = [_cell(found.get(seed), scale, f"{scored.label}, seed {seed}") for seed in seeds]
        rows.append((scored.label, cells))
    title = f"Every run's {result.what}"
    if len(result.ranked) > ROWS:
        title += f", the best {ROWS} settings"
    return Heat(title, "setting", "seed", [text(seed) for seed in seeds], rows)


def by_pairs(result: Comparison, keys: dict[str, list[Any]]) -> list[Heat]:
    """For each two keys that were varied: the mean IQM of the settings with those values."""
    found = []
    for a, b in list(combinations(keys, 2))[:MOST]:
        ours = _values(result.ranked, a, keys[a])
        theirs = _values(result.ranked, b, keys[b])
        if not (1 < len(ours) <= 20 and 1 < len(theirs) <= 20):
            continue
        if len(theirs) > len(ours):
            a, b, ours, theirs = b, a, theirs, ours
        table: dict[tuple[str, str], list[float]] = {}
        for scored in result.ranked:
            place = (
                text(scored.group.config.get(a, ABSENT)),
                text(scored.group.config.get(b, ABSENT)),
            )
            table.setdefault(place, []).append(scored.iqm)
        means = {place: float(np.mean(values)) for place, values in table.items()}
        scale = _scale(list(means.values()), result.lower)
        rows = [
            (x, [_cell(means.get((x, y)), scale, f"{a}={x}, {b}={y}") for y in theirs])
            for x in ours
        ]
        more = ", mean over the other keys" if len(keys) > 2 else ""
        found.append(Heat(f"IQM by {a} and {b}{more}", a, b, theirs, rows))
    return found


def _values(ranked: Sequence[Scored], key: str, order: Sequence[Any]) -> list[str]:
    values = {text(v): v for s in ranked for v in [s.group.config.get(key, ABSENT)]}
    if all(isinstance(v, int | float) for v in values.values()):
        return sorted(values, key=lambda t: values[t])
    return [t for t in dict.fromkeys(map(text, order)) if t in values]


def _scale(values: Sequence[float], lower: bool) -> tuple[float, float]:
    """(what is palest, what is darkest): the best is dark."""
    low, high = min(values), max(values)
    return (high, low) if lower else (low, high)


def _cell(value: float | None, scale: tuple[float, float], where: str) -> Cell | None:
    if value is None:
        return None
    pale, dark = scale
    ground, ink = shade((value - pale) / (dark - pale) if dark != pale else 0.5)
    style = f"background:rgb{ground};color:rgb{ink}".replace(" ", "")
    return Cell(number(value), style, f"{where}: {number(value)}")
