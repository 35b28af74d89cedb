"""`rlexp watch` and `rlexp tensorboard`."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import generated
from rlexp.commands.tensorboard import folder_and_flags

Main = Callable[..., tuple[int, str, str]]
RLEXP = [sys.executable, "-m", "rlexp.cli"]


def test_a_sweep_with_jobs_that_wait(main: Main) -> None:
    paths = generated.sweep(Path("sweep"), {1e-3: 50}, seeds=2)
    generated.run(Path("sweep/002_x"), 2, rows=30, state="running", score=9, total_steps=120_000)
    jobs = [{"number": i, "overrides": [], "name": p.name} for i, p in enumerate(paths)]
    jobs += [{"number": 2, "overrides": [], "name": "002_x"}]
    jobs += [{"number": 3, "overrides": [], "name": "003_y"}]
    Path("sweep/sweep.json").write_text(json.dumps({"jobs": jobs}))
    code, out, _ = main("watch", "sweep")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["state", "progress", "steps", "train/return", "lately", "run"]
    assert lines[1].split()[:4] == ["finished", "█" * 20, "100,000", "45.7"]
    assert lines[3].split()[:3] == ["running", "█" * 5 + "░" * 15, "30,000"]
    assert lines[4].split() == ["waiting", "░" * 20, "0", "-", "003_y"]
    assert lines[-1] == "2 finished, 1 running, 1 waiting"


def test_one_run(main: Main) -> None:
    path = generated.run(Path("outputs/x/a"), 0, rows=40, state="running", total_steps=100_000)
    (path / "metrics.csv").write_text(generated.metrics(50, 100))  # ahead of its status
    code, out, _ = main("watch", "outputs/x/a")
    assert code == 0 and "outputs/x/a  running, last saved " in out
    assert "█" * 10 + "░" * 10 + " 50,000 of 100,000 steps  6 s left" in out
    assert ["time/steps_per_s", "9000"] in [line.split()[:2] for line in out.splitlines()]
    assert "outputs/x/a  running" in main("watch")[1]
    generated.run(Path("failed"), 0, state="failed")
    assert "NonFinite: loss/total is nan" in main("watch", "failed")[1]


def test_nothing_to_watch(main: Main) -> None:
    assert main("watch")[1] == "no run under outputs/ is running now\n"
    generated.run(Path("outputs/x/a"), 0)
    for arguments, message in (
        (["nope"], "no run or checkpoint"),
        (["outputs", "every=0"], "every=0 must be seconds"),
        (["outputs", "once=1"], "once=1 must be true or false"),
        (["outputs", "evry=1"], "Did you mean 'every'"),
    ):
        code, _, err = main("watch", *arguments)
        assert code == 2 and message in err and err.count("\n") == 1


def test_live_in_a_terminal() -> None:
    """It follows a run that goes on, and leaves when it is finished."""
    path = generated.run(Path("a"), 0, rows=10, state="running", total_steps=100_000)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*RLEXP, "watch", "a", "every=0.1"], stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""

    def until(text: bytes) -> None:
        nonlocal seen
        end = time.monotonic() + 30
        while text not in seen:
            assert time.monotonic() < end, seen.decode()
            try:
                seen += os.read(ours, 65536)
            except OSError:
                break
        assert text in seen

    until(b"10,000 of 100,000 steps")
    (path / "metrics.csv").write_text(generated.metrics(60, 100))
    until(b"60,000 of 100,000 steps")
    status = json.loads((path / "status.json").read_text())
    (path / "status.json").write_text(json.dumps(status | {"state": "finished"}))
    until(b"finished")
    assert process.wait(30) == 0
    os.close(ours)


@pytest.mark.parametrize(
    ("argv", "folder", "flags"),
    [
        (["--port", "6007", "D"], "D", ["--port", "6007"]),
        (["D", "--port", "6007"], "D", ["--port", "6007"]),
        (["--port", "6007"], None, ["--port", "6007"]),
        (["--port=6007", "D"], "D", ["--port=6007"]),
        (["--bind_all", "D"], "D", ["--bind_all"]),
        (["--host", "D", "D", "--bind_all"], "D", ["--host", "D", "--bind_all"]),
        ([], None, []),
    ],
)
def test_flags_of_tensorboard(argv: list[str], folder: str | None, flags: list[str]) -> None:
    assert folder_and_flags(argv) == (folder, flags)


def test_mistakes_in_flags_of_tensorboard(main: Main) -> None:
    for argv, message in (
        (["--prot", "1"], "TensorBoard has no flag --prot. Did you mean '--port'"),
        (["--port", "x"], "--port: invalid value: 'x'"),
        (["--port"], "--port: expected one argument"),
        (["A", "B"], "name one folder (got 2: A, B)"),
        (["--logdir", "A"], "the folder needs no flag: rlexp tensorboard DIR"),
    ):
        code, out, err = main("tensorboard", *argv)
        assert code == 2 and message in err and err.count("\n") == 1 and out == ""


def test_tensorboard(main: Main) -> None:
    code, _, err = main("tensorboard")
    assert code == 2 and "holds no run with TensorBoard events" in err
    path = generated.run(Path("outputs/x/a"), 0)
    (path / "tb").mkdir()
    (path / "tb/events.out.tfevents.1.x").write_bytes(b"")
    process = subprocess.Popen(
        [*RLEXP, "tensorboard", "--port", "0", "outputs"], stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        assert any("at http://" in line for line in process.stderr)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
