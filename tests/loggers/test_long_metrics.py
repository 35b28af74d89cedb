"""A metrics.csv of many rows: a resumed run and its figures read it within bounded memory."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from rlexp.loggers.base import About
from rlexp.loggers.csv import CsvLogger, read
from rlexp.run_dir import RunDir

COLUMNS = ["step", "loss/td", "train/return", "eval/return_mean"]


def written(folder: Path, rows: int, evaluated: int = 1000) -> Path:
    """A row a step; every so many an evaluation."""
    path = folder / "metrics.csv"
    with open(path, "w", newline="") as f:
        f.write(",".join(COLUMNS) + "\n")
        for step in range(1, rows + 1):
            score = step / 10 if step % evaluated == 0 else ""
            f.write(f"{step},0.123456789,{step}.5,{score}\n")
    return path


def resumed(folder: Path, step: int) -> CsvLogger:
    logger = CsvLogger()
    logger.start(About(RunDir(folder), {}, step))
    return logger


def test_rows_past_the_checkpoint_are_cut_with_columns_that_only_they_had(tmp_path: Path) -> None:
    path = written(tmp_path, 50, evaluated=40)
    with open(path, "a") as f:
        f.write("51,0.1,2.")  # killed while it wrote
    logger = resumed(tmp_path, 30)
    assert logger.columns == COLUMNS[:3]
    logger.log(31, {"loss/td": 1.0, "eval/return_mean": 2.0, "a": 3.0})
    logger.close()
    with open(path, newline="") as f:
        rows = list(csv.reader(f))
    assert rows[0] == [*COLUMNS[:3], "a", "eval/return_mean"] and len(rows) == 32
    assert rows[1] == ["1", "0.123456789", "1.5", "", ""]
    assert rows[31] == ["31", "1.0", "", "3.0", "2.0"]
    assert not list(tmp_path.glob(".*writing"))


def test_a_new_run_forgets_the_file_of_one_before(tmp_path: Path) -> None:
    path = written(tmp_path, 5)
    resumed(tmp_path, 0).close()
    assert path.read_text() == "step\n"


def test_long_files_are_thinned_but_for_what_is_rare(tmp_path: Path) -> None:
    path = written(tmp_path, 5000, evaluated=500)
    assert len(read(path)[1]) == 5000
    columns, rows = read(path, most=100)
    assert columns == COLUMNS and 50 <= len(rows) <= 101
    steps = [int(row["step"]) for row in rows]
    assert steps == sorted(steps) and steps[0] == 1 and steps[-1] == 5000
    evaluations = [int(r["step"]) for r in rows if r["eval/return_mean"]]
    assert evaluations == list(range(500, 5001, 500))


MEASURED = """
import resource, sys
from pathlib import Path
from rlexp.loggers.base import About
from rlexp.loggers.csv import CsvLogger, read
from rlexp.report import series
from rlexp.run_dir import RunDir

run = RunDir(Path(sys.argv[1]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
before = peak()
logger = CsvLogger()
logger.start(About(run, {}, 140_000))
logger.log(140_001, {"loss/td": 1.0, "new": 2.0})
logger.close()
print(int(peak() - before), len(read(run.metrics)[1]), int(peak() - before))
print(len(series.read(run.metrics).rows), int(peak() - before))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_resume_holds_a_row_at_a_time(tmp_path: Path) -> None:
    """In a process of its own; all rows of it as dicts are 100 MB."""
    path = written(tmp_path, 150_000)
    command = [sys.executable, "-c", MEASURED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    of_resume, rows, of_read, points, of_series = map(int, done.stdout.split())
    assert of_resume < 15 and of_read < 60 and of_series < 60
    assert 5_000 < rows <= 20_001 and points > 1000
    lines = path.read_text().splitlines()
    assert len(lines) == 140_002 and lines[-1] == "140001,1.0,,,2.0"
