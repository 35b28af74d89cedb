"""Figures as SVG text. Colours are CSS variables of the page, so that they follow its theme; what
the page's script needs for hovering stands in data attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np

from rlexp.report.comparison import Comparison, Scored
from rlexp.report.curves import Curve
from rlexp.report.table import between, number

COLOURS = 8  # --c0 … --c7 in report.css
DASHES = ("", "", "", "", "7 3", "7 3", "2 3", "2 3")


@dataclass(frozen=True)
class Frame:
    """The area that is drawn in, within the picture."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    @property
    def inner(self) -> tuple[float, float, float, float]:
        """x0, x1, y0, y1."""
        return self.left, self.width - self.right, self.top, self.height - self.bottom


WIDE = Frame(900, 380, 58, 130, 14, 44)
NARROW = Frame(360, 300, 46, 14, 12, 40)
SMALL = Frame(430, 240, 52, 14, 12, 40)


def colour(index: int) -> str:
    return f"var(--c{index % COLOURS})"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, about so many."""
    span = (high - low) or abs(high) or 1.0
    raw = span / max(1, count - 1)
    size = 10 ** math.floor(math.log10(raw))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    found = [round((first + i) * step, 12) for i in range(count * 3)]
    return [t for t in found if t <= high + 1e-9 * span] or [low]


def steps_text(steps: float) -> str:
    """1500000 → 1.5M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(steps) >= size:
            return f"{steps / size:.4g}{unit}"
    return f"{steps:g}"


def picture(frame: Frame, body: str, name: str, kind: str, data: str = "") -> str:
    """One <svg>; `name` is what a screen reader says."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{escape(name)}" tabindex="0" {data}>{body}</svg>'
    )


def axes(frame: Frame, xs: Sequence[float], ys: Sequence[float], x: Any, y: Any, title: str) -> str:
    """Grid and labels; x and y map values to pixels."""
    x0, x1, _, y1 = frame.inner
    parts = []
    for tick in ys:
        at = y(tick)
        parts.append(f'<line class="grid" x1="{x0}" x2="{x1}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{x0 - 7}" y="{at + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in xs:
        at = x(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{y1}" y2="{y1 + 4}"/>')
        label = steps_text(tick)
        parts.append(f'<text x="{at:.1f}" y="{y1 + 17}" text-anchor="middle">{label}</text>')
    parts.append(f'<line class="axis" x1="{x0}" x2="{x1}" y1="{y1}" y2="{y1}"/>')
    parts.append(
        f'<text class="soft" x="{(x0 + x1) / 2}" y="{frame.height - 5}" '
        f'text-anchor="middle">{escape(title)}</text>'
    )
    return "".join(parts)


def curves(
    id: str, metric: str, found: Sequence[tuple[str, Curve, int]], frame: Frame, kind: str
) -> str:
    """Curves with bands; each is (label, curve, index of its colour)."""
    steps = found[0][1].steps
    every = np.concatenate([np.concatenate([c.low, c.high]) for _, c, _ in found])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    low = 0.0 if 0 < low < 0.4 * high else low
    pad = 0.03 * (high - low) or 0.05 * abs(high) or 0.5
    low, high = (low - pad if low else low), high + pad
    if frame is WIDE and not _fit_beside(found):
        frame = replace(frame, right=20)
    x0, x1, y0, y1 = frame.inner
    first, last = float(steps[0]), float(steps[-1])
    first = 0.0 if first < 0.1 * last else first

    def x(value: float) -> float:
        return x0 + (value - first) / ((last - first) or 1.0) * (x1 - x0)

    def y(value: float) -> float:
        return y1 - (value - low) / (high - low) * (y1 - y0)

    many = 6 if frame.width == WIDE.width else 4
    body = axes(frame, ticks(first, last, many), ticks(low, high, 5), x, y, "environment steps")
    for _, curve, index in reversed(list(found)):
        body += _band(curve, index, x, y)
    for _, curve, index in reversed(list(found)):
        dash = f' stroke-dasharray="{DASHES[index % 8]}"' if DASHES[index % 8] else ""
        path = _path(curve.steps, curve.middle, x, y)
        body += f'<path class="line s{index}" d="{path}" style="stroke:{colour(index)}"{dash}/>'
    if frame is WIDE:
        body += _ends(found, x1, y)
    body += f'<line class="cursor" y1="{y0}" y2="{y1}" x1="-9" x2="-9"/>'
    ends = "; ".join(f"{label} {number(_last(c.middle))}" for label, c, _ in found)
    name = f"{metric} by environment steps. At the end: {ends}."
    data = f'data-chart="{id}" data-x0="{x0}" data-x1="{x1}" data-first="{first:g}" '
    data += f'data-width="{frame.width}"'
    return picture(frame, body, name, f"chart {kind}", data)


def _last(values: np.ndarray) -> float | None:
    kept = values[np.isfinite(values)]
    return float(kept[-1]) if len(kept) else None


def _path(steps: np.ndarray, values: np.ndarray, x: Any, y: Any) -> str:
    parts, pen = [], "M"
    for step, value in zip(steps, values, strict=True):
        if np.isfinite(value):
            parts.append(f"{pen}{x(step):.1f},{y(value):.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def _band(curve: Curve, index: int, x: Any, y: Any) -> str:
    kept = np.isfinite(curve.low)
    if len(curve.runs) < 2 or kept.sum() < 2:
        return ""
    steps, low, high = curve.steps[kept], curve.low[kept], curve.high[kept]
    there = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(steps, high, strict=True))
    back = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(steps[::-1], low[::-1], strict=True))
    style = f"fill:{colour(index)}"
    return f'<polygon class="band s{index}" points="{there} {back}" style="{style}"/>'


def _fit_beside(found: Sequence[tuple[str, Curve, int]]) -> bool:
    """Few and short names stand at the curves' ends; others in the legend alone."""
    return len(found) <= 6 and max(len(label) for label, _, _ in found) <= 17


def _ends(found: Sequence[tuple[str, Curve, int]], x1: float, y: Any) -> str:
    """Labels at the curves' ends, pushed apart where they would overlap."""
    placed = sorted(
        ((y(end), label, i) for label, c, i in found if (end := _last(c.middle)) is not None),
    )
    heights: list[float] = []
    for at, _, _ in placed:
        heights.append(max(at, heights[-1] + 15) if heights else at)
    shift = max(0.0, (heights[-1] if heights else 0) - (WIDE.height - WIDE.bottom))
    parts = []
    for height, (_, label, index) in zip(heights, placed, strict=True):
        parts.append(
            f'<text class="end s{index}" x="{x1 + 8}" y="{height + 4 - shift:.1f}" '
            f'style="fill:{colour(index)}">{escape(label)}</text>'
        )
    return "".join(parts)


def scores(result: Comparison, shown: Sequence[Scored], colours: dict[str, int], wide: bool) -> str:
    """A row a setting: its interval, its IQM, and its seeds as dots."""
    row = 34 if wide else 46
    longest = max(len(s.label) for s in shown)
    left = min(380, 24 + 7 * longest) if wide else 12
    frame = Frame(900 if wide else 360, row * len(shown) + 44, left, 24, 10, 34)
    every = [v for s in shown for v in [*s.scores, *(s.interval or ())]]
    low, high = min(every), max(every)
    pad = (high - low) * 0.04 or 0.5
    low, high = low - pad, high + pad
    x0, x1, y0, y1 = frame.inner

    def x(value: float) -> float:
        return x0 + (value - low) / (high - low) * (x1 - x0)

    body = ""
    for tick in ticks(low, high, 6 if wide else 4):
        body += f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{y0}" y2="{y1}"/>'
        label = number(tick)
        body += f'<text x="{x(tick):.1f}" y="{y1 + 17}" text-anchor="middle">{label}</text>'
    for place, scored in enumerate(shown):
        at = y0 + row * (place + (0.5 if wide else 0.68))
        index = colours[scored.label]
        tip = f"{scored.label}: IQM {number(scored.iqm)}, {between(scored.interval)}, runs: "
        tip += ", ".join(map(number, scored.scores))
        body += f'<g data-tip="{escape(tip)}" style="color:{colour(index)}">'
        body += (
            f'<rect class="hit" x="0" width="{frame.width}" y="{at - row / 2:.1f}" height="{row}"/>'
        )
        label = escape(scored.label if len(scored.label) <= 50 else scored.label[:49] + "…")
        if wide:
            body += (
                f'<text class="name" x="{x0 - 12}" y="{at + 4}" text-anchor="end">{label}</text>'
            )
        else:
            body += f'<text class="name" x="{x0}" y="{at - 13:.1f}">{label}</text>'
        if scored.interval:
            a, b = (f"{x(v):.1f}" for v in scored.interval)
            body += f'<line class="interval" x1="{a}" x2="{b}" y1="{at}" y2="{at}"/>'
        for value in scored.scores:
            body += f'<circle class="seed" cx="{x(value):.1f}" cy="{at}" r="4"/>'
        middle = x(scored.iqm)
        points = f"{middle},{at - 8} {middle + 7},{at} {middle},{at + 8} {middle - 7},{at}"
        body += f'<polygon class="iqm" points="{points}"/></g>'
    name = f"{result.what} of each setting with its 95 % interval; the table below has the numbers."
    return picture(frame, body, name, "tips " + ("wide" if wide else "narrow"))
