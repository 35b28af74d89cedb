"""Metrics of a run from its metrics.csv, whatever state that file is in.

A process that died leaves half a line, another tool may have put something else there, and a run of
weeks leaves more rows than anyone can look at. None of this may end a command that reads many runs.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from rlexp.printable import cleaned
from rlexp.safe_files import open_inside

STEP = "step"
# A larger file is read at so many places, evenly spread, and at its end.
HUGE = 4_000_000
PLACES = 1500
TAIL = 1 << 16
LINE = 1 << 20
# A number as large as that is what a run left that went astray, no better than infinite: nothing
# could be added to it or drawn beside it.
LARGEST = 1e100
# Lines as rare as that are read all: evaluations among thousands of logs.
RARE = 5000

Points = tuple[list[int], list[float]]


class Series:
    """The rows of a file; `problem` says in words what of it can't be read."""

    def __init__(self, columns: list[str], rows: list[list[str]], problem: str | None) -> None:
        self.columns, self.rows, self.problem = columns, rows, problem
        self._points: dict[str, Points] = {}

    @property
    def names(self) -> list[str]:
        return [name for name in self.columns if name != STEP]

    def points(self, name: str) -> Points:
        """(steps, values) of a metric where it was logged, steps rising; empty if it never was."""
        if name not in self._points:
            self._points[name] = self._read(name) if name in self.columns else ([], [])
        return self._points[name]

    def _read(self, name: str) -> Points:
        at, step = self.columns.index(name), self.columns.index(STEP)
        values: dict[int, float] = {}
        for row in self.rows:
            if row[at]:
                try:
                    value = float(row[at])
                except ValueError:
                    self.problem = self.problem or f"{name}={row[at][:20]!r} is no number: left out"
                    continue
                if abs(value) < LARGEST:  # false of NaN, too
                    values[int(row[step])] = value  # logged twice: the later one
        steps = sorted(values)
        return steps, [values[s] for s in steps]

    def last(self, name: str, until: float = math.inf) -> float | None:
        """The last value that was logged, up to a step; None if there is none."""
        steps, values = self.points(name)
        count = bisect_right(steps, until)
        return values[count - 1] if count else None

    def first(self, name: str, least: float) -> int | None:
        """The step at which a metric was first so large."""
        pairs = zip(*self.points(name), strict=True)
        return next((step for step, value in pairs if value >= least), None)


def read(path: Path) -> Series:
    """All of a file, or of a huge one a fair share; never raises for what is in it."""
    try:
        size = path.stat().st_size
        if size > HUGE:
            header, lines = _sample(path, size, PLACES)
            found = _parse(header, lines + _rare(path) if STEP.encode() in header else lines)
            told = (
                f"{size / 1e6:.0f} MB: read at {PLACES:,} places and its end, the rest is left out"
            )
            found.problem = found.problem or told
            return found
        with open_inside(path, path.parent) as file:
            header, *lines = file.read().split(b"\n")
    except FileNotFoundError:
        return Series([], [], None)
    except OSError as ex:
        return Series([], [], f"can't be read: {ex.strerror}")
    # What follows the last newline is a line that is still being written, or never will be.
    cut = lines.pop() if lines else b""
    found = _parse(header, lines)
    if cut.strip() and found.problem is None:
        found.problem = "its last line is only half written: left out"
    return found


def tail(path: Path) -> Series:
    """Of the last lines alone: what a run did lately."""
    try:
        return _parse(*_sample(path, path.stat().st_size, 0))
    except FileNotFoundError:
        return Series([], [], None)
    except OSError as ex:
        return Series([], [], f"can't be read: {ex.strerror}")


def _sample(path: Path, size: int, places: int) -> tuple[bytes, list[bytes]]:
    """(header, a line at each of so many places, and those at the end)."""
    lines: list[bytes] = []
    with open_inside(path, path.parent) as file:
        header = file.readline(LINE)
        start = file.tell()
        end = max(start, size - TAIL)
        for place in range(places):
            file.seek(start + (end - start) * place // places)
            if place:
                file.readline(LINE)  # we are in the middle of it
            lines.append(file.readline(LINE))
        file.seek(end)
        if end > start:
            file.readline(LINE)
        lines += file.read(2 * TAIL).split(b"\n")[:-1]
    return header, lines


def _rare(path: Path) -> list[bytes]:
    """Lines that have other columns filled than most: as many empty ones as few other lines."""
    alike: dict[tuple[int, bool], list[bytes]] = {}
    with open_inside(path, path.parent) as file:
        file.readline(LINE)
        while line := file.readline(LINE):
            some = alike.setdefault((line.count(b",,"), line.rstrip().endswith(b",")), [])
            if len(some) <= RARE and line.endswith(b"\n"):
                some.append(line[:-1])
    return [line for some in alike.values() if len(some) <= RARE for line in some]


def _parse(header: bytes, lines: list[bytes]) -> Series:
    columns = cleaned(next(_rows([header]), []))
    if not header.strip():
        return Series([], [], "is empty")
    if columns is None or STEP not in columns:
        return Series([], [], "is no file of metrics: it has no column 'step'")
    at, width = columns.index(STEP), len(columns)
    rows = []
    bad = 0
    for row in _rows(lines):
        if row is not None and len(row) == width and row[at].isdecimal() and len(row[at]) < 18:
            rows.append(row)
        elif row != []:
            bad += 1
    return Series(columns, rows, f"{bad:,} of its lines can't be read: left out" if bad else None)


def _rows(lines: list[bytes]) -> Iterator[list[str] | None]:
    """Fields of each line, None for one that is no CSV; [] for an empty one."""
    for line in lines:
        text = line.decode(errors="replace").strip("\ufeff\r\n ")
        if '"' not in text and len(text) < LINE:
            yield text.split(",") if text else []
            continue
        try:
            yield next(csv.reader([text]), [])
        except csv.Error:
            yield None
