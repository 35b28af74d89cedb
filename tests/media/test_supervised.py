"""Pictures of supervised runs: what they say, and that a resumed run draws the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import rlexp
from conftest import FAST
from rlexp.media.supervised import r_squared, read_curves, report
from rlexp.statistics import confusion


def test_r_squared_by_hand() -> None:
    actual = np.array([1.0, 2.0, 3.0, 6.0])  # mean 3, squares 4 + 1 + 0 + 9
    assert r_squared(actual + np.array([1, 0, 0, -1]), actual) == pytest.approx(1 - 2 / 14)
    assert r_squared(np.full(4, 3.0), actual) == 0


def test_the_report_by_hand() -> None:
    """Class 0: 3 of 4 found, nothing else called so; class 1 found once of twice; 2 never said."""
    actual = np.array([0, 0, 0, 0, 1, 1, 2])
    said = np.array([0, 0, 0, 1, 1, 2, 1])
    counts = confusion(actual, said, 3)
    assert counts.tolist() == [[3, 1, 0], [0, 1, 1], [0, 1, 0]]
    table = [line.split() for line in report(counts)]
    assert table[1] == ["0", "1.0000", "0.7500", "0.8571", "4"]
    assert table[2] == ["1", "0.3333", "0.5000", "0.4000", "2"]
    assert table[3] == ["2", "0.0000", "0.0000", "0.0000", "1"]
    assert table[4] == ["mean", "0.4444", "0.4167", "0.4190", "7"]
    assert table[5] == ["right", "0.5714", "7"]


@pytest.mark.parametrize(("preset", "files"), [
    ("line", ["fit.png", "fit.txt", "fit.gif", "curves.png"]),
    ("sine", ["fit.png", "fit.txt", "fit.gif", "curves.png"]),
    ("digits", ["confusion.png", "mistakes.png", "report.txt", "curves.png"]),
    ("housing", ["scatter.png", "scatter.txt", "curves.png"]),
    ("rosenbrock", ["path.png", "path.txt", "path.gif"]),
])  # fmt: skip
def test_presets_leave_their_pictures(preset: str, files: list[str]) -> None:
    short = [*FAST, "total_steps=500", "log_every=100", "env.max_steps=30"]
    if preset != "rosenbrock":
        short.remove("env.max_steps=30")
    rlexp.train([f"experiment={preset}", *short, "run_dir=run", "logger=[csv,tensorboard]"])
    found = {path.name for path in Path("run/media").iterdir()}
    assert found >= set(files)
    for name in files:
        if name.endswith(("png", "gif")):
            assert min(Image.open(Path("run/media") / name).size) > 100


def test_a_straight_line_is_told_beside_least_squares() -> None:
    rlexp.train(["experiment=line", *FAST, "total_steps=200_000", "run_dir=run"])
    facts = Path("run/media/fit.txt").read_text().splitlines()
    assert facts[1] == "W 1.9592, b 5.5448; least squares: 1.9592, 5.5448"


def test_a_resumed_run_keeps_what_the_whole_run_keeps(main: Any) -> None:
    run = ["experiment=line", *FAST, "checkpoint.every=1000"]
    rlexp.train([*run, "total_steps=6000", "run_dir=straight"])
    rlexp.train([*run, "total_steps=3000", "run_dir=parts"])
    # As a killed run leaves it: beyond its checkpoint, with half a line at the end.
    with open("parts/media/fit.csv", "a") as f:
        f.write("5500,1.0,2.0")
    assert main("resume", "parts", "total_steps=6000")[0] == 0
    straight, parts = (
        read_curves(Path(name, "media/fit.csv"), 6000) for name in ("straight", "parts")
    )
    assert list(straight) == [s for s in parts if s != 3000 or s in straight]
    for step, values in straight.items():
        np.testing.assert_array_equal(values, parts[step])
    assert max(read_curves(Path("parts/media/fit.csv"), 2000)) <= 2000
    a, b = (Path(name, "media/fit.txt").read_bytes() for name in ("straight", "parts"))
    assert a == b
