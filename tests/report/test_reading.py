"""Whatever lies in a run's directory: read, or named and left out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import generated
from rlexp.errors import UserError
from rlexp.report import reading, series

Main = Callable[..., tuple[int, str, str]]


def test_a_file_as_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,a,b\n10,1.5,\n20,2.5,7\n")
    found = series.read(path)
    assert found.problem is None and found.names == ["a", "b"]
    assert found.points("a") == ([10, 20], [1.5, 2.5])
    assert found.points("b") == ([20], [7.0]) and found.points("c") == ([], [])
    assert found.last("a") == 2.5 and found.last("c") is None


@pytest.mark.parametrize(
    ("content", "problem", "values"),
    [
        (b"", "is empty", []),
        (b"step,a\n1,1\n2,2\n3,", "last line is only half written", [1, 2]),
        (b"step,a\n1,1\n2,2\n3,33", "last line is only half written", [1, 2]),
        (b"time,a\n1,1\n", "no column 'step'", []),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "no column 'step'", []),
        (b"step,a\n1,1\n\xff\xfe\0\0\n2,2\n", "1 of its lines", [1, 2]),
        (b"step,a\n1,1\n2\n2,2,2\nx,3\n4,4\n", "3 of its lines", [1, 4]),
        (b"step,a\n1,1\n2,many\n3,3\n", "a='many' is no number", [1, 3]),
        (b"step,a\r\n1,1\r\n\r\n2,2\r\n", None, [1, 2]),
        (b'step,"a"\n1,"1"\n2,2\n', None, [1, 2]),
        (b"step,a\n2,2\n1,1\n2,3\n", None, [1, 3]),
        (b"step,a\n1,nan\n2,inf\n3,3\n", None, [3]),
        (b"step,a\n1,1e308\n2,-1e308\n3,3\n", None, [3]),
        (b"step,a\n", None, []),
        (b"step,a\n1,1\n100000000000000000000,2\n", "1 of its lines", [1]),
    ],
)
def test_files_as_they_are(
    tmp_path: Path, content: bytes, problem: str | None, values: list[float]
) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    found = series.read(path)
    assert found.points("a")[1] == values
    assert (found.problem is None) if problem is None else problem in str(found.problem)
    assert series.tail(path).points("a")[1] == values


def test_a_million_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    with open(path, "w") as file:
        file.write("step,train/return,eval/return_mean\n")
        file.writelines(f"{i},{i / 1000},{i if i % 9973 == 7 else ''}\n" for i in range(1_000_001))
    found = series.read(path)
    steps, values = found.points("train/return")
    assert "is left out" in str(found.problem) and len(steps) < 10_000
    assert steps[0] == 0 and steps[-1] == 1_000_000 and steps == sorted(set(steps))
    assert max(b - a for a, b in zip(steps, steps[1:], strict=False)) < 2000  # evenly spread
    assert all(v == s / 1000 for s, v in zip(steps, values, strict=True))
    # What is logged seldom is there to the last value.
    assert found.points("eval/return_mean")[0] == list(range(7, 1_000_001, 9973))


def test_a_directory_of_rubbish(tmp_path: Path) -> None:
    for name, content in (
        ("config.yaml", "a: [1\n"), ("overrides.yaml", "a: 1\n"), ("system.json", "{"),
        ("status.json", "[1]"), ("metrics.csv", "\0\0\0"),
    ):  # fmt: skip
        (tmp_path / name).write_text(content)
    (run,) = reading.find([str(tmp_path)])
    assert (run.config, run.overrides, run.system, run.seed) == ({}, [], {}, None)
    assert (run.state, run.score, run.steps, run.time) == ("unknown", None, 0, 0.0)
    assert run.series.points("train/return") == ([], [])
    told = "\n".join(reading.problems([run]))
    for name in ("config.yaml", "overrides.yaml", "system.json", "status.json", "metrics.csv"):
        assert f"{tmp_path / name}: " in told


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("status.json", "[" * 100_000, "it holds no run's state"),
        ("status.json", '{"state": "fin', "it holds no run's state"),
        ("status.json", '{"state": "\\u001b[31mred\\n"}', "it holds no run's state"),
        ("status.json", f'{{"state": "finished", "steps": {10**400}, "time": 1e300}}', None),
        ("system.json", "[" * 100_000, "maximum recursion depth"),
        ("system.json", "[]", "it holds something else"),
        ("config.yaml", "a: &a\n  b: *a\n", "it holds itself"),
        ("config.yaml", "total_steps: many\nenv: [1]\nagent: {name: {x: 1}}\nseed: 1\n", None),
        ("config.yaml", "total_steps: .nan\nenv: {name: 5, id: [1]}\nseed: 1\n", None),
        ("metrics.csv", "step,train/return\n1,1e308\n2,-1e308\n3,1e308\n", None),
    ],
)
def test_foreign_files_end_no_command(
    main: Main, file: str, content: str, told: str | None
) -> None:
    paths = generated.sweep(Path("s"), {1e-3: 10, 1e-2: 20}, seeds=2)
    (paths[0] / file).write_text(content)
    for words in (["runs"], ["compare", "png=null"], ["report"], ["watch"]):
        for place in ("s", str(paths[0])):
            code, out, err = main(*words[:1], place, *words[1:])
            assert code == 0 and "Traceback" not in err, err
            if told and words[0] == "report":  # which reads all
                assert f"{paths[0] / file}: can't be read: {told}" in out + err


def test_a_run_whose_process_is_gone(tmp_path: Path) -> None:
    import sys

    path = generated.run(tmp_path / "a", state="running")
    (run,) = reading.find([str(path)])
    assert run.state == "running"  # this process
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    status = json.loads((path / "status.json").read_text())
    for host, state in ((status["host"], "died"), ("another", "running")):
        text = json.dumps(status | {"pid": gone.pid, "host": host})
        (path / "status.json").write_text(text)
        (run,) = reading.find([str(path)])
        assert run.state == state
    assert run.score == pytest.approx(100)  # what its last evaluation gave


def test_what_a_user_may_name(tmp_path: Path) -> None:
    runs = generated.sweep(tmp_path / "outputs/x/sweep", {1e-3: 10, 1e-2: 20}, seeds=2)
    assert len(reading.find([])) == 4 and len(reading.find(["outputs/x/sweep"])) == 4
    assert len(reading.find(["outputs", "outputs/x/sweep/000_agent.lr=0.001,seed=0"])) == 4
    (one,) = reading.find(["003_"])  # a prefix of its name
    assert one.dir.path.name == runs[3].name
    assert reading.shorten([one]) == "outputs/x/sweep/" and one.name == runs[3].name
    with pytest.raises(UserError, match="no run or checkpoint 'nope'"):
        reading.find(["nope"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no runs"):
        reading.find(["empty"])
    assert reading.find(["empty"], none=True) == []


@pytest.mark.parametrize("module", ["reading", "locate"])
def test_reading_needs_no_torch(module: str) -> None:
    import sys

    name = f"rlexp.report.{module}" if module == "reading" else f"rlexp.{module}"
    code = f"import sys, {name}; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
