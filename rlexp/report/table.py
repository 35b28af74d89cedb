"""Plain tables for terminals and pipes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rlexp.printable import one_line


def lines(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = ()
) -> list[str]:
    """Columns as wide as they need to be; numbers to the right, columns named in `left` to the
    left, and the last one always."""
    every = [[one_line(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]
    last = len(head) - 1
    found = []
    for row in every:
        cells = [
            cell.ljust(width) if head[i] in left or i == last else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        found.append("  ".join(cells).rstrip())
    return found


def number(value: float | None) -> str:
    """Four digits, as people compare them; a dash where there is none."""
    if value is None:
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        text = f"{value:.4g}"
        return f"{value:.0f}" if "e" in text else text
    return f"{value:.3g}"


def between(pair: tuple[float, float] | None) -> str:
    return "-" if pair is None else f"{number(pair[0])} … {number(pair[1])}"


def age(since: float) -> str:
    """How long ago, in the largest fitting unit."""
    if not since:
        return "-"
    return duration(max(0.0, time.time() - since))


def duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
