"""Whole runs through the command line's own path: what they leave, that they repeat, eval, load."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import rlexp
from conftest import FAST
from rlexp import metrics
from rlexp.errors import UserError

SHORT = [*FAST, "total_steps=1200", "agent.learning_starts=200", "env.num_envs=2"]


def weights_hash(run: str | Path) -> str:
    return hashlib.sha256(
        (Path(run) / "checkpoints/last/weights.safetensors").read_bytes()
    ).hexdigest()


def rows(run: str | Path) -> list[dict[str, str]]:
    with open(Path(run) / "metrics.csv", newline="") as f:
        return [
            {k: v for k, v in row.items() if not k.startswith("time/")} for row in csv.DictReader(f)
        ]


def test_what_a_run_leaves(own_folder: Path) -> None:
    score = rlexp.train(
        ["total_steps=1500", "seed=3", "evaluation.every=500", "evaluation.episodes=3",
         "checkpoint.every=400", "checkpoint.archive_every=700", "agent.learning_starts=200"]
    )  # fmt: skip
    (run,) = own_folder.glob("outputs/cartpole-dqn/*")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["seed"] == 3 and config["agent"]["name"] == "dqn"
    assert "seed=3" in yaml.safe_load((run / "overrides.yaml").read_text())
    system = json.loads((run / "system.json").read_text())
    assert system["packages"]["torch"] and system["python"].startswith("3.")
    assert system["device"]["name"] != "auto" and system["device"]["threads"] >= 1
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "finished" and status["steps"] == 1500 and status["score"] == score
    assert status["metric"] == "eval/return_mean"
    names = {p.name for p in (run / "checkpoints").iterdir()}
    assert {"last", "best", "archive", "step_000001200", "step_000001500"} <= names
    assert "step_000000800" not in names  # keep: 2
    assert (run / "checkpoints/last").resolve().name == "step_000001500"
    assert [p.name for p in (run / "checkpoints/archive").iterdir()][-1:] == ["step_000001400"] or (
        {p.name for p in (run / "checkpoints/archive").iterdir()}
        == {"step_000000700", "step_000001400"}
    )
    evaluations = sorted(p.name for p in (run / "eval").iterdir())
    assert evaluations == [f"step_{s:09d}.json" for s in (500, 1000, 1500)]
    last = json.loads((run / "eval" / evaluations[-1]).read_text())
    assert last["greedy"]["return_mean"] == score
    table = rows(run)
    assert [int(r["step"]) for r in table] == [500, 1000, 1500]
    assert float(table[-1]["eval/return_mean"]) == score
    assert set(table[0]) - {"step"} <= set(metrics.NAMES)
    gif = Image.open(run / "media/eval_000001500.gif")
    assert gif.n_frames > 5 and gif.size == (300, 200)
    assert list((run / "tb").glob("events*"))
    assert Image.open(run / "media/curves.png").size == (1104, 744)
    assert "buffer replay" in (run / "run.log").read_text()


def test_same_seed_same_weights_another_seed_another() -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        rlexp.train([*SHORT, f"seed={seed}", f"run_dir={name}"])
    assert weights_hash("a") == weights_hash("b") != weights_hash("c")
    assert rows("a") == rows("b")


def test_evaluation_does_not_change_training() -> None:
    rlexp.train([*SHORT, "run_dir=without"])
    rlexp.train([*SHORT, "evaluation.every=300", "evaluation.gif=false", "run_dir=with"])
    assert weights_hash("without") == weights_hash("with")


def test_sampled_evaluation_beside_the_greedy_one() -> None:
    asked = ["evaluation.every=600", "evaluation.episodes=3", "evaluation.gif=false"]
    rlexp.train([*SHORT, *asked, "evaluation.sampled=true", "run_dir=both"])
    told = json.loads(Path("both/eval/step_000000600.json").read_text())
    assert told["greedy"]["played"] == told["sampled"]["played"] == 3
    row = next(row for row in rows("both") if row["eval/return_mean"])
    assert float(row["eval/return_mean/sampled"]) == told["sampled"]["return_mean"]
    rlexp.train([*SHORT, *asked, "run_dir=greedy"])
    assert weights_hash("both") == weights_hash("greedy")


def test_resume_goes_on_as_if_never_stopped() -> None:
    rlexp.train([*SHORT, "run_dir=straight"])
    from rlexp import locate, runner
    from rlexp.config.compose import load

    rlexp.train([*SHORT, "run_dir=stopped", "total_steps=620"])
    run = locate.locate("stopped").run
    config = load(run.config, ["total_steps=1200"])
    runner.resume(run, config, locate.choose_checkpoint(run, "last"))
    assert weights_hash("straight") == weights_hash("stopped")


@pytest.mark.parametrize(
    ("overrides", "episodes"),
    [
        (["agent=q_learning"], 1),
        (["agent=q_learning", "env.num_envs=4"], 4),  # four learners
        (["agent=random"], 6),  # draws, whatever it is asked for
        (["agent=q_learning", "env.random_start=true"], 6),
    ],
)
def test_a_game_without_any_randomness_is_played_once_a_learner(
    overrides: list[str], episodes: int
) -> None:
    rlexp.train(["env=gridworld", *overrides, "total_steps=200", "evaluation.every=200",
                 "evaluation.episodes=6", "env.max_steps=50", "evaluation.gif=false",
                 "run_dir=run"])  # fmt: skip
    told = json.loads(Path("run/eval/step_000000200.json").read_text())["greedy"]
    again = rlexp.load("run").evaluate(6)
    assert told["episodes"] == again["episodes"] == episodes
    assert (told["return_ci"] is None) == (episodes == 1)


def test_eval_json(main: Callable[..., tuple[int, str, str]]) -> None:
    rlexp.train([*SHORT, "evaluation.every=600", "evaluation.gif=false", "run_dir=run"])
    code, out, err = main("eval", "run", "episodes=4", "gif=true", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["run"] == "run" and result["step"] == 1200
    for play in ("greedy", "sampled"):
        assert {
            "episodes", "return_mean", "return_ci", "length_mean", "success_rate", "success_ci",
            "distinct_starts",
        } <= result[play].keys()  # fmt: skip
        assert result[play]["episodes"] == 4 and len(result[play]["return_ci"]) == 2
    assert Path(result["gifs"]["best"]).is_file() and Path(result["gifs"]["median"]).is_file()
    saved = [json.loads(p.read_text()) for p in Path("run/eval").glob("eval_*.json")]
    assert saved == [result]
    # A checkpoint's own path, `best`, a step and a prefix name the same run.
    for path, *more in (
        ("run/checkpoints/last",), ("run", "checkpoint=best"), ("run", "checkpoint=1200"), ("ru",),
    ):  # fmt: skip
        code, out, err = main("eval", path, *more, "episodes=1", "gif=false", "--json")
        assert code == 0, err
        assert json.loads(out)["run"] == "run"
    code, out, err = main("eval", "run", "episodes=2", "gif=false")
    assert code == 0 and "greedy" in out and "sampled" in out


def test_eval_changes_the_environment(main: Callable[..., tuple[int, str, str]]) -> None:
    rlexp.train([*SHORT, "run_dir=run"])
    code, out, _ = main("eval", "run", "env.max_steps=7", "episodes=2", "gif=false", "--json")
    assert code == 0 and json.loads(out)["greedy"]["length_mean"] <= 7


def test_load() -> None:
    rlexp.train([*SHORT, "run_dir=run"])
    agent = rlexp.load("run")
    one = agent.act(np.zeros(4))
    assert one in (0, 1)
    assert agent.act(np.zeros((5, 4))).shape == (5,)
    assert agent.evaluate(3)["played"] == 3
    assert agent.evaluate(3) == agent.evaluate(3)
    with pytest.raises(ValueError, match="one observation has"):
        agent.act(np.zeros(3))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "checkpoints/last/weights.safetensors").write_bytes(b"x"), "damaged"),
        (lambda run: (run / "checkpoints/last/manifest.json").unlink(), "no rlexp checkpoint"),
        (lambda run: (run / "config.yaml").write_text("a: [1"), "broken YAML"),
        (lambda run: (run / "config.yaml").write_text("seeds: 1"), "Did you mean 'seed'"),
    ],
)
def test_eval_of_what_is_broken(
    main: Callable[..., tuple[int, str, str]], damage: Callable[[Path], Any], message: str
) -> None:
    rlexp.train([*FAST, "total_steps=100", "run_dir=run"])
    damage(Path("run"))
    code, out, err = main("eval", "run")
    assert code == 2 and out == "" and message in err and err.count("\n") == 1


def test_a_used_directory_is_refused() -> None:
    rlexp.train([*FAST, "total_steps=10", "run_dir=run"])
    with pytest.raises(UserError, match="is not empty: rlexp resume run"):
        rlexp.train([*FAST, "total_steps=10", "run_dir=run"])


def test_an_agent_of_another_shape_is_refused() -> None:
    rlexp.train([*FAST, "total_steps=10", "run_dir=run"])
    with pytest.raises(UserError, match="does not fit"):
        rlexp.load("run", overrides=["agent.hidden=[3]"])


def test_a_failing_run_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlexp.agents.dqn import DQN

    def broken(self: DQN, batch: object) -> None:
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(DQN, "update", broken)
    with pytest.raises(ZeroDivisionError):
        rlexp.train([*SHORT, "run_dir=run"])
    status = json.loads(Path("run/status.json").read_text())
    assert status["state"] == "failed" and "in the middle" in status["error"]
    assert "Traceback" in Path("run/run.log").read_text()
