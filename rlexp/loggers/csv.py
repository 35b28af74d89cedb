"""metrics.csv: a row a logged step, a column a metric. Opens in any spreadsheet."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import IO

from rlexp.loggers.base import About, Logger

STEP = "step"


def read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """(columns, rows) of a metrics.csv; a last line without its end is left out."""
    with open(path, newline="") as f:
        text = f.read()
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(whole.splitlines())
    rows = list(reader)
    return list(reader.fieldnames or []), rows


class CsvLogger(Logger):
    """Appends; the file is written anew only when a metric appears for the first time."""

    def __init__(self) -> None:
        self.path = Path()
        self.columns: list[str] = [STEP]
        self.file: IO[str] | None = None

    def start(self, about: About) -> None:
        self.path = about.run.metrics
        rows: list[dict[str, str]] = []
        if about.step and self.path.is_file():
            self.columns, rows = read(self.path)
            rows = [row for row in rows if int(row[STEP]) <= about.step]
            kept = [c for c in self.columns if c == STEP or any(row.get(c) for row in rows)]
            self.columns = kept
        self._rewrite(rows)

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        if self.file is not None:
            self.file.close()
        temporary = self.path.with_name(".metrics.csv.writing")
        with open(temporary, "w", newline="") as f:
            writer = csv.DictWriter(f, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows({c: row.get(c, "") for c in self.columns} for row in rows)
        os.replace(temporary, self.path)
        self.file = open(self.path, "a", newline="")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        new = [name for name in sorted(metrics) if name not in self.columns]
        if new:
            self.flush()
            _, rows = read(self.path)
            self.columns += new
            self._rewrite(rows)
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
