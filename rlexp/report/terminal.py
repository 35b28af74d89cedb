"""Curves in the terminal: braille dots, eight to a character."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlexp.report.table import number

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
COLOURS = (34, 33, 32, 35, 36, 31)  # of ANSI terminals
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BARS = "▁▂▃▄▅▆▇█"


def plot(
    curves: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    width: int = 64,
    height: int = 12,
    colour: bool = False,
) -> list[str]:
    """Lines of text: each curve is (label, x, y); later ones are drawn over earlier ones."""
    points = [
        (x, y) for _, xs, ys in curves for x, y in zip(xs, ys, strict=True) if math.isfinite(y)
    ]
    if not points:
        return []
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    bottom, top = min(y for _, y in points), max(y for _, y in points)
    top = top if top > bottom else bottom + 1
    cells = [[0] * width for _ in range(height)]
    owner = [[0] * width for _ in range(height)]
    for index, (_, xs, ys) in enumerate(curves):
        before: tuple[int, int] | None = None
        for x, y in zip(xs, ys, strict=True):
            if not math.isfinite(y):
                before = None
                continue
            at = (
                round((x - left) / ((right - left) or 1) * (2 * width - 1)),
                round((top - y) / (top - bottom) * (4 * height - 1)),
            )
            for column, row in _line(before or at, at):
                cells[row // 4][column // 2] |= DOTS[row % 4][column % 2]
                owner[row // 4][column // 2] = index
            before = at
    ticks = {0: number(top), height // 2: number((top + bottom) / 2), height - 1: number(bottom)}
    margin = max(map(len, ticks.values()))
    found = []
    ends: dict[int, str] = {}
    for index, (_, _, ys) in enumerate(curves):
        last = next((y for y in reversed(list(ys)) if math.isfinite(y)), None)
        if last is not None:
            row = round((top - last) / (top - bottom) * (4 * height - 1)) // 4
            ends[row] = ends.get(row, " ") + _painted(LETTERS[index % 26], index, colour)
    for row in range(height):
        text = "".join(
            _painted(chr(0x2800 + cell), owner[row][i], colour and cell > 0)
            for i, cell in enumerate(cells[row])
        )
        found.append(f"{ticks.get(row, ''):>{margin}} │{text}{ends.get(row, '')}")
    found.append(" " * margin + " └" + "─" * width)
    first, last_step = f"{left:,.0f}", f"{right:,.0f} steps"
    found.append(" " * (margin + 2) + first + last_step.rjust(width - len(first)))
    for index, (label, _, _) in enumerate(curves):
        letter = _painted(LETTERS[index % 26], index, colour)
        found.append(f"{' ' * (margin + 2)}{letter} {label}")
    return found


def spark(values: Sequence[float], width: int = 24) -> str:
    """The course of a number in one line."""
    kept = [v for v in values if math.isfinite(v)]
    if not kept:
        return ""
    if len(kept) > width:
        kept = [kept[round(i * (len(kept) - 1) / (width - 1))] for i in range(width)]
    low, high = min(kept), max(kept)
    span = (high - low) or 1.0
    return "".join(BARS[round((v - low) / span * (len(BARS) - 1))] for v in kept)


def _painted(text: str, index: int, colour: bool) -> str:
    return f"\x1b[{COLOURS[index % len(COLOURS)]}m{text}\x1b[0m" if colour else text


def _line(a: tuple[int, int], b: tuple[int, int]) -> list[tuple[int, int]]:
    count = max(abs(b[0] - a[0]), abs(b[1] - a[1]), 1)
    return [
        (round(a[0] + (b[0] - a[0]) * i / count), round(a[1] + (b[1] - a[1]) * i / count))
        for i in range(count + 1)
    ]
