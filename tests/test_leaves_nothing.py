"""What commands write: JSON that every reader takes, and nothing where they refuse."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import generated
from conftest import FAST
from rlexp import strict_json
from rlexp.report.reading import Run
from rlexp.run_dir import RunDir

Main = Callable[..., tuple[int, str, str]]
ZOO = Path(__file__).parent.parent / "zoo"


def strict(text: str) -> Any:
    """As JavaScript, jq and Go read it."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    return json.loads(text, parse_constant=refuse)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_without_a_score(main: Main) -> None:
    """No episode ends in ten steps: its score is none."""
    code, _, err = main("train", *FAST, "total_steps=10", "run_dir=run")
    assert code == 0 and "score nan" in err
    for path in Path("run").rglob("*.json"):
        strict(path.read_text())
    status = RunDir(Path("run")).read_status()
    assert status["state"] == "finished" and status["score"] is None
    assert main("resume", "run")[0] == 0
    for command in ("runs", "compare"):
        strict(main(command, "run", "--json")[1])
    sweep = ["train", "-m", "hydra/launcher=basic", *FAST, "total_steps=10", "seed=0,1"]
    assert main(*sweep, "run_dir=sw")[0] == 0 and main("resume", "sw")[0] == 0


def test_old_files_with_nan_are_read(main: Main) -> None:
    generated.run(Path("old"), 0)
    run = RunDir(Path("old"))
    status = json.loads(run.status.read_text()) | {"score": math.nan}
    run.status.write_text(json.dumps(status))
    assert run.read_status()["state"] == status["state"]
    assert Run(run, "old").value("nothing") is None
    assert main("runs", "old")[0] == 0 and main("report", "old")[0] == 0


def test_numbers_that_are_not_finite() -> None:
    value = {"a": math.nan, "b": [1.5, -math.inf, (math.inf, "NaN")], "c": {"d": None, "e": True}}
    expected = {"a": None, "b": [1.5, None, [None, "NaN"]], "c": {"d": None, "e": True}}
    assert strict(strict_json.dumps(value)) == expected
    assert strict(strict_json.dumps(value, as_text=True))["b"] == [1.5, "-inf", ["inf", "NaN"]]


@pytest.mark.parametrize("command", [["resume"], ["resume", "total_steps=9e9"], ["fork"]])
def test_who_is_refused_leaves_nothing_in_a_given_agent(
    main: Main, own_folder: Path, command: list[str]
) -> None:
    agent = next(path.parent for path in sorted(ZOO.rglob("config.yaml")))
    shutil.copytree(agent, "given", ignore=shutil.ignore_patterns(".lock"))
    before = contents(own_folder)
    code, _, err = main(command[0], "given", *command[1:])
    assert code == 2 and err.count("\n") == 1, err
    assert contents(own_folder) == before


def test_a_resume_that_can_not_be_built_leaves_nothing(main: Main, own_folder: Path) -> None:
    assert main("train", *FAST, "total_steps=60", "run_dir=run")[0] == 0
    Path("run/.lock").unlink()
    config = Path("run/config.yaml")
    older = config.read_text().replace("dueling: false", "dueling: true")  # another network
    assert older != config.read_text()
    config.write_text(older)
    before = contents(own_folder)
    for words in (["resume", "run"], ["fork", "run@60", "run_dir=new"]):
        code, _, err = main(*words, "total_steps=90")
        assert code == 2 and "does not fit" in err, err
        assert contents(own_folder) == before and [*own_folder.iterdir()] == [own_folder / "run"]


def test_a_report_of_several_runs_lies_where_runs_are_kept(main: Main, own_folder: Path) -> None:
    generated.run(Path("a"), 0)
    generated.run(Path("b"), 1)
    code, _, err = main("report", "a", "b")
    assert code == 0 and err.startswith("rlexp: report outputs/report.html (")
    assert sorted(path.name for path in own_folder.iterdir()) == ["a", "b", "outputs"]
    assert main("report", "a", "b", "out=mine.html")[0] == 0 and Path("mine.html").is_file()
