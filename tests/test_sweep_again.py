"""A directory of runs that is named a second time: only the same runs are resumed there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import FAST
from rlexp.run_dir import RunDir
from rlexp.sweep import finish

Main = Callable[..., tuple[int, str, str]]
RUN = [sys.executable, "-m", "rlexp.cli"]
# Runs of a blink: a hundred pulls of an arm.
BANDIT = [
    *("env=bandit", "agent=epsilon_greedy", "env.num_envs=5", "env.horizon=20"),
    *(*FAST, "total_steps=100"),
]


def contents(folder: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize("launcher", ["local", "basic"])
def test_a_sweep_of_another_setting_is_refused_and_the_same_goes_on(
    main: Main, launcher: str
) -> None:
    sweep = ["train", "-m", f"hydra/launcher={launcher}", *BANDIT, "seed=0,1", "run_dir=sw"]
    code, _, err = main(*sweep, "agent.epsilon=0.1")
    assert code == 0, err
    before = contents("sw")
    code, _, err = main(*sweep, "agent.epsilon=0.2")
    assert code == 2 and err.count("\n") == 1
    assert "sw/000_seed=0 holds another run: agent.epsilon is 0.1 there, 0.2 here" in err
    assert "rlexp resume sw" in err
    code, _, err = main(*sweep, "agent.epsilon=0.1", "total_steps=60")
    assert code == 2 and "total_steps is 100 there, 60 here" in err
    code, _, err = main(*[*sweep[:-2], "seed=1,0", "run_dir=sw"], "agent.epsilon=0.1")
    assert code == 2 and "its job #0 is 000_seed=0, not 000_seed=1" in err
    assert contents("sw") == before
    code, _, err = main(*sweep, "agent.epsilon=0.1")
    assert code == 0 and "2 of 2 runs finished" in err and "begins" not in err
    assert {p: t for p, t in contents("sw").items() if p.parent != Path("sw")} == {
        p: t for p, t in before.items() if p.parent != Path("sw")
    }
    code, _, err = main(*[*sweep[:-2], "seed=0,1,2", "run_dir=sw"], "agent.epsilon=0.1")
    assert code == 0 and "3 of 3 runs finished" in err
    assert (Path("sw/000_seed=0/status.json")).read_bytes() in before.values()


def test_a_raised_limit_goes_on(main: Main) -> None:
    sweep = ["train", "-m", "hydra/launcher=basic", *BANDIT, "seed=0,1", "run_dir=sw"]
    assert main(*sweep)[0] == 0
    code, _, err = main(*sweep, "total_steps=200")
    assert code == 0, err
    for run in map(RunDir, Path("sw").glob("0*")):
        assert run.read_status()["steps"] == 200
        assert "total_steps: 200" in run.config.read_text()


@pytest.mark.parametrize("subdir", ["x", "..", ".", "logs", "/x", "../${hydra.job.num}", "''"])
@pytest.mark.parametrize("launcher", ["local", "basic"])
def test_every_job_has_a_directory_of_its_own(
    main: Main, own_folder: Path, launcher: str, subdir: str
) -> None:
    sweep = ["train", "-m", f"hydra/launcher={launcher}", *BANDIT, "seed=0,1", "run_dir=sw"]
    code, _, err = main(*sweep, f"hydra.sweep.subdir={subdir}")
    assert code == 2 and "hydra.sweep.subdir" in err and err.count("\n") == 1
    assert list(own_folder.iterdir()) == []


def test_names_of_jobs_may_be_ones_own(main: Main) -> None:
    sweep = ["train", "-m", "hydra/launcher=basic", *BANDIT, "seed=0,1", "run_dir=sw"]
    code, _, err = main(*sweep, "hydra.sweep.subdir=seed-${seed}")
    assert code == 0 and (Path("sw/seed-1/status.json")).is_file(), err


def test_a_preset_that_was_edited_between_is_noticed(main: Main, own_folder: Path) -> None:
    (own_folder / "conf/experiment").mkdir(parents=True)
    preset = own_folder / "conf/experiment/mine.yaml"
    text = "# @package _global_\n# Mine.\ndefaults:\n  - override /env: bandit\n"
    text += "  - override /agent: epsilon_greedy\nagent:\n  epsilon: 0.1\n"
    preset.write_text(text)
    small = [arg for arg in BANDIT if not arg.startswith(("env=", "agent="))]
    sweep = ["train", "-m", "experiment=mine", *small, "seed=0,1", "run_dir=sw"]
    code, _, err = main(*sweep, "hydra/launcher=basic")
    assert code == 0, err
    preset.write_text(text.replace("0.1", "0.2"))
    before = contents("sw")
    code, _, err = main(*sweep)
    assert code == 2 and "agent.epsilon is 0.1 there, 0.2 here" in err
    RunDir(Path("sw/001_seed=1")).write_status("failed", error="power cut")
    code, _, err = main("resume", "sw")
    assert code == 2 and "sw/001_seed=1 holds another run: agent.epsilon is 0.1 there" in err
    assert "was a YAML file edited?" in err and err.count("\n") == 1
    del before[Path("sw/001_seed=1/status.json")]
    after = contents("sw")
    assert {path: after[path] for path in before} == before


def test_what_never_began_may_be_another(main: Main) -> None:
    """Its manifest is stale: nothing there could be taken for this sweep's results."""
    sweep = ["train", "-m", *BANDIT, "hydra.launcher.n_jobs=2", "run_dir=sw"]
    Path("sw").mkdir()
    Path("sw/sweep.json").write_text(
        '{"jobs": [{"number": 0, "overrides": ["seed=8"], "name": "000_seed=8"}]}'
    )
    code, _, err = main(*sweep, "seed=0,1")
    assert code == 0 and "2 of 2 runs finished" in err, err
    assert [job.job.name for job in finish.outcomes(Path("sw"))] == ["000_seed=0", "001_seed=1"]


def test_a_process_that_fails_after_its_run_is_not_finished(own_folder: Path) -> None:
    plugin = own_folder / "rlexp_plugins.py"
    plugin.write_text(
        "import atexit, os\nif os.environ.get('RLEXP_SWEEP_CHILD'):\n"
        "    atexit.register(os._exit, 3)\n"
    )
    sweep = [*RUN, "train", "-m", *BANDIT, "seed=0", "run_dir=sw"]
    done = subprocess.run(sweep, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "0 of 1 runs finished" in done.stderr, done.stderr
    status = RunDir(Path("sw/000")).read_status()
    assert status["state"] == "failed" and status["steps"] == 100
    plugin.unlink()
    done = subprocess.run([*RUN, "resume", "sw"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "1 of 1 runs finished" in done.stderr, done.stderr
    assert RunDir(Path("sw/000")).read_status()["score"] == status["score"]


def test_resume_auto_resumes_the_same_run_only(main: Main) -> None:
    command = ["train", *BANDIT, "run_dir=run", "resume=auto"]
    assert main(*command)[0] == 0
    before = contents("run")
    for other, told in (
        ("agent.epsilon=0.3", "agent.epsilon is 0.1 there, 0.3 here"),
        ("total_steps=50", "total_steps is 100 there, 50 here"),
        ("evaluation.episodes=3", "evaluation.episodes is 10 there, 3 here"),
    ):
        code, _, err = main(*command, other)
        assert code == 2 and err.count("\n") == 1 and f"run holds another run: {told}" in err
        assert f"or change the run: rlexp resume run {other}" in err
        assert contents("run") == before
    code, _, err = main(*command, "checkpoint.keep=3", "total_steps=200")
    assert code == 0 and RunDir(Path("run")).read_status()["steps"] == 200, err
    assert main("resume", "run", "agent.epsilon=0.3", "total_steps=300")[0] == 0


def test_a_job_killed_before_its_directory_was_made_is_resumed(rlexp: Any) -> None:
    """Also in a sweep of an older version, which wrote the outcome into that directory."""
    words = [*FAST, "agent=random", "total_steps=50", "run_dir=s", "hydra.launcher.n_jobs=1"]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "rlexp.cli", "train", "-m", *words, "seed=0,1"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    second = Path("s/001_seed=1")
    children = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children")
    while not (Path("s/logs/001.log").exists() and children.read_text()):
        assert sweep.poll() is None
        time.sleep(0.01)
    os.kill(int(children.read_text()), signal.SIGKILL)
    _, err = sweep.communicate(timeout=120)
    assert "killed by SIGKILL" in err and "1 of 2 runs finished" in err
    assert not second.exists()
    second.mkdir()
    (second / "status.json").write_text('{"state": "failed", "error": "killed by SIGKILL"}')
    done = rlexp("resume", "s")
    assert done.returncode == 0 and "2 of 2 runs finished" in done.stderr, done.stderr


def test_the_reason_told_is_the_newest(own_folder: Path) -> None:
    """A job's earlier end stays in its directory and its log, until it ends in another way."""
    from rlexp.sweep import jobs

    job = jobs.Job(0, ["total_steps=0"], "000")
    run = RunDir(Path("s/000").absolute())
    run.path.mkdir(parents=True)
    (run.path / "mine.txt").write_text("so that the run is refused")
    for overrides, reason in (
        (["total_steps=0"], "total_steps=0"),
        ([*FAST, "agent=nonsense"], "nonsense"),
    ):
        (end,) = jobs.run_jobs(run.path.parent, [jobs.Job(0, overrides, "000")], 1)
        assert end.state == "failed" and reason in str(end.error)
    run.config.write_text("seed: 0\n")  # from here on it has begun
    run.write_status("failed", error="an earlier end")
    (end,) = jobs.run_jobs(run.path.parent, [job], 1)
    assert end.state == "failed" and "total_steps=0" in str(end.error)
