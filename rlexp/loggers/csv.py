"""metrics.csv: a row a logged step, a column a metric. Opens in any spreadsheet."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rlexp.loggers.base import About, Logger

STEP = "step"
MOST = 20_000  # rows that `read` gives


def read(path: Path, most: int = MOST) -> tuple[list[str], list[dict[str, str]]]:
    """(columns, rows) of a metrics.csv; a last line without its end is left out.

    Of more than `most` rows, those that hold the same metrics are thinned out evenly, the most
    frequent first: an evaluation among thousands of logs stays. The last row always does.
    """
    columns, rows = _table(path)
    alike: dict[tuple[bool, ...], _Thinned] = {}
    last: tuple[int, list[str]] | None = None
    for last in enumerate(rows):
        filled = tuple(map(bool, last[1]))
        alike.setdefault(filled, _Thinned()).add(last)
        while sum(len(group.rows) for group in alike.values()) > most:
            max(alike.values(), key=lambda group: len(group.rows)).halve()
    found = dict(row for group in alike.values() for row in group.rows)
    if last is not None:
        found[last[0]] = last[1]
    return columns, [dict(zip(columns, found[at], strict=False)) for at in sorted(found)]


class _Thinned:
    """Every `stride`-th of the rows that were added."""

    def __init__(self) -> None:
        self.stride, self.count = 1, 0
        self.rows: list[tuple[int, list[str]]] = []

    def add(self, row: tuple[int, list[str]]) -> None:
        if self.count % self.stride == 0:
            self.rows.append(row)
        self.count += 1

    def halve(self) -> None:
        self.rows = self.rows[::2]
        self.stride *= 2


def _table(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    """(columns, rows one after the other) of the whole lines of a file."""

    def lines() -> Iterator[str]:
        with open(path, newline="") as f:
            yield from (line for line in f if line.endswith("\n"))

    rows = csv.reader(lines())
    return next(rows, []), (row for row in rows if row)


class CsvLogger(Logger):
    """Appends; the file is written anew only when a metric appears for the first time."""

    required = True  # the run's own record: figures, reports and resume read it

    def __init__(self) -> None:
        self.path = Path()
        self.columns: list[str] = [STEP]
        self.file: IO[str] | None = None

    def start(self, about: About) -> None:
        self.path = about.run.metrics
        if about.step and self.path.is_file():
            self.columns = self._logged(about.step)
            self._rewrite(about.step)
        else:
            self._rewrite(-1)

    def _logged(self, until: int) -> list[str]:
        """Columns that hold anything up to this step."""
        columns, rows = _table(self.path)
        if STEP not in columns:
            return [STEP]
        at, filled = columns.index(STEP), {columns.index(STEP)}
        for row in rows:
            if len(filled) == len(columns):
                break
            if _step(row, at) <= until:
                filled |= {place for place, value in enumerate(row[: len(columns)]) if value}
        return [columns[place] for place in sorted(filled)]

    def _rewrite(self, until: float = math.inf) -> None:
        """Keep the rows up to this step, in today's columns; one row is held at a time."""
        if self.file is not None:
            self.file.close()
        temporary = self.path.with_name(".metrics.csv.writing")
        with open(temporary, "w", newline="") as f:
            writer = csv.writer(f, lineterminator="\n")
            writer.writerow(self.columns)
            columns, rows = _table(self.path) if until >= 0 else ([], iter([]))
            if STEP in columns:
                at = columns.index(STEP)
                places = [columns.index(c) if c in columns else len(columns) for c in self.columns]
                writer.writerows(
                    [row[place] if place < len(row) else "" for place in places]
                    for row in rows
                    if _step(row, at) <= until
                )
        os.replace(temporary, self.path)
        self.file = open(self.path, "a", newline="")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        new = [name for name in sorted(metrics) if name not in self.columns]
        if new:
            self.flush()
            self.columns += new
            self._rewrite()
        row = {STEP: step, **{name: repr(float(value)) for name, value in metrics.items()}}
        assert self.file is not None
        csv.DictWriter(self.file, self.columns, restval="", lineterminator="\n").writerow(row)
        self.file.flush()

    def flush(self) -> None:
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


def _step(row: list[str], at: int) -> float:
    """The step of a row; infinite where it holds none."""
    return int(row[at]) if at < len(row) and row[at].isdecimal() else math.inf
