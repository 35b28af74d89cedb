"""`rlexp lexicon`: what a run's players say, measured, printed, drawn and written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rlexp
from conftest import FAST
from rlexp.commands.completion import answers

Main = Callable[..., tuple[int, str, str]]
GAME = [
    *FAST, "env=signaling", "agent=gumbel", "env.images=shapes", "env.classes=4", "env.length=2",
    "env.vocabulary=3", "env.num_envs=64", "env.train_images=20", "env.held_out_images=10",
    "total_steps=3200", "log_every=3200", "run_dir=run",
]  # fmt: skip


def result(main: Main, *arguments: str) -> dict:
    code, out, err = main("lexicon", "run", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_of_a_run(main: Main) -> None:
    rlexp.train(GAME)
    code, out, err = main("lexicon", "run")
    assert code == 0 and err == ""
    for told in (
        "run, step 3,200, greedy play", "training", "held out", "success", "by purity",
        "messages shuffled", "different messages, of 9", "I(message; class)", "posdis",
        "bits about the colour, by position", "sent for", "heard as",
    ):  # fmt: skip
        assert told in out
    files = dict(line.split(": ") for line in out.splitlines()[-3:])
    assert list(files) == ["games", "json", "pictures"]
    kinds = ("confusion", "games", "lexicon", "messages", "positions")
    drawn = sorted(path.stem for path in Path(files["pictures"]).glob("*.png"))
    assert drawn == [f"{kind}_{split}" for kind in kinds for split in ("heldout", "train")]
    found = json.loads(Path(files["json"]).read_text())
    assert found["files"] == files and found["step"] == 3200 and found["greedy"] is True
    with open(files["games"], newline="") as f:
        rows = list(csv.DictReader(f))
    for split, count in (("train", 80), ("heldout", 40)):
        s = found["by_split"][split]
        games = [row for row in rows if row["split"] == split]
        assert s["games"] == s["pictures"] == len(games) == count
        assert sorted(int(row["picture"]) for row in games) == list(range(count))
        # Everything told follows from the games that were written.
        right = sum(row["class"] == row["guess"] for row in games)
        assert s["success"] == pytest.approx(right / count)
        assert s["success_ci"][0] < s["success"] <= s["success_ci"][1]
        assert np.trace(s["confusion"]) == right and np.sum(s["confusion"]) == count
        assert s["distinct"] == len(s["lexicon"]) == len({row["message"] for row in games})
        first = s["lexicon"][0]
        said = [row for row in games if row["message"] == first["message"]]
        assert first["games"] == len(said) == max(word["games"] for word in s["lexicon"])
        assert first["right"] == sum(row["class"] == row["guess"] for row in said)
        assert first["sent_for"] == {
            name: sum(row["class"] == name for row in said) for name in first["sent_for"]
        }
        assert first["heard_as"] == {said[0]["guess"]: len(said)}  # greedy: one answer
        assert list(s["information_by_position"]) == ["class", "shape", "colour"]
        # A shuffled message tells nothing: chance is a quarter.
        assert abs(s["shuffled_played"] - s["shuffled_success"]) < 0.04
        assert abs(s["shuffled_success"] - 0.25) < 0.01


def test_options(main: Main) -> None:
    rlexp.train(GAME)
    plain = result(main, "pictures=false")
    assert list(plain["by_split"]) == ["train", "heldout"] and "pictures" not in plain["files"]
    assert not list(Path("run/media").glob("lexicon_2*"))
    again = result(main, "pictures=false", "seed=5")
    assert again["by_split"] == plain["by_split"]  # nothing is drawn: greedy, each picture once
    few = result(main, "split=heldout", "games=12", "pictures=false")
    assert list(few["by_split"]) == ["heldout"]
    assert few["by_split"]["heldout"]["games"] == few["by_split"]["heldout"]["pictures"] == 12
    drawn = [
        result(main, "split=train", "greedy=false", "games=200", f"seed={seed}", "pictures=false")
        for seed in (0, 0, 1)
    ]
    assert drawn[0]["by_split"] == drawn[1]["by_split"] != drawn[2]["by_split"]
    s = drawn[0]["by_split"]["train"]
    assert s["games"] == 200 and s["pictures"] == 80
    assert s["message_entropy"] > plain["by_split"]["train"]["message_entropy"]
    other = result(main, "env.images_seed=3", "split=train", "pictures=false")
    assert other["overrides"] == ["env.images_seed=3"]
    assert other["by_split"]["train"] != plain["by_split"]["train"]
    code, out, err = main("lexicon", "run", "games=100", "split=heldout", "messages=1")
    assert code == 0 and "heldout has 40 pictures" in err and err.count("\n") == 1
    assert " more " in out  # all messages but the one that was asked for


def test_of_a_checkpoint_and_by_prefix(main: Main) -> None:
    rlexp.train([*GAME, "checkpoint.every=1600"])
    code, out, _ = main("lexicon", "run/checkpoints/step_000001600", "pictures=false", "--json")
    assert code == 0 and json.loads(out)["step"] == 1600
    code, out, _ = main("lexicon", "ru", "checkpoint=1600", "pictures=false", "--json")
    assert code == 0 and json.loads(out)["step"] == 1600


def test_a_run_without_a_language(main: Main) -> None:
    rlexp.train([*FAST, "agent=random", "total_steps=50", "run_dir=run"])
    before = sorted(Path("run").rglob("*"))
    code, out, err = main("lexicon", "run")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "run has no language: it plays env=cartpole" in err
    assert sorted(Path("run").rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nope",), "no run or checkpoint 'nope'"),
        ((".",), "is no run of rlexp"),
        (("a", "b"), "name one run or checkpoint (got 2): rlexp lexicon PATH"),
        (("a", "--jsn"), "unknown flag --jsn: rlexp lexicon knows --json and --help"),
        (("a", "game=3"), "unknown key 'game'. Did you mean 'games'"),
        (("a", "games=0"), "games=0 must be a whole number, at least 1"),
        (("a", "games=2.5"), "games=2.5 must be a whole number"),
        (("a", "split=held_out"), "split=held_out is not known. Did you mean 'heldout'"),
        (("a", "greedy=maybe"), "greedy=maybe must be true or false"),
        (("a", "messages=none"), "messages=none must be a whole number"),
    ],
)
def test_mistakes_are_one_line(
    main: Main, own_folder: Path, arguments: tuple[str, ...], told: str
) -> None:
    code, out, err = main("lexicon", *arguments)
    assert code == 2 and told in err and err.count("\n") == 1 and out == ""
    assert list(own_folder.iterdir()) == []


def test_help_and_completion(main: Main) -> None:
    code, out, _ = main("lexicon", "--help")
    assert code == 0 and out.startswith("usage: rlexp lexicon PATH")
    assert main("lexicon")[0] == 2
    assert answers("rlexp lex") == ["lexicon"]
    Path("outputs/a/b").mkdir(parents=True)
    Path("outputs/a/b/config.yaml").write_text("")
    assert answers("rlexp lexicon out") == ["outputs/a/b"]
