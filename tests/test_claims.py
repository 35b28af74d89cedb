"""scripts/claims: what it measures, what it refuses, and the tables it writes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import rlexp
from claims import measure, readme
from claims.__main__ import main as claims_main
from claims.book import Book, Figure, claim, number
from rlexp.config import paths
from rlexp.errors import RunStopped, UserError
from rlexp.metrics import NAMES

ROOT = Path(__file__).parent.parent
Call = Callable[..., tuple[int, str, str]]
PRINTS = """python -c 'print("figures:", "{\\"score\\": [1{seed}, 2{seed}]}")'"""
README = f"# Title\n\n{readme.SECTION}\n\nProse.\n\n{readme.BEGIN}\n{readme.END}\n\n## More\n"


@pytest.fixture
def call(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """A book of one claim, `tiny`, changed by the keywords; then scripts/claims with arguments."""

    def run(*arguments: str, **changes: Any) -> tuple[int, str, str]:
        if changes:
            entry: dict[str, Any] = {
                "what": "a number", "commands": [PRINTS], "seeds": [0, 1, 2], "minutes": 1,
                "figures": {"score": {"printed": "score", "floor": 10}},
            }  # fmt: skip
            (own_folder / "benchmarks").mkdir(exist_ok=True)
            told = yaml.safe_dump({"A group": {"tiny": entry | changes}}, sort_keys=False)
            (own_folder / "benchmarks/claims.yaml").write_text(told)
        if not (own_folder / "README.md").exists():
            (own_folder / "README.md").write_text(README)
        capsys.readouterr()
        code = claims_main([*arguments, "--book", str(own_folder / "benchmarks/claims.yaml")])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_shipped_claims_name_what_exists() -> None:
    """Presets, scripts, tests and metrics; and commands that differ from a preset compose."""
    presets, tests = set(paths.options("experiment")), (ROOT / "tests/test_learning.py").read_text()
    for name, found in Book(ROOT / "benchmarks/claims.yaml").claims.items():
        assert found.presets <= presets, name
        for command in found.commands:
            words = command.replace("{seed}", "0").replace("{run}", "run").split()
            assert words[0] in ("rlexp", "python", "uv"), name
            for word in words:
                if word.startswith(("scripts/", "tests/")):
                    file, _, test = word.partition("::")
                    assert (ROOT / file).is_file(), word
                    assert f"def {test.partition('[')[0]}" in tests, word
            plain = len([w for w in words if not w.startswith(("seed=", "run_dir="))]) == 3
            if words[:2] == ["rlexp", "train"] and not plain:
                rlexp.compose(words[2:])
        for figure in found.figures:
            metric = figure.read.get("metric")
            assert metric is None or metric.removesuffix("/sampled") in NAMES, f"{name}: {metric}"


def test_a_run_that_is_measured_and_a_floor_too_high(call: Call, own_folder: Path) -> None:
    """A real training and an evaluation of it: exit code 1 and one line, the figure recorded."""
    train = (
        "rlexp train env=gridworld agent=q_learning total_steps=60 evaluation.every=null "
        "device.threads=1 logger=csv seed={seed} run_dir={run}"
    )
    figures = {
        "steps": {"metric": "train/episodes", "floor": 0},
        "return": {"json": "greedy.return_mean", "floor": 1000},
    }
    commands = [train, "rlexp eval {run} episodes=1 evaluation.max_steps=20 gif=false --json"]
    setting = {"commands": commands, "seeds": [3]}
    code, out, err = call("tiny", **setting, figures=figures)
    assert code == 1 and err.count("\n") == 1
    assert err.startswith("claims: tiny is untrue: return ") and "floor of 1,000" in err
    (record,) = json.loads((own_folder / "benchmarks/results/tiny.json").read_text())["runs"]
    (value,) = record["figures"]["return"]
    assert record["seed"] == 3 and -2 <= value <= 1 and record["machine"]["cores"] > 0
    table = (own_folder / "README.md").read_text()
    assert "| `tiny` | a number: steps | " in table
    assert f"|  | …: return | {number(value)} | {number(value)} | ≥ 1,000, each | A, " in table
    assert call("--check")[0] == 1
    figures["return"]["floor"] = -2
    call("--table", **setting, figures=figures)
    assert call("--check")[:1] + call("--check")[2:] == (0, "")
    assert "held" in call()[1]


def test_tables_are_written_once(call: Call, own_folder: Path) -> None:
    page = own_folder / "README.md"
    code, out, err = call("tiny", "--jobs", "2", minutes=2)
    assert code == 0 and "IQM (95 % interval) 16 (11" in out and err == ""
    first = page.read_text()
    assert "| `tiny` | a number | 16 (11 … 21.25) | 6: 10 … 22 | ≥ 10, each | A, " in first
    assert first.startswith("# Title\n") and first.endswith("\n\n## More\n")
    call("--table")
    assert page.read_text() == first and call("--check")[0] == 0
    page.write_text(first.replace("| 16 (", "| 19 ("))
    code, _, err = call("--check")
    assert code == 1 and "are not what was measured" in err
    page.write_text("# Title\n")
    assert call("--table")[0] == 2


def test_seeds_one_at_a_time(call: Call) -> None:
    """Each is kept as it ends; other commands begin anew."""
    assert call("tiny", "--seeds", "1", minutes=1)[0] == 0
    assert "1 of 3 seeds" in call()[1]
    assert call("tiny", "--seeds", "0", "2")[0] == 0
    assert "held" in call()[1]
    code, _, err = call("tiny", "--seeds", "5")
    assert code == 2 and err == "claims: tiny has no seed 5; its seeds: 0, 1, 2\n"
    again = PRINTS.replace("score", "mark")
    figures = {"mark": {"printed": "mark", "floor": 1}}
    assert "other commands" in call(commands=[again], figures=figures)[1]
    assert "measured by other commands" in call("--check")[2]
    call("tiny", "--seeds", "0")
    assert "1 of 3 seeds" in call()[1]


def test_earlier_figures_are_shown_as_such(call: Call, own_folder: Path) -> None:
    earlier = {"from": "docs/page.md", "figures": {"score": [12, 13, 14]}}
    assert "earlier" in call(earlier=earlier)[1]
    call("--table")
    text = (own_folder / "README.md").read_text()
    assert "13 (12 … 14) | 12 13 14 | ≥ 10, each | [page.md](docs/page.md) |" in text
    call("--table", earlier=earlier | {"figures": {"score": "about 13"}})
    assert "| about 13 | - |" in (own_folder / "README.md").read_text()
    call("--table", minutes=1)
    assert "Never measured by `scripts/claims`: `tiny`." in (own_folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"figures": {"score": {"printed": "score"}}}, "needs a floor or a ceiling"),
        ({"figures": {"score": {"floor": 1}}}, "needs one of json, metric"),
        ({"figures": {"score": {"printed": "score", "flor": 1}}}, "Did you mean 'floor'"),
        ({"figures": {"score": {"printed": "score", "floor": "x"}}}, "floor=x is not a number"),
        ({"figures": {"score": {"printed": "score", "floor": 1, "holds": "all"}}}, "holds=all"),
        ({"seeds": []}, "one needs the other"),
        ({"comands": []}, "Did you mean 'commands'?"),
        ({"commands": "rlexp train"}, "tiny.commands=rlexp train must be a list of texts"),
        ({"commands": [3]}, "tiny.commands[0]=3 must be a text"),
        ({"commands": []}, "tiny.commands needs a command"),
        ({"commands": ["python -c 'x"]}, "No closing quotation"),
        ({"seeds": 3}, "tiny.seeds=3 must be a list of whole numbers"),
        ({"seeds": [1, 1]}, "tiny.seeds=[1, 1] must be"),
        ({"minutes": "soon"}, "tiny.minutes=soon is not a number"),
        ({"what": None}, "tiny.what=None must be a text"),
        ({"covers": "maze"}, "tiny.covers=maze must be a list"),
        ({"figures": ["score"]}, "tiny.figures must hold a figure"),
        ({"figures": {}}, "tiny.figures must hold a figure"),
        ({"figures": {"score": {"printed": "score", "floor": math.nan}}}, "floor=nan is not a"),
        ({"figures": {"score": {"printed": 1, "floor": 1}}}, "score.printed=1 must be a text"),
        ({"figures": {"score": {"file": "a", "floor": 1}}}, "score.pattern=None must be a text"),
        ({"figures": {"score": {"file": "a", "pattern": "(", "floor": 1}}}, "no regular"),
        ({"figures": {"score": {"file": "a", "pattern": "a", "floor": 1}}}, "needs a group"),
        ({"figures": {"score": {"metric": "a", "reaches": 1, "floor": 1}}}, "go together"),
        (
            {"figures": {"score": {"metric": "a", "reaches": 1, "in": "days", "floor": 1}}},
            "score.in=days must be steps or seconds",
        ),
        ({"figures": {"score": {"printed": "a", "floor": 1, "holds": True}}}, "holds=True"),
        ({"earlier": "README.md"}, "tiny.earlier must have keys: figures, from"),
        ({"earlier": {"from": "a", "figures": [1]}}, "tiny.earlier.figures must have keys"),
        ({"earlier": {"from": "a", "figures": {"score": ["x"]}}}, "score=x is not a number"),
    ],
)
def test_mistakes_in_the_book(call: Call, changes: dict[str, Any], message: str) -> None:
    code, out, err = call(**changes)
    assert code == 2 and message in err and err.count("\n") == 1 and out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"A group:\n  tiny: [\n", "claims.yaml, line 3: "),
        (b"A group:\n  tiny: \xff\n", "can't read"),
        (b"- tiny\n", "must hold groups of claims"),
        (b"A group: [tiny]\n", "must hold groups of claims"),
        (b"A group:\n  tiny: 3\n", "tiny must have keys"),
        (b"A group:\n  ../tiny: {}\n", "a claim can't be named '../tiny'"),
    ],
)
def test_a_book_that_is_none(call: Call, own_folder: Path, text: bytes, message: str) -> None:
    call(minutes=1)
    (own_folder / "benchmarks/claims.yaml").write_bytes(text)
    for argument in ("--check", "tiny"):
        code, out, err = call(argument)
        assert code == 2 and message in err and err.count("\n") == 1 and out == "", err


def test_a_result_that_can_not_be_read(call: Call, own_folder: Path) -> None:
    call(minutes=1)
    results = own_folder / "benchmarks/results"
    results.mkdir()
    for text in ("{", "[]", '{"runs": [1]}', '{"runs": [{"seed": 1}]}', '{"runs": null}'):
        (results / "tiny.json").write_text(text)
        code, _, err = call("--check")
        assert code == 2 and "tiny.json" in err and err.count("\n") == 1, err


def test_what_is_not_measured_is_told_and_no_failure(call: Call) -> None:
    call("--table", minutes=1)
    assert call("--check") == (
        0,
        "not measured: tiny (never run)\n1 of 1 claims are not measured, or not wholly\n",
        "",
    )
    call("tiny", "--seeds", "0")
    assert call("--check")[:2] == (
        0,
        "not measured: tiny (1 of 3 seeds)\n1 of 1 claims are not measured, or not wholly\n",
    )
    call("tiny")
    assert call("--check") == (0, "", "")


def test_an_unknown_name_and_a_command_that_fails(call: Call) -> None:
    code, out, err = call("tyni", minutes=1)
    assert (code, out, err) == (2, "", "claims: no claim named 'tyni'. Did you mean 'tiny'?\n")
    code, _, err = call("tiny", commands=["python -c {seed}/0"])
    assert code == 1 and "seed 0: exit code 1 of" in err and "ZeroDivisionError" in err
    code, _, err = call("tiny", commands=["nonesuch {seed}"])
    assert code == 1 and err == "claims: no command 'nonesuch': it is not installed\n"


def test_a_test_that_fails_is_no_error(call: Call) -> None:
    """Exit code 1 means that it is untrue; another, that it could not be seen."""
    setting = {"figures": {"test": {"passes": True}}, "seeds": [0, 1]}
    exits = "python -c raise(SystemExit({seed}))"
    code, _, err = call("tiny", commands=[exits], **setting)
    assert code == 1 and err == "claims: tiny is untrue: test 0 is below its floor of 1\n"
    code, _, err = call("tiny", commands=[exits.replace("{seed}", "{seed}+4")], **setting)
    assert code == 1 and "exit code" in err


def figure(**read: Any) -> Figure:
    told = {"f": {"floor": 5} | read}
    entry = {"what": "x", "commands": ["rlexp"], "minutes": 1, "figures": told}
    return claim("a", "group", entry).figures[0]


def test_floors() -> None:
    each = figure(passes=True, floor=5)
    assert each.limit == 1 and not each.upper  # of a test
    each = figure(metric="a")
    assert each.untrue([5, 6], 0) is None and "4 is below" in str(each.untrue([4, 6], 3))
    middle = figure(metric="a", holds="iqm")
    assert middle.untrue([0, 5, 5, 9], 0) is None and middle.untrue([0, 0, 5, 5], 0)
    most = figure(metric="a", holds=2)
    assert most.untrue([4, 5, 6], 0) is None and "1 of 3, 2 asked" in str(most.untrue([4, 4, 6], 0))
    assert most.untrue([4, 4], 2) is None
    told = {"f": {"metric": "a", "ceiling": 5}}
    entry = {"what": "x", "commands": ["rlexp"], "minutes": 1, "figures": told}
    least = claim("a", "g", entry).figures[0]
    assert least.untrue([5], 0) is None and "above its ceiling" in str(least.untrue([5.1], 0))


def test_where_figures_are_read(own_folder: Path) -> None:
    run = own_folder / "run"
    (run / "media").mkdir(parents=True)
    (run / "media/fit.txt").write_text("R² 0.8190 on the data, 1,234.5 in all\n")
    (run / "metrics.csv").write_text(
        "step,eval/return_mean,time/elapsed_s\n10,1,2.5\n20,,3\n30,7,4\n40,6,5\n50,,6\n"
    )

    def read(out: str = "", **source: Any) -> list[float]:
        return measure.values(figure(**source), run, out, True)

    assert read(file="media/fit.txt", pattern=r"R² ([0-9.]+)") == [0.819]
    assert read(file="media/fit.txt", pattern=r"([0-9.,]+) in all") == [1234.5]
    assert read(metric="eval/return_mean") == [6]
    assert read(metric="eval/return_mean", reaches=5, **{"in": "steps"}) == [30]
    assert read(metric="eval/return_mean", reaches=5, **{"in": "seconds"}) == [4]
    assert read(metric="eval/return_mean", reaches=8, **{"in": "steps"}) == [float("inf")]
    assert read('{"greedy": {"return_mean": 3}}', json="greedy.return_mean") == [3]
    assert read('x\nfigures: {"a b": [1, 2]}\nfigures: {"c": [3]}\n', printed="a b") == [1, 2]
    with pytest.raises(RunStopped, match="Did you mean 'eval/return_mean'"):
        read(metric="eval/return_maen")
    with pytest.raises(RunStopped, match="no figure 'd' was printed"):
        read('figures: {"c": [3]}', printed="d")


def test_what_was_never_reached_is_kept_as_json_knows_it(call: Call, own_folder: Path) -> None:
    figures = {"score": {"printed": "score", "ceiling": 9, "holds": 1}}
    call(
        "tiny", commands=[PRINTS.replace("1{seed}, 2{seed}", "Infinity")], seeds=[], figures=figures
    )
    path = own_folder / "benchmarks/results/tiny.json"

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    (record,) = json.loads(path.read_text(), parse_constant=refuse)["runs"]
    assert record["figures"] == {"score": [None]}
    assert Book(own_folder / "benchmarks/claims.yaml").result("tiny").values("score") == [math.inf]
    assert "not reached" in (own_folder / "README.md").read_text()


def test_readme_may_not_claim_what_has_no_entry(call: Call, own_folder: Path) -> None:
    page = own_folder / "README.md"
    call("tiny", minutes=1)
    good = page.read_text()
    book = Book(own_folder / "benchmarks/claims.yaml")
    assert readme.problems(book) == []
    page.write_text(good.replace("Prose.", "Twice as fast: 2 times."))
    assert "no claim is named beside 'Twice as fast" in readme.problems(book)[0]
    page.write_text(good.replace("Prose.", "`tiny` is 2 times as fast."))
    assert readme.problems(book) == []
    table = "| preset | what to expect |\n| --- | --- |\n| `digits`, `line` | 97 % |\n\n"
    page.write_text(good.replace("## More\n", f"## More\n\n{table}"))
    assert readme.problems(book) == [
        "README.md gives figures in a row with digits line: no claim runs that"
    ]
    with pytest.raises(UserError):
        book.claim("digits")


def test_a_benchmark_on_a_busy_machine(call: Call, own_folder: Path) -> None:
    """The row says so; a training's does not, since it comes to the same."""
    results = own_folder / "benchmarks/results/tiny.json"
    told = "A (busy), "
    for seeds, marked in (([0], False), ([], True)):
        command = PRINTS if seeds else PRINTS.replace("{seed}", "5")
        call("tiny", commands=[command], seeds=seeds)
        record = json.loads(results.read_text())
        for load in (0.1, 99.0):
            record["runs"][0]["load"] = load
            results.write_text(json.dumps(record))
            call("--table")
            table = (own_folder / "README.md").read_text()
            assert (told in table) == (marked and load > 1)
