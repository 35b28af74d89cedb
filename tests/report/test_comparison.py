"""Which runs belong together, who won, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import generated
from rlexp.report import comparison, curves, groups, heat, parallel, reading

Main = Callable[..., tuple[int, str, str]]


def grouped(folder: str = "outputs") -> tuple[list[groups.Group], list[str]]:
    runs = reading.find([folder])
    reading.shorten(runs)
    return groups.group(runs)


def test_seeds_belong_together() -> None:
    generated.sweep(Path("outputs"), {1e-3: 100, 1e-2: 300}, seeds=3)
    generated.run(Path("outputs/elsewhere"), 9, agent__lr=1e-2, device__threads=2, resume=None)
    found, notes = grouped()
    assert [(g.label, [r.seed for r in g.runs]) for g in found] == [
        ("lr=0.001", [0, 1, 2]),
        ("lr=0.01", [0, 1, 2, 9]),
    ]
    assert notes == [] and groups.differences(found) == {"agent.lr": [0.001, 0.01]}
    assert found[0].values == {"agent.lr": 0.001}


def test_the_order_of_keys_is_no_setting() -> None:
    agent = {"name": "ppo", "lr": 1, "gamma": 0.9}
    generated.run(Path("outputs/a"), 0, agent=agent)
    generated.run(Path("outputs/b"), 1, agent=dict(reversed(agent.items())) | {"lr": 1.0})
    (found,), _ = grouped()
    assert [run.seed for run in found.runs] == [0, 1]


def test_a_run_made_twice_counts_once() -> None:
    generated.run(Path("outputs/old"), 0, score=1, time=1.0)
    generated.run(Path("outputs/new"), 0, score=2, time=2.0)
    generated.run(Path("outputs/failed"), 0, state="failed", time=3.0)
    (found,), notes = grouped()
    assert [run.name for run in found.runs] == ["new"] and len(notes) == 2
    assert "seed 0 is there twice, new is used" in notes[0]


@pytest.mark.parametrize(
    ("first", "second", "labels"),
    [
        ({"agent__name": "dqn"}, {}, ["agent=ppo", "agent=dqn"]),
        ({"agent__lr": 1e-4, "agent__hidden": [8]}, {},
         ["lr=0.001, hidden=[64,64]", "lr=0.0001, hidden=[8]"]),
        ({"env__id": "Acrobot-v1"}, {}, ["id=CartPole-v1", "id=Acrobot-v1"]),
        ({"agent__lr_decay": 5}, {}, ["lr_decay=null", "lr_decay=5"]),
        ({}, {}, ["ppo on CartPole-v1"]),
        ({"agent": {"name": "dqn", "lr": 1, "extra": 2}}, {"agent__lr": 3},
         ["agent=ppo", "agent=dqn"]),
    ],
)  # fmt: skip
def test_names(first: dict[str, Any], second: dict[str, Any], labels: list[str]) -> None:
    generated.run(Path("outputs/a"), 0)
    generated.run(Path("outputs/b"), 1, **first)
    found, _ = grouped()
    assert [g.label for g in found] == labels


def test_a_run_without_config_is_named() -> None:
    generated.run(Path("outputs/a"), 0)
    generated.run(Path("outputs/b"), 1)
    Path("outputs/b/config.yaml").write_text("- 1\n")
    found, notes = grouped()
    assert len(found) == 1 and "b: without its config" in notes[0]


def compared(scores: dict[float, list[float]], **options: Any) -> comparison.Comparison:
    for lr, values in scores.items():
        for seed, score in enumerate(values):
            path = Path(f"outputs/{lr}_{seed}")
            generated.run(path, seed, rows=20, score=score, agent__lr=lr)
    return comparison.compare(grouped()[0], **options)


def test_a_clear_winner() -> None:
    found = compared({1e-3: [100, 101, 102, 103], 1e-2: [300, 310, 290, 305], 1e-1: [9, 8, 7, 6]})
    assert [s.label for s in found.ranked] == ["lr=0.01", "lr=0.001", "lr=0.1"]
    assert found.ranked[0].iqm == 302.5  # of 290, 300, 305, 310 the middle two
    duel = found.duels[0]
    assert duel.clear and duel.better == 1.0 and duel.middle == 201 and found.tied == []
    assert list(found.chances.values()) == [1.0, 0.0, 0.0]
    turned = comparison.compare([s.group for s in found.ranked], better="lower")
    assert turned.ranked[0].label == "lr=0.1" and turned.duels[0].better == 1.0
    head, sure = comparison.verdict(found)
    assert head.startswith("lr=0.01 has the highest final mean return: 302.5, 95 % interval")
    assert sure.startswith("It is clear: lr=0.01 is ahead of all others")
    assert "lr=0.001 comes second with 101.5; the difference is +201 (95 % interval 18" in sure
    assert "With 4 seeds an interval is narrower than it should be" in sure


def test_an_unclear_one() -> None:
    found = compared({1e-3: [0, 100, 50, 80], 1e-2: [10, 130, 60, 90]})
    assert not found.duels[0].clear
    assert "It is not clear" in comparison.verdict(found)[1]
    assert 0.4 < found.chances["lr=0.01"] < 0.9


def test_ahead_of_some() -> None:
    found = compared({1e-3: [90, 100, 110], 1e-2: [91, 101, 111], 1e-1: [1, 2, 3]})
    assert [s.label for s in found.tied] == ["lr=0.001"]
    assert "ahead of the rest, but not clearly of lr=0.001" in comparison.verdict(found)[1]


def test_too_few_seeds() -> None:
    two = compared({1e-3: [1, 2], 1e-2: [100, 101]})
    assert not two.duels[0].clear and "Too few seeds" in comparison.verdict(two)[1]


def test_one_run_each_and_one_setting() -> None:
    found = compared({1e-3: [1], 1e-2: [100]})
    assert found.duels[0].interval is None and found.chances == {}
    head, sure = comparison.verdict(found)
    assert head == "lr=0.01 has the highest final mean return: 100." and "Too few seeds" in sure
    alone = comparison.compare([found.ranked[0].group])
    assert comparison.verdict(alone) == ("One setting, 1 run: final mean return 100.", "")
    assert comparison.verdict(comparison.compare([]))[0] == "No run has a score yet."


def test_a_metric_of_which_less_is_better() -> None:
    found = compared({1e-3: [1] * 3, 1e-2: [2] * 3}, metric="loss/total")
    assert found.lower and found.what == "last loss/total"
    assert found.ranked[0].iqm == pytest.approx(1 / 20)
    assert not comparison.compare(grouped()[0], "loss/total", better="higher").lower


def test_runs_that_did_not_finish() -> None:
    generated.run(Path("outputs/a"), 0, score=5)
    generated.run(Path("outputs/b"), 1, state="failed")
    generated.run(Path("outputs/c"), 0, state="failed", agent__lr=7)
    found = comparison.compare(grouped()[0])
    assert [s.scores for s in found.ranked] == [[5.0]]
    assert [g.label for g in found.left_out] == ["lr=7"]


def test_a_sweep_that_still_runs() -> None:
    generated.run(Path("outputs/a"), 0, state="running", score=50, agent__lr=1)
    generated.run(Path("outputs/b"), 0, state="running", score=40, agent__lr=2)
    found = comparison.compare(grouped()[0])
    assert found.unfinished and found.what == "mean return so far"
    assert found.ranked[0].scores == [50.0]


def without_evaluation(path: Path) -> Path:
    """Its metrics.csv without its last column."""
    lines = (path / "metrics.csv").read_text().splitlines()
    (path / "metrics.csv").write_text("".join(x.rpartition(",")[0] + "\n" for x in lines))
    return path


def test_one_metric_for_all(main: Main) -> None:
    """Training's return of a run without evaluation is not held against others' evaluations."""
    for seed in range(3):
        generated.run(Path(f"outputs/a{seed}"), seed, score=50)
        generated.run(Path(f"outputs/b{seed}"), seed, score=60, agent__lr=7)
    assert comparison.compare(grouped()[0]).named == "final mean return (eval/return_mean)"
    for seed in range(3):
        path = without_evaluation(Path(f"outputs/b{seed}"))
        text = (path / "config.yaml").read_text().replace("every: 10000", "every: null")
        (path / "config.yaml").write_text(text)
    found = comparison.compare(grouped()[0])
    assert found.named == "final training return (train/return)" and found.notes == []
    assert all(s != 50.0 for s in found.ranked[1].scores)  # what training had, not the evaluation
    assert "score: final training return (train/return)" in main("compare", "outputs")[1]
    assert json.loads(main("compare", "outputs", "--json")[1])["metric"] == "train/return"


def test_who_has_no_value_of_it_is_named(main: Main) -> None:
    for seed in range(3):
        generated.run(Path(f"outputs/{seed}"), seed, state="running", score=50)
    generated.run(Path("outputs/3"), 3, state="running", score=9)
    (Path("outputs/3/metrics.csv")).write_text("step,loss/total\n1,2\n")
    found = comparison.compare(grouped()[0])
    assert found.named == "mean return so far (eval/return_mean)"
    assert found.ranked[0].scores == [50.0] * 3
    assert "3: no eval/return_mean, by which all are compared" in main("compare", "outputs")[2]
    # Of two that still run, one was not evaluated yet.
    without_evaluation(Path("outputs/0"))
    found = comparison.compare(grouped()[0])
    assert found.metric == "train/return" and 50.0 not in found.ranked[0].scores


def test_a_search_that_minimizes(main: Main) -> None:
    """Best, chances, heat-maps and parallel coordinates turn with its direction."""
    for path in generated.sweep(Path("s"), {1e-3: 100, 1e-2: 300, 1e-1: 200}):
        text = (path / "config.yaml").read_text()
        size = 64 if "lr: 0.01" in text else 32
        (path / "config.yaml").write_text(text.replace("lr_decay: null", f"lr_decay: {size}"))
    assert comparison.compare(grouped("s")[0]).ranked[0].label == "lr=0.01, lr_decay=64"
    Path("s/search.json").write_text(json.dumps({"direction": "minimize"}))
    found = comparison.compare(grouped("s")[0])
    assert found.lower and found.ranked[0].iqm == 100 and max(found.chances.values()) == 1
    assert next(iter(found.chances)) == "lr=0.001, lr_decay=32" and found.duels[0].better == 1
    head = comparison.verdict(found)[0]
    assert head.startswith("lr=0.001, lr_decay=32 has the lowest final mean return: 100")
    keys = groups.axes(grouped("s")[0])
    (by_pair,) = heat.by_pairs(found, keys)
    by_seed = heat.by_seed(found)
    dark = f"background:rgb{heat.STOPS[-1]}".replace(" ", "")
    shades = {c.text: c.style for _, cells in by_pair.rows for c in cells if c}
    assert shades["100"].startswith(dark) and not shades["300"].startswith(dark)
    assert by_seed is not None and str(by_seed.rows[0][1][0]).count(dark) == 1
    assert "best: lr=0.001, lr_decay=32" in parallel.parallel(found, keys, found.ranked, True)
    # What was asked for comes first; another metric is no score.
    assert not comparison.compare(grouped("s")[0], better="higher").lower
    assert not comparison.compare(grouped("s")[0], "train/length").lower
    assert main("compare", "s")[1].startswith("lr=0.001, lr_decay=32 has the lowest")
    Path("s/search.json").write_text("{")
    code, _, err = main("compare", "s")
    assert code == 0 and "search.json: can't be read, so a higher score counts as better" in err


def test_searches_that_want_opposites() -> None:
    for name, direction in (("outputs/a", "minimize"), ("outputs/b", "maximize")):
        generated.sweep(Path(name), {1e-3 if direction == "minimize" else 1e-2: 100}, seeds=2)
        Path(name, "search.json").write_text(json.dumps({"direction": direction}))
    found = comparison.compare(grouped()[0])
    assert not found.lower and "others maximize it" in found.notes[0]


def test_no_chances_of_too_few_seeds(main: Main) -> None:
    """As for a clear winner: three seeds at least."""
    two = compared({1e-3: [1, 2], 1e-2: [100, 101]})
    assert two.chances == {}
    assert main("report", "outputs")[0] == 0
    text = Path("outputs/report.html").read_text()
    assert "Chance of being the best" not in text and "Too few seeds to be sure" in text
    for lr, score in ((1e-2, 99), (1e-1, 98), (1e-1, 97), (1e-1, 96)):
        seed = len(list(Path("outputs").glob("*_*")))
        generated.run(Path(f"outputs/x_{seed}"), seed, 20, score=score, agent__lr=lr)
    found = comparison.compare(grouped()[0])
    assert set(found.chances) == {"lr=0.01", "lr=0.1"} and found.uncounted == 1
    assert main("report", "outputs")[0] == 0
    text = Path("outputs/report.html").read_text()
    assert "Settings with fewer than 3 seeds are not counted." in text


def test_tasks_are_strata() -> None:
    """Two settings on two tasks: scores of each task to 0..1 over all runs there."""
    for env, scale in (("A", 1), ("B", 1000)):
        for lr, score in ((1, 10), (2, 20)):
            for seed in range(3):
                path = Path(f"outputs/{env}{lr}{seed}")
                generated.run(path, seed, score=scale * (score + seed), env__id=env, agent__lr=lr)
    found, _ = groups.group(reading.find(["outputs"]), "env.id")
    assert [g.label for g in found] == ["lr=1", "lr=2"] and len(found[0].runs) == 6
    result = comparison.compare(found, strata="env.id")
    assert result.ranked[0].strata == [[10 / 12, 11 / 12, 1.0]] * 2
    assert result.ranked[1].strata == [[0.0, 1 / 12, 2 / 12]] * 2


def test_curves_of_runs_of_unequal_length() -> None:
    for seed, rows in enumerate((50, 50, 100)):
        generated.run(Path(f"outputs/{seed}"), seed, rows=rows, total_steps=1, score=100)
    runs = grouped()[0][0].runs
    steps = curves.grid(runs, "train/return")
    assert steps is not None and (steps[0], steps[-1]) == (1000, 100_000)
    found = curves.curve(runs, "train/return", steps)
    assert found is not None and found.runs.shape == (3, len(steps))
    assert np.isfinite(found.middle).all() and (found.low <= found.high).all()
    assert (found.low[steps > 50_000] == found.high[steps > 50_000]).all()  # one run is left
    assert curves.grid(runs, "train/nothing") is None
