"""`rlexp runs`: rows, order, filters, speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import generated

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture
def outputs() -> Path:
    folder = Path("outputs/cartpole_ppo/sweep")
    generated.sweep(folder, {1e-4: 100, 1e-3: 400}, seeds=2)
    generated.run(folder / "004_broken", 7, state="failed", agent__name="dqn", time=1.7e9)
    return folder


def names(out: str) -> list[str]:
    return [line.split()[-1].partition("_")[0] for line in out.splitlines()[1:]]


def test_a_table(main: Main, outputs: Path) -> None:
    code, out, err = main("runs")
    assert code == 0 and err == f"rlexp: 5 runs in {outputs}/; return: eval/return_mean\n"
    lines = out.splitlines()
    assert lines[0].split() == ["state", "steps", "return", "age", "name"]
    assert lines[1].split()[:3] == ["failed", "100,000", "107"]  # the oldest, and what it had
    assert lines[1].endswith("004_broken")
    assert lines[2].split()[:3] == ["finished", "100,000", "98.5"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sort=-return"], ["003", "002", "004", "001", "000"]),
        (["sort=-return", "limit=2"], ["003", "002"]),
        (["limit=1", "sort=age"], ["001"]),
        (["state=failed,died"], ["004"]),
        (["agent.lr=1e-3", "agent.name=ppo", "sort=name"], ["002", "003"]),
        (["agent.lr=0.001,0.0001", "sort=seed"], ["000", "002", "001", "003", "004"]),
        (["name=*seed=1*", "sort=name"], ["001", "003"]),
        (["agent.lr_decay=null", "state=failed"], ["004"]),
        (["agent.hidden=[64,64]", "sort=name", "limit=1"], ["000"]),
    ],
)
def test_filter_and_sort(
    main: Main, outputs: Path, arguments: list[str], expected: list[str]
) -> None:
    code, out, _ = main("runs", "outputs", *arguments)
    assert code == 0 and names(out) == expected


def test_a_key_that_holds_no_number(main: Main) -> None:
    generated.run(Path("outputs/a"), 0, env__kwargs={})
    code, _, err = main("runs", "env.kwargs=1")
    assert code == 0 and "0 of 1 runs" in err


def test_one_metric_for_all_rows(main: Main) -> None:
    """A training return is no evaluation's: who has none has a dash."""
    generated.run(Path("outputs/done"), 0, score=5)
    early = generated.run(Path("outputs/early"), 1, state="running", score=90)
    text = (early / "metrics.csv").read_text().splitlines()
    early.joinpath("metrics.csv").write_text("\n".join([text[0], text[1]]) + "\n")
    _, out, err = main("runs", "sort=name")
    returns = {line.split()[-1]: line.split()[2] for line in out.splitlines()[1:]}
    assert returns == {"done": "5", "early": "-"} and "; return: eval/return_mean" in err
    assert json.loads(main("runs", "--json", "sort=name")[1])[1]["return"] is None
    # Where one that is finished was never evaluated, training is what all have.
    generated.run(Path("outputs/plain"), 2, score=7, evaluation__every=None)
    path = Path("outputs/plain/metrics.csv")
    path.write_text("\n".join(x.rpartition(",")[0] for x in path.read_text().splitlines()) + "\n")
    _, out, err = main("runs", "sort=name")
    assert "-" not in [line.split()[2] for line in out.splitlines()] and "train/return" in err
    assert main("runs", "return=7")[1].splitlines()[1].endswith("plain")


def test_more_columns_and_json(main: Main, outputs: Path) -> None:
    _, out, _ = main("runs", "show=seed,agent.lr", "sort=name", "limit=1")
    assert out.splitlines()[1].split()[-3:-1] == ["0", "0.0001"]
    _, out, _ = main("runs", "--json", "show=seed", "sort=name")
    found = json.loads(out)
    assert [row["seed"] for row in found] == [0, 1, 0, 1, 7]
    assert found[0]["return"] == 98.5 and found[0]["steps"] == 100_000


def test_mistakes(main: Main, outputs: Path) -> None:
    for arguments, message in (
        (["sort=retrun"], "Did you mean 'return'"),
        (["agent.lrr=1"], "Did you mean 'agent.lr'"),
        (["limit=0"], "limit=0 must be"),
        (["--jsn"], "unknown flag --jsn"),
        (["nope"], "no run or checkpoint 'nope'"),
    ):
        code, out, err = main("runs", *arguments)
        assert code == 2 and message in err and err.count("\n") == 1 and out == ""


def test_no_runs_yet(main: Main) -> None:
    assert main("runs") == (0, "", "rlexp: 0 runs\n")


def test_rubbish_is_named(main: Main, outputs: Path) -> None:
    (outputs / "004_broken/metrics.csv").write_bytes(b"\0\1\2")
    (outputs / "003_agent.lr=0.001,seed=1/config.yaml").write_text("a: [")
    code, out, err = main("runs", "show=seed")
    assert code == 0 and len(names(out)) == 5
    assert "004_broken/metrics.csv: is no file of metrics" in err
    assert "seed=1/config.yaml: can't be read" in err


def test_two_hundred_runs_in_no_time(outputs: Path) -> None:
    for i in range(200):
        generated.run(Path(f"outputs/many/{i:03d}"), i, state="failed" if i % 3 else "finished")
    command = [sys.executable, "-X", "importtime", "-m", "rlexp.cli", "runs", "seed=1,2,150"]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True)
    after = os.times()
    assert len(names(done.stdout)) == 5
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "numpy", "gymnasium", "rich", "hydra", "omegaconf"}
    assert (
        after.children_user + after.children_system - before.children_user
        < 3 + before.children_system
    )


def test_foreign_values_and_a_reader_that_goes(outputs: Path) -> None:
    """Numbers that no run writes, a seed that is a list; and `rlexp runs | head -1`."""
    odd = outputs / "005_odd"
    generated.run(odd, 8)
    config = (odd / "config.yaml").read_text()
    assert "seed: 8" in config
    (odd / "config.yaml").write_text(config.replace("seed: 8", "seed: [1, 2]"))
    status = json.loads((odd / "status.json").read_text())
    told = json.dumps(status | {"steps": 7e400, "score": 7e400, "pid": 10**12})
    (odd / "status.json").write_text(told)
    for words in (["runs"], ["compare", str(outputs)]):
        command = [sys.executable, "-m", "rlexp.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            assert b"Traceback" not in process.stderr.read() and process.wait(60) == 0
