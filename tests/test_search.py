"""hydra/sweeper=optuna: proposes, prunes, survives, and says what was best."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlexp.clock import Clock
from rlexp.config.argv import is_swept
from rlexp.run_dir import RunDir
from rlexp.sweep import search

Main = Callable[..., tuple[int, str, str]]
# A thousand pulls in 20 simulations: a trial takes a blink where it needs no process of its own.
TRIAL = [
    *("env=bandit", "agent=epsilon_greedy", "env.num_envs=20", "env.horizon=20", "logger=csv"),
    *("total_steps=800", "evaluation.every=200", "evaluation.gif=false", "device=cpu"),
]
SEARCH = ["train", "-m", "hydra/sweeper=optuna", "hydra/launcher=basic", *TRIAL]


@pytest.fixture
def optuna() -> Any:
    return pytest.importorskip("optuna", reason="the extra rlexp[optuna] is not installed")


def test_it_finds_what_is_best_and_says_how_to_do_it_again(optuna: Any, main: Main) -> None:
    code, _, err = main(*SEARCH, "agent.epsilon=interval(0,1)", "agent.ties=first,random",
                        "hydra.sweeper.n_trials=3", "run_dir=s")  # fmt: skip
    assert code == 0, err
    assert "best of 3 trials (" in err
    best = json.loads(Path("s/best.json").read_text())
    assert RunDir(Path("s") / best["run"]).read_status()["score"] == best["score"]
    scores = [RunDir(p.parent).read_status().get("score") for p in Path("s").glob("0*/status.json")]
    assert best["score"] == max(s for s in scores if s is not None)
    command = shlex.split(best["command"])
    assert command[:2] == ["rlexp", "train"] and err.rstrip().endswith(best["command"])
    assert main(*command[1:], "run_dir=again")[0] == 0
    assert RunDir(Path("again")).read_status()["score"] == best["score"]


def test_spaces(optuna: Any, main: Main) -> None:
    main(*SEARCH, "agent.epsilon=tag(log,interval(1e-3,1))", "env.horizon=interval(5,20)",
         "env.num_envs=range(10,31,10)", "agent.ties=first,random", "seed=3",
         "hydra.sweeper.n_trials=1", "run_dir=s")  # fmt: skip
    kinds = optuna.distributions
    (trial,) = search.study(Path("s"), search.read(Path("s"))).get_trials()
    assert trial.distributions == {
        "agent.epsilon": kinds.FloatDistribution(1e-3, 1, log=True),
        "env.horizon": kinds.IntDistribution(5, 20),  # as whole as the key's own value
        "env.num_envs": kinds.IntDistribution(10, 30, step=10),
        "agent.ties": kinds.CategoricalDistribution(["first", "random"]),
    }
    (run,) = Path("s").glob("000*")
    assert (
        f"agent.epsilon={trial.params['agent.epsilon']!r}" in (run / "overrides.yaml").read_text()
    )
    assert "seed" not in run.name  # what is fixed stays out of names


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_going_on_proposes_what_it_would_have(optuna: Any, sampler: str, tmp_path: Path) -> None:
    asked = search.Search("maximize", "none", 3, 0, [], {}, [])
    space = {"x": optuna.distributions.FloatDistribution(-1, 1)}
    found = {}
    for name, parts in (("whole", (8,)), ("parts", (2, 5, 1))):
        (tmp_path / name).mkdir()
        for count in parts:
            study = search.study(tmp_path / name, asked)  # as a new process has it
            for _ in range(count):
                study.sampler = search.sampler(sampler, 0, len(study.get_trials()), 3)
                trial = study.ask(space)
                study.tell(trial, -(trial.params["x"] ** 2))
        found[name] = [trial.params["x"] for trial in study.get_trials()]
    assert found["parts"] == found["whole"] and len(set(found["whole"])) == 8


def test_more_trials(optuna: Any, main: Main) -> None:
    ours = [*SEARCH, "agent.epsilon=interval(0,1)", "hydra.sweeper.pruner=none", "run_dir=s"]
    assert main(*ours, "hydra.sweeper.n_trials=1")[0] == 0
    code, _, err = main("resume", "s", "hydra.sweeper.n_trials=2")
    assert code == 0 and "best of 2 trials (2 finished)" in err
    before = {p: p.stat().st_mtime_ns for p in Path("s").glob("0*/status.json")}
    assert main("resume", "s", "hydra.sweeper.n_trials=2")[0] == 0  # nothing is left to do
    assert {p: p.stat().st_mtime_ns for p in before} == before and len(before) == 2


def test_a_trial_that_was_cut_off_is_done_again(optuna: Any, main: Main) -> None:
    ours = [*SEARCH, "agent.epsilon=interval(0,1)", "hydra.sweeper.n_trials=1"]
    assert main(*ours, "run_dir=s")[0] == 0
    folder = Path("s")
    found = search.study(folder, search.read(folder))
    found.ask({"agent.epsilon": optuna.distributions.FloatDistribution(0, 1)})
    with open(folder / search.JOURNAL, "a") as file:
        file.write('{"op_code": 4, "worker')  # killed while it wrote
    cut_off = found.get_trials()[1].params["agent.epsilon"]
    half = folder / f"001_agent.epsilon={cut_off!r}"
    half.mkdir()
    for name in ("config.yaml", "overrides.yaml", "system.json"):
        shutil.copy(next(folder.glob("000_*")) / name, half)
    RunDir(half).write_status("running", steps=0)  # killed before its first checkpoint
    assert main("resume", "s", "hydra.sweeper.n_trials=2")[0] == 0
    (run,) = folder.glob("001_*")
    assert f"agent.epsilon={cut_off!r}" in (run / "overrides.yaml").read_text()
    states = [t.state.name for t in search.study(folder, search.read(folder)).get_trials()]
    assert states == ["COMPLETE"] * 2


def test_a_trial_of_which_half_is_known_is_given_up(optuna: Any, main: Main) -> None:
    ours = [*SEARCH, "agent.epsilon=interval(0,1)", "hydra.sweeper.n_trials=1"]
    assert main(*ours, "run_dir=s")[0] == 0
    folder = Path("s")
    search.study(folder, search.read(folder)).ask()  # killed before its values were written
    assert main("resume", "s", "hydra.sweeper.n_trials=3")[0] == 0
    states = [t.state.name for t in search.study(folder, search.read(folder)).get_trials()]
    assert states == ["COMPLETE", "FAIL", "COMPLETE"] and not list(folder.glob("001*"))
    code, _, err = main("resume", "s", "hydra.sweeper.n_trials=x")
    assert code == 2 and len(err.strip().splitlines()) == 1, err


def test_a_sweeps_directory_is_no_place_for_a_search(optuna: Any, main: Main) -> None:
    assert main("train", "-m", *TRIAL, "agent.epsilon=0,1", "run_dir=s")[0] == 0
    before = sorted(p.name for p in Path("s").iterdir())
    code, _, err = main(*SEARCH, "agent.epsilon=interval(0,1)", "run_dir=s")
    assert code == 2 and "s holds a sweep: give the search another run_dir" in err
    assert sorted(p.name for p in Path("s").iterdir()) == before


def test_what_is_taken_out_stays_out(optuna: Any, main: Main) -> None:
    code, _, err = main(*SEARCH[:4], *[a for a in TRIAL if not a.startswith("logger")],
                        "~logger.console", "~logger.tensorboard", "agent.epsilon=interval(0,1)",
                        "hydra.sweeper.n_trials=1", "run_dir=s")  # fmt: skip
    assert code == 0, err
    (trial,) = Path("s").glob("000*")
    assert "logger" not in trial.name and not (trial / "tb").exists()


def test_failed_trials_do_not_stop_it(optuna: Any, main: Main) -> None:
    code, _, err = main(
        "train", "-m", "hydra/sweeper=optuna", "hydra/launcher=basic", "logger=csv",
        "buffer.capacity=100,10000000000000", "total_steps=200", "evaluation.every=null",
        "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=4", "run_dir=s",
    )  # fmt: skip
    assert code == 0, err
    states = [t.state.name for t in search.study(Path("s"), search.read(Path("s"))).get_trials()]
    assert set(states) == {"COMPLETE", "FAIL"} and len(states) == 4
    assert "failed; the search goes on" in err


def test_a_hopeless_trial_is_pruned(optuna: Any, main: Main, monkeypatch: Any) -> None:
    """Six trials that did well, then one that can't: always a random arm."""
    ours = [*SEARCH, "hydra.sweeper.startup_trials=3", "hydra.sweeper.warmup_evaluations=0",
            "run_dir=s"]  # fmt: skip
    assert main(*ours, "agent.epsilon=interval(0,1)", "hydra.sweeper.n_trials=1")[0] == 0
    folder = Path("s")
    found = search.study(folder, search.read(folder))
    space = {"agent.epsilon": optuna.distributions.FloatDistribution(0, 1)}
    for _ in range(5):
        trial = found.ask(space)
        for count in (1, 2, 3):
            trial.report(1e6, count)
        found.tell(trial, 1e6)
    code, _, err = main("resume", "s", "hydra.sweeper.n_trials=7")
    assert code == 0
    (run,) = folder.glob("006_*")
    status = RunDir(run).read_status()
    assert status["state"] == "pruned" and status["steps"] == 200
    assert "pruned after evaluation 1 with " in status["error"] and status["score"] > 0
    assert "1 pruned" in err
    trial = search.study(folder, search.read(folder)).get_trials()[6]
    assert trial.state.name == "PRUNED" and trial.intermediate_values == {1: status["score"]}


def test_other_runs_report_nothing(tmp_path: Path) -> None:
    assert search.reporter(tmp_path / "000_x", 100) is None
    search.Search("maximize", "none", 5, 0, [], {}, []).write(tmp_path)
    assert search.reporter(tmp_path / "000_x", 100) is None  # a search that prunes nothing
    search.Search("maximize", "median", 5, 0, [], {}, []).write(tmp_path)
    assert search.reporter(tmp_path / "named", 100) is None
    assert search.reporter(tmp_path / "000_x", None) is None


def test_evaluations_are_counted_not_steps(optuna: Any, tmp_path: Path) -> None:
    search.Search("maximize", "median", 5, 0, [], {}, []).write(tmp_path)
    study = search.study(tmp_path, search.read(tmp_path))
    study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    run = RunDir(tmp_path / "000_x")
    run.evaluations.mkdir(parents=True)
    report = search.reporter(run.path, 1000)
    assert report is not None
    for before, now, value in ((992, 1008, 1.5), (1008, 1024, 9.0), (1992, 2008, 2.5)):
        text = json.dumps({"greedy": {"return_mean": value}})
        (run.evaluations / f"step_{now:09d}.json").write_text(text)
        report(Clock(10_000, steps=now, previous_steps=before))
    (trial,) = search.study(tmp_path, search.read(tmp_path)).get_trials()
    assert trial.intermediate_values == {1: 1.5, 2: 2.5}


MISTAKES = [
    (["agent.epsilon=interval(0,1)", "hydra.sweeper.sampler=tpee"], "Did you mean 'tpe'"),
    (["agent.epsilon=interval(0,1)", "hydra.sweeper.pruner=mean"], "hydra.sweeper.pruner=mean"),
    (["agent.epsilon=interval(0,1)", "hydra.sweeper.n_trials=0"], "must be at least 1"),
    (["agent.epsilon=interval(0,1)", "hydra.sweeper.n_trail=3"], "hydra.sweeper.n_trial"),
    (["agent.epsilon=0.1"], "has nothing to search"),
    (["agent.epsilon=interval(0,2)"], "agent.epsilon=2.0 must be at most 1"),
    (["agent.epsilom=interval(0,1)"], "Did you mean 'agent.epsilon'"),
    (["agent.epsilon=tag(log,interval(0,1))"], "agent.epsilon=tag(log,interval(0,1)):"),
]


def test_a_directory_whose_name_looks_like_a_sweep(tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    search.Search("maximize", "none", 1, 1, [], {}, ["env=cartpole"]).write(folder)
    assert not is_swept(search.resume_arguments(folder, [])[-1])


@pytest.mark.parametrize(("overrides", "message"), MISTAKES, ids=lambda v: str(v)[-40:])
def test_mistakes_are_told_before_anything_is_made(
    optuna: Any, main: Main, own_folder: Path, overrides: list[str], message: str
) -> None:
    code, out, err = main(*SEARCH, *overrides, "run_dir=s")
    assert code == 2 and message in err and err.count("\n") == 1 and out == ""
    assert list(own_folder.iterdir()) == []


def test_another_search_in_its_directory(optuna: Any, main: Main) -> None:
    ours = [*SEARCH, "agent.epsilon=interval(0,1)", "hydra.sweeper.n_trials=1", "run_dir=s"]
    assert main(*ours)[0] == 0
    before = {path: path.read_bytes() for path in Path("s").rglob("*") if path.is_file()}
    for change, told in (
        ("agent.epsilon=interval(0,0.5)", "agent.epsilon is interval(0,1) there, interval(0,0.5)"),
        ("seed=7", "seed is absent there, 7 here"),
        ("env.horizon=10", "env.horizon is 20 there, 10 here"),
        ("hydra.sweeper.pruner=none", "hydra.sweeper.pruner is median there, none here"),
    ):
        code, _, err = main(*ours, change)
        assert code == 2 and "s holds another search" in err and "rlexp resume" in err
        assert told in err and err.count("\n") == 1, err
    assert {p: p.read_bytes() for p in before} == before
    code, _, err = main("resume", "s", "seed=1")
    assert code == 2 and "seed=1: a search goes on with its own overrides" in err


def test_a_search_whose_preset_was_edited(optuna: Any, main: Main, own_folder: Path) -> None:
    (own_folder / "conf/agent").mkdir(parents=True)
    preset = own_folder / "conf/agent/mine.yaml"
    text = "# Mine.\ndefaults:\n  - epsilon_greedy\n  - _self_\nties: first\n"
    preset.write_text(text)
    ours = [*SEARCH, "agent=mine", "agent.epsilon=interval(0,1)", "run_dir=s"]
    assert main(*ours, "hydra.sweeper.n_trials=1")[0] == 0
    preset.write_text(text.replace("first", "random"))
    before = {path: path.read_bytes() for path in Path("s").rglob("*") if path.is_file()}
    code, _, err = main(*ours, "hydra.sweeper.n_trials=2")
    assert code == 2 and "agent.ties is first there, random here" in err, err
    assert {p: p.read_bytes() for p in Path("s").rglob("*") if p.is_file()} == before


def test_trials_of_one_directory(optuna: Any, main: Main, own_folder: Path) -> None:
    code, _, err = main(*SEARCH, "agent.epsilon=interval(0,1)", "hydra.sweep.subdir=x", "run_dir=s")
    assert code == 2 and "would share the directory x" in err and list(own_folder.iterdir()) == []


def test_without_optuna(main: Main, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, err = main(*SEARCH, "agent.epsilon=interval(0,1)", "run_dir=s")
    assert code == 2 and "pip install 'rlexp[optuna]'" in err and err.count("\n") == 1
    assert list(own_folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_trials_killed_and_resumed(optuna: Any) -> None:
    """Processes of their own, kill -9 in the middle; no trial is lost or done twice."""
    rlexp = [sys.executable, "-m", "rlexp.cli"]
    words = [
        *("train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=20", "run_dir=s"),
        *("experiment=cartpole_ppo", "agent.lr=tag(log,interval(1e-5,1e-1))", "logger=csv"),
        *("total_steps=6000", "evaluation.every=1000", "evaluation.gif=false", "device=cpu"),
    ]
    process = subprocess.Popen([*rlexp, *words], stderr=subprocess.DEVNULL)
    folder = Path("s")
    while len(list(folder.glob("0*/checkpoints/last"))) < 8:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run([*rlexp, "resume", "s"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trials = search.study(folder, search.read(folder)).get_trials()
    states = [trial.state.name for trial in trials]
    print(states, done.stderr[-400:])
    assert len(trials) == 20 and set(states) == {"COMPLETE", "PRUNED"}
    assert sorted(int(p.name[:3]) for p in folder.glob("0*")) == list(range(20))
    best = json.loads((folder / "best.json").read_text())
    command = shlex.split(best["command"].removeprefix("RLEXP_CORES=1 "))
    subprocess.run([*rlexp, *command[1:], "run_dir=again"], check=True, capture_output=True)
    assert RunDir(Path("again")).read_status()["score"] == best["score"]
