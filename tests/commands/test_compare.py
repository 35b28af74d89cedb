"""`rlexp compare`, as a user sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import generated
from rlexp.report import terminal

Main = Callable[..., tuple[int, str, str]]


def test_a_sweep(main: Main) -> None:
    generated.sweep(Path("sweep"), {1e-3: 400, 1e-4: 100})
    code, out, err = main("compare", "sweep", "png=curves.png")
    assert code == 0
    assert out.startswith("lr=0.001 has the highest final mean return: 400, 95 % interval")
    assert "It is clear" in out and "lr=0.0001     4  100" in out
    assert "-300 (" in out and "agent.lr  0.001     0.0001" in out
    assert "100,000 steps" in out and "A lr=0.001" in out and "\x1b" not in out
    assert err == "rlexp: curves curves.png\n"
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")


def test_two_runs_another_metric_no_picture(main: Main, own_folder: Path) -> None:
    generated.run(Path("a"), 0, agent__name="dqn", score=5)
    generated.run(Path("b"), 0, score=6)
    code, out, err = main("compare", "a", "b", "metric=train/length", "curve=loss/total")
    assert code == 0 and err == ""
    assert sorted(path.name for path in own_folder.iterdir()) == ["a", "b"]  # nothing unasked
    assert "agent=ppo has the highest last train/length" in out and "\nloss/total\n" in out


def test_json(main: Main) -> None:
    generated.sweep(Path("sweep"), {1e-3: 400, 1e-4: 100}, seeds=3)
    found = json.loads(main("compare", "sweep", "--json")[1])
    best, other = found["settings"]
    assert (
        best["setting"] == "lr=0.001" and best["iqm"] == 400 and best["scores"] == [397, 400, 403]
    )
    (duel,) = found["best_against"]
    assert duel["setting"] == other["setting"] and duel["difference"] == 300 and duel["clear"]


def test_mistakes(main: Main, own_folder: Path) -> None:
    generated.run(Path("a"), 0)
    for arguments, message in (
        (["a", "metric=train/retrun"], "Did you mean 'train/return'"),
        (["a", "curve=x"], "no run has logged 'x'"),
        (["a", "better=best"], "better=best must be higher or lower"),
        (["a", "strata=env.idd"], "Did you mean 'env.id'"),
        (["a", "png=/proc/x.png"], "png=/proc/x.png can't be written"),
        (["a", "pgn=x.png"], "Did you mean 'png'"),
        (["a", "-x"], "unknown flag -x"),
        (["nope"], "no run or checkpoint 'nope'"),
    ):
        code, _, err = main("compare", *arguments)
        assert code == 2 and message in err and err.count("\n") == 1
    assert main("compare")[0] == 2


def test_dollars_are_no_formulas(main: Main) -> None:
    """Matplotlib takes $…$ for a formula, and ends where it is none."""
    generated.run(Path("s/a"), 0, agent__note="_$\\frac{$")
    generated.run(Path("s/b"), 0, agent__note="$x^{$ and $")
    code, _, err = main("compare", "s", "png=curves.png")
    assert code == 0 and err == "rlexp: curves curves.png\n", err
    assert Path("curves.png").is_file()


def test_rubbish_is_named_and_left_out(main: Main) -> None:
    paths = generated.sweep(Path("sweep"), {1e-3: 400, 1e-4: 100})
    (paths[0] / "metrics.csv").write_bytes(b"\0")
    (paths[1] / "config.yaml").write_text("a: [")
    (paths[2] / "metrics.csv").write_text("step,train/return\n1,2\n2,3\n3,")
    code, out, err = main("compare", "sweep")
    assert code == 0 and "lr=0.001      3" in out
    for name, problem in (
        (paths[0].name, "is no file of metrics"),
        (paths[1].name, "without its config it belongs to no group"),
        (paths[2].name, "half written"),
    ):
        assert any(name in line and problem in line for line in err.splitlines())


def test_two_hundred_runs() -> None:
    lrs = {round(1e-4 * 1.1**i, 7): 100.0 + i for i in range(50)}
    generated.sweep(Path("sweep"), lrs)
    command = [sys.executable, "-X", "importtime", "-m", "rlexp.cli", "compare", "sweep"]
    began = os.times()
    done = subprocess.run(command, capture_output=True, text=True)
    ended = os.times()
    assert done.returncode == 0 and "and 42 more settings" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "gymnasium", "hydra", "omegaconf"}
    # Processor time: what it takes on a machine that does nothing else.
    assert ended.children_user - began.children_user < 3


def test_a_plot_in_the_terminal() -> None:
    rows = terminal.plot([("up", [0, 10], [0.0, 1.0]), ("flat", [0, 10], [0.5, 0.5])], 10, 4)
    assert len(rows) == 4 + 2 + 2
    assert rows[0].startswith("  1 │") and rows[0].endswith(" A") and rows[3].startswith("  0 │")
    assert rows[2].startswith("0.5 │") or rows[2].endswith(" B")
    assert terminal.plot([("nothing", [0], [float("nan")])]) == []
    assert terminal.spark([0, 1, 2, 3]) == "▁▃▆█" and terminal.spark([]) == ""
    assert len(terminal.spark(list(range(100)), 24)) == 24
