"""rlexp export: what is given away plays the same, and names nothing of where it came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import rlexp
from rlexp.export import result_row

Main = Callable[..., tuple[int, str, str]]
QUICK = ["env=cartpole", "agent=ppo", "log_every=256", "evaluation.episodes=2"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "somewhere" / "run"
    rlexp.train([*QUICK, "total_steps=768", "checkpoint.every=256", f"run_dir={path}"])
    return path


def test_it_plays_the_same_games(main: Main, run: Path) -> None:
    assert main("eval", str(run), "episodes=4", "gif=false")[0] == 0
    code, out, _ = main("export", str(run), "zoo/cart")
    assert code == 0 and "zoo/cart" in out
    assert "episodes=4`" in Path("zoo/cart/README.md").read_text()
    theirs = main("eval", str(run), "episodes=5", "gif=false", "--json")[1]
    ours = main("eval", "zoo/cart", "episodes=5", "gif=false", "--json")[1]
    assert json.loads(ours)["greedy"] == json.loads(theirs)["greedy"]
    assert json.loads(ours)["sampled"] == json.loads(theirs)["sampled"]
    card = Path("zoo/cart/README.md").read_text()
    assert "rlexp train env=cartpole agent=ppo" in card and "| steps | 768 |" in card
    assert "| sampled |" in card and "run_dir" not in card
    for path in Path("zoo/cart").rglob("*.[jymc]*"):
        if "eval" not in path.parts:
            assert str(run.parent) not in path.read_text(), path


def test_a_card_from_before_all_episodes_counted_says_so() -> None:
    s = {"episodes": 26, "played": 96, "return_mean": 1.0, "success_rate": 0.5}
    assert result_row("greedy", s) == "| greedy | 1.0 | 50.0% | - | 26 distinct of 96 | - |"
    now = s | {"episodes": 96, "distinct_starts": 26, "success_ci": [0.4, 0.6]}
    assert result_row("greedy", now) == "| greedy | 1.0 | 50.0% | 40.0% … 60.0% | 96 | 26 |"


def test_weights_and_curve_end_at_the_checkpoint(main: Main, run: Path) -> None:
    assert main("export", str(run), "zoo/early", "checkpoint=512")[0] == 0
    assert [p.name for p in Path("zoo/early/checkpoints/archive").iterdir()] == ["step_000000512"]
    names = {p.name for p in Path("zoo/early/checkpoints/archive/step_000000512").iterdir()}
    assert names == {"weights.safetensors", "state.json", "manifest.json"}
    rows = Path("zoo/early/metrics.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["step", "256", "512"]


def test_without_weights_it_is_enough_for_a_report(main: Main, run: Path) -> None:
    assert main("export", str(run), "curves/seed_0", "weights=false")[0] == 0
    names = {p.name for p in Path("curves/seed_0").iterdir()}
    assert names == {"config.yaml", "overrides.yaml", "system.json", "metrics.csv", "status.json"}
    code, out, _ = main("runs", "curves")
    assert code == 0 and "768" in out
    code, _, err = main("eval", "curves/seed_0")
    assert code == 2 and "no checkpoint" in err and err.count("\n") == 1


def test_others_begin_with_it_but_nobody_goes_on_from_it(main: Main, run: Path) -> None:
    assert main("export", str(run), "zoo/cart")[0] == 0
    rlexp.train([*QUICK, "total_steps=256", "agent.init_from=zoo/cart", "run_dir=other"])
    code, _, err = main("resume", "zoo/cart", "total_steps=2000")
    assert not Path("zoo/cart/history.json").exists()
    assert code == 2 and "agent.init_from=" in err and err.count("\n") == 1


def test_mistakes(main: Main, run: Path) -> None:
    Path("full").mkdir()
    Path("full/file").touch()
    for arguments, told in (
        ((str(run),), "a run and a new folder"),
        ((str(run), "full"), "not empty"),
        ((str(run), "new", "checkpoint=3"), "no checkpoint at step 3"),
        ((str(run), "full/file/new"), "can't write"),
        ((str(run), "new", "chekpoint=last"), "Did you mean 'checkpoint'?"),
    ):
        code, _, err = main("export", *arguments)
        assert code == 2 and told in err and err.count("\n") == 1
    assert not Path("new").exists()


def test_nothing_in_it_names_the_machine(main: Main, run: Path, tmp_path: Path) -> None:
    other, target = tmp_path / "secret" / "other", tmp_path / "elsewhere" / "gift"
    keys = [*QUICK, "total_steps=256", f"agent.init_from={run}", f"run_dir={other}"]
    rlexp.train(keys)
    assert main("eval", str(other), "episodes=2", "gif=false")[0] == 0
    assert main("export", str(other), str(target))[0] == 0
    for path in target.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path
    assert main("eval", str(target), "episodes=2", "gif=false")[0] == 0
    card = (target / "README.md").read_text()
    assert "rlexp eval gift" in card and "agent.init_from=run" in card


def test_a_run_of_changed_code_says_so(main: Main, run: Path) -> None:
    facts = json.loads((run / "system.json").read_text())
    for patch, told in (("diff --git a/x b/x", True), (None, False)):
        (run / "system.json").write_text(json.dumps(facts | {"git_patch": patch}))
        assert main("export", str(run), f"zoo/{told}")[0] == 0
        given = json.loads(Path(f"zoo/{told}/system.json").read_text())
        assert "platform" not in given  # a kernel may bear its owner's name
        assert given["changed"] is told and "git_patch" not in given
        assert ("with changes" in Path(f"zoo/{told}/README.md").read_text()) is told


def test_the_card_tells_how_it_did_against_each_rival(main: Main, tmp_path: Path) -> None:
    duel = ["env=bomberman", "agent=ppo", "agent.vision=board", "env.observation=planes",
            "env.limit=12", "env.num_envs=2", "agent.rollout_steps=8", "self_play.enabled=true",
            "evaluation.every=null", "total_steps=16", f"run_dir={tmp_path / 'duel'}"]  # fmt: skip
    rlexp.train(duel)
    assert main("eval", str(tmp_path / "duel"), "episodes=2", "gif=false")[0] == 0
    assert main("export", str(tmp_path / "duel"), "zoo/duel")[0] == 0
    (found,) = json.loads(Path("zoo/duel/evaluations.json").read_text())
    wait = found["by_rival"]["greedy"]["wait"]
    row = f"| greedy | wait | {wait['ahead_rate']:.1%} | {wait['behind_rate']:.1%} |"
    card = Path("zoo/duel/README.md").read_text()
    assert "| play | against | ahead | behind | won | lost | hits | own hits |" in card
    assert row in card and "| sampled | wait |" in card
