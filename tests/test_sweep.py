"""Sweeps: jobs that die alone, a table that names them, and resume that does what is missing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import generated
from conftest import FAST
from rlexp.config.argv import fixed_keys
from rlexp.run_dir import RunDir
from rlexp.sweep import finish, jobs
from test_launchers import installed

Main = Callable[..., tuple[int, str, str]]
SHORT = [*FAST, "total_steps=6000", "agent.learning_starts=500"]
RUN = [sys.executable, "-m", "rlexp.cli"]


def test_two_of_six_are_killed_and_come_back() -> None:
    sweep = Path("sweep")
    process = subprocess.Popen(
        [*RUN, "train", "-m", *SHORT, "seed=0,1,2", "agent.lr=1e-3,1e-4", "run_dir=sweep",
         "hydra.launcher.n_jobs=2"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    victims = ["001_agent.lr=0.0001,seed=0", "002_agent.lr=0.001,seed=1"]
    for name in victims:
        run = RunDir(sweep / name)
        while not (run.checkpoints / "last").exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(run.read_status()["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 1
    table = err[err.index("rlexp: sweep sweep") :]
    assert "4 of 6 runs finished" in table
    failed = [line for line in table.splitlines() if line.startswith("  failed")]
    assert len(failed) == 2
    for name, line in zip(victims, failed, strict=True):
        assert name in line and "killed by SIGKILL" in line
        assert RunDir(sweep / name).read_status()["state"] == "failed"
    before = {run.name: (run / "status.json").read_text() for run in sweep.glob("0*")}
    done = subprocess.run([*RUN, "resume", "sweep"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 of 6 runs are finished, 2 to do" in done.stderr
    assert "6 of 6 runs finished" in done.stderr
    begun = [line for line in done.stderr.splitlines() if "begins" in line]
    assert len(begun) == 2 and all(any(v in line for line in begun) for v in victims)
    after = {run.name: (run / "status.json").read_text() for run in sweep.glob("0*")}
    assert {name for name in after if after[name] != before[name]} == set(victims)
    assert (sweep / "sweep.png").is_file()


def test_a_run_that_an_orphan_still_saves_is_waited_for() -> None:
    """Its sweep was killed, it was not: the others go on, nothing of it is written over."""
    run = RunDir(Path("s/000_seed=0"))
    run.path.mkdir(parents=True)
    orphan = run.lock()
    words = [*RUN, "train", "-m", *SHORT, "seed=0,1", "run_dir=s", "hydra.launcher.n_jobs=2"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while RunDir(Path("s/001_seed=1")).read_status()["state"] != "finished":
        assert process.poll() is None
        time.sleep(0.05)
    assert not run.status.exists()
    second = subprocess.run([*RUN, "resume", "s"], capture_output=True, text=True)
    assert second.returncode == 2 and "sweep s is in use by process" in second.stderr.replace(
        str(Path("s").absolute()), "s"
    )
    shutil.rmtree(run.path)
    orphan.close()
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0 and "2 of 2 runs finished" in err, err
    assert err.count("#0 is still in use by another process") == 1


@pytest.mark.parametrize("launcher", ["local", "basic", "submitit_local", "ray"])
def test_a_run_or_a_search_is_no_place_for_a_sweep(main: Main, launcher: str) -> None:
    """Whatever launches its runs; nor is a directory that another process has."""
    package = {"submitit_local": "hydra-submitit-launcher", "ray": "hydra-ray-launcher"}
    if launcher in package and not installed(package[launcher]):
        pytest.skip(f"{package[launcher]} is not installed")
    small = ["env=bandit", "agent=epsilon_greedy", "total_steps=100", "env.horizon=20", *FAST]
    sweep = ["train", "-m", f"hydra/launcher={launcher}", *small, "seed=0,1"]
    generated.run(Path("r"), 0)
    before = sorted(p.name for p in Path("r").iterdir())
    code, _, err = main(*sweep, "run_dir=r")
    assert code == 2 and "r holds a run: give the sweep another run_dir" in err
    assert sorted(p.name for p in Path("r").iterdir()) == before
    Path("q").mkdir()
    Path("q/search.json").write_text("{}")
    code, _, err = main(*sweep, "run_dir=q")
    assert code == 2 and "q holds a search: give the sweep another run_dir" in err
    assert [p.name for p in Path("q").iterdir()] == ["search.json"]
    Path("s").mkdir()
    script = (
        "from pathlib import Path; from rlexp.sweep.lock import held\n"
        "with held(Path('s')): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        code, _, err = main(*sweep, "run_dir=s")
        assert code == 2 and f"s is in use by process {other.pid}" in err and err.count("\n") == 1
        assert [p.name for p in Path("s").iterdir()] == [".lock"]
        other.communicate("\n")


def test_a_run_of_a_sweep_is_a_path_though_its_name_holds_equal_signs(main: Main) -> None:
    assert main("train", "-m", *FAST, "total_steps=50", "seed=0,1", "run_dir=sweep")[0] == 0
    run = "sweep/000_seed=0"
    for command in (("eval", run, "episodes=2", "gif=false"), ("resume", run), ("why", "seed", run),
                    ("runs", run), ("compare", run, "sweep/001_seed=1"),
                    ("fork", f"{run}@50", "total_steps=100")):  # fmt: skip
        code, _, err = main(*command)
        assert code == 0, err
    code, _, err = main("eval", "sweep/000_seed=7")
    assert code == 2 and "sweep/000_seed=7" in err


def test_a_job_that_can_not_be_built_is_named(main: Main) -> None:
    code, _, err = main("train", "-m", *FAST, "total_steps=50", "buffer.capacity=100,1e13",
                        "run_dir=sweep")  # fmt: skip
    assert code == 1
    assert "1 of 2 runs finished" in err and "at most buffer.capacity=" in err


def test_mistakes_are_told_before_any_job_begins(main: Main, own_folder: Path) -> None:
    for overrides, message in (
        (["agent=dqn,ddqm"], "Did you mean 'ddqn'"),
        (["agent.lrr=1,2"], "Did you mean 'agent.lr'"),
        (["agent.lr=1e-3,abc"], "'abc' is not a number"),
        (["agent.lr=1e-3,-1"], "agent.lr=-1.0 must be greater than 0"),
        (["seed=0,1", "hydra.launcher.n_jobs=0"], "n_jobs=0 must be at least 1"),
    ):
        code, _, err = main("train", "-m", *FAST, *overrides, "run_dir=sweep")
        assert code == 2 and message in err
        assert list(own_folder.iterdir()) == []


def test_a_preset_may_be_a_sweep(main: Main, own_folder: Path) -> None:
    (own_folder / "conf/experiment").mkdir(parents=True)
    (own_folder / "conf/experiment/two.yaml").write_text(
        "# @package _global_\n# Two seeds.\ndefaults:\n  - cartpole_dqn_fast\n"
        "total_steps: 50\nevaluation:\n  every: null\n"
        "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 0,1\n"
    )
    code, _, err = main("train", "experiment=two", "run_dir=sweep")
    assert code == 0, err
    assert "2 of 2 runs finished" in err
    names = sorted(p.name for p in Path("sweep").glob("0*"))
    assert names == ["000_seed=0", "001_seed=1"]
    assert "n_step: 5" in Path("sweep/000_seed=0/config.yaml").read_text()


def test_the_bandit_preset_compares_two_agents(main: Main) -> None:
    code, _, err = main("train", "experiment=bandit", "env.num_envs=50", "total_steps=2500",
                        "log_every=50", "env.horizon=50", "run_dir=sweep")  # fmt: skip
    assert code == 0, err
    assert "000_agent=epsilon_greedy" in err and "001_agent=ucb1" in err
    assert Path("sweep/bandit.png").is_file()


def test_a_sweep_ends_in_the_figure_it_names(main: Main, own_folder: Path) -> None:
    (own_folder / "rlexp_plugins.py").write_text(
        "def figure(folder, runs):\n"
        "    path = folder / 'mine.txt'\n"
        "    path.write_text(' '.join(run.path.name for run in runs))\n"
        "    return path\n"
        "def broken(folder, runs):\n    raise ValueError('no ink')\n"
    )
    short = [*FAST, "total_steps=20", "seed=0,1"]
    code, _, err = main("train", "-m", *short, "run_dir=a", "sweep_figure=rlexp_plugins:figure")
    assert code == 0, err
    assert Path("a/mine.txt").read_text() == "000_seed=0 001_seed=1"
    code, _, err = main("train", "-m", *short, "run_dir=b", "sweep_figure=rlexp_plugins:broken")
    assert code == 0 and "no ink" in err and "the runs are whole" in err


def test_stopping_a_sweep_stops_and_saves_its_runs() -> None:
    process = subprocess.Popen(
        [*RUN, "train", "-m", *SHORT, "total_steps=1000000", "seed=0,1,2", "run_dir=sweep"],
        stderr=subprocess.DEVNULL,
    )
    first = RunDir(Path("sweep/000_seed=0"))
    while not first.metrics.exists() or first.read_status()["state"] != "running":
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) != 0
    status = first.read_status()
    assert status["state"] == "interrupted" and status["steps"] > 0
    assert first.full_checkpoints()[-1].name == f"step_{status['steps']:09d}"
    with pytest.raises(ProcessLookupError):
        os.kill(status["pid"], 0)


def test_sweeps_do_not_nest(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlexp.errors import RunStopped

    monkeypatch.setenv(jobs.SWEEP_CHILD, "1")
    with pytest.raises(RunStopped, match="a sweep of its own"):
        jobs.run_jobs(Path("sweep"), [jobs.Job(0, [], "x")], 1)


def test_what_all_runs_share_is_in_no_name(main: Main) -> None:
    """Also what was taken out: ~logger.console stands in no directory's name."""
    fast = [arg for arg in FAST if not arg.startswith("logger")]
    words = ["~logger.console", "~logger.tensorboard", *fast, "total_steps=20"]
    again = ["train", "-m", "hydra/launcher=basic", *words, "seed=0,1", "run_dir=sweep"]
    assert main(*again)[0] == 0
    assert sorted(p.name for p in Path("sweep").glob("0*")) == ["000_seed=0", "001_seed=1"]
    assert not (Path("sweep/000_seed=0/tb")).exists()
    assert fixed_keys(["-m", "~logger.csv", "~env=x", "+a=1", "b=1,2", "hydra.x=1"]) == [
        "logger.csv", "env", "a",
    ]  # fmt: skip


def test_other_launchers_end_in_a_table_too(main: Main) -> None:
    code, _, err = main("train", "-m", "hydra/launcher=basic", *FAST, "total_steps=20", "seed=0,1",
                        "run_dir=sweep")  # fmt: skip
    assert code == 0 and "2 of 2 runs finished" in err
    assert [end.state for end in finish.outcomes(Path("sweep"))] == ["finished", "finished"]
    shutil.rmtree("sweep/001_seed=1")
    code, _, err = main("resume", "sweep")
    assert code == 0 and "1 of 2 runs are finished, 1 to do" in err
