"""Runs that are killed, stopped, damaged, out of disk: nothing is lost, all comes out equal."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rlexp
from conftest import FAST
from rlexp import going_on, verify
from rlexp.errors import RunStopped, UserError
from rlexp.run_dir import RunDir

Main = Callable[..., tuple[int, str, str]]
SHORT = [
    *FAST, "env.num_envs=2", "total_steps=4000", "agent.learning_starts=200", "log_every=500",
    "checkpoint.every=300", "evaluation.every=1000", "evaluation.episodes=2",
    "evaluation.gif=false",
]  # fmt: skip


def begin(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rlexp.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.01)


def kill_often(overrides: list[str], kills: int, longest: float) -> list[int]:
    """Begin a run, kill it (-9) at random moments and resume it; the steps it was last saved at."""
    run = RunDir(Path("killed"))
    seen = []
    process = begin("train", *overrides, "run_dir=killed")
    for _ in range(kills):
        wait_for(run.checkpoints / "last", process)
        time.sleep(random.SystemRandom().uniform(0, longest))
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(run.read_status().get("steps", -1))
        process = begin("resume", "killed")
        log = run.path / "run.log"
        size = log.stat().st_size
        while process.poll() is None and log.stat().st_size == size:
            time.sleep(0.01)  # its interpreter has started and the run goes on
    assert process.wait() == 0, process.stderr.read() if process.stderr else ""
    return seen


def test_kill_9_at_random_moments_on_cartpole() -> None:
    rlexp.train([*SHORT, "run_dir=straight"])
    kill_often(SHORT, kills=3, longest=1.0)
    found = verify.compare(RunDir(Path("straight")), RunDir(Path("killed")))
    assert found.parts == [] and found.count > 300
    assert found.hashes[0] == found.hashes[1]


def test_kill_9_on_mario() -> None:
    overrides = [
        "env=mario", "agent=ddqn", "env.num_envs=2", "env.noop_max=20", "total_steps=500",
        "agent.learning_starts=100", "agent.train_every=16", "checkpoint.every=100",
        "log_every=100", "evaluation.every=400", "evaluation.episodes=1", "evaluation.gif=false",
        "logger=csv", "buffer.capacity=2000", "env.max_steps=60",
    ]  # fmt: skip
    found, _ = verify.verify(overrides, Path(), steps=500, kills=1)
    assert found.parts == []


def test_a_difference_is_found() -> None:
    rlexp.train([*SHORT, "total_steps=600", "run_dir=a"])
    rlexp.train([*SHORT, "total_steps=600", "run_dir=b", "agent.lr=0.000501"])
    found = verify.compare(RunDir(Path("a")), RunDir(Path("b")))
    assert any("weights" in part for part in found.parts) and found.hashes[0] != found.hashes[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_leaves(number: int, code: int) -> None:
    process = begin("train", *SHORT, "checkpoint.every=null", "run_dir=run")
    run = RunDir(Path("run"))
    wait_for(run.metrics, process)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(30) == code
    status = run.read_status()
    assert status["state"] == "interrupted" and 0 < status["steps"] < 4000
    assert (run.checkpoints / "last").resolve().name == f"step_{status['steps']:09d}"
    rlexp.train([*SHORT, "checkpoint.every=null", "run_dir=straight"])
    going_on.resume("run")
    assert verify.compare(RunDir(Path("straight")), run).parts == []


def test_a_signal_during_an_evaluation_saves_and_the_evaluation_is_done_again(main: Main) -> None:
    """Stopped in the midst of 5,000 games; the resumed run equals one that never stopped."""
    short = [*FAST, "agent=random", "total_steps=300", "log_every=100", "checkpoint.every=100"]
    evaluating = ["evaluation.every=200", "evaluation.episodes=5000", "evaluation.gif=false"]
    run = RunDir(Path("stopped"))
    process = begin("train", *short, *evaluating, "run_dir=stopped")
    wait_for(run.checkpoint(100), process)
    time.sleep(0.6)  # step 200 is a moment away, and its evaluation takes seconds
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert run.read_status()["steps"] == 200 and not list(run.evaluations.glob("*.json"))
    assert main("resume", "stopped")[0] == 0
    rlexp.train([*short, *evaluating, "run_dir=straight"])
    assert verify.compare(RunDir(Path("straight")), run).parts == []
    both = [Path(name) / "eval/step_000000200.json" for name in ("straight", "stopped")]
    assert both[0].read_text() == both[1].read_text()


def test_nobody_reads_the_output_any_more() -> None:
    """`rlexp train … | head -1`: the run goes on to its end."""
    quick = ["agent=random", "total_steps=3000", "log_every=10", "evaluation.every=null"]
    command = [sys.executable, "-m", "rlexp.cli", "train", *quick, "run_dir=run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stderr is not None and process.stderr.readline()
    process.stderr.close()
    assert process.wait(60) == 0
    assert RunDir(Path("run")).read_status()["state"] == "finished"


def test_a_fork_with_nothing_left_to_do_is_one_line(main: Main) -> None:
    rlexp.train([*FAST, "agent=random", "total_steps=50", "run_dir=run"])
    code, _, err = main("fork", "run")
    assert code == 2 and "total_steps" in err and len(err.strip().splitlines()) == 1
    assert not Path("outputs").exists()


def test_a_run_whose_agent_is_made_otherwise_by_now(main: Main) -> None:
    """As one saved by an older version: here the config was changed behind its back."""
    rlexp.train(["env=cartpole", "agent=ppo", "total_steps=128", "agent.rollout_steps=64",
                 "agent.hidden=[7]", "evaluation.every=null", "run_dir=run"])  # fmt: skip
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace("  - 7\n", "  - 8\n"))
    assert "  - 8\n" in config.read_text()
    code, _, err = main("resume", "run", "total_steps=256")
    assert code == 2 and "does not fit" in err and "Traceback" not in err


def test_a_run_in_use_is_refused(main: Main) -> None:
    process = begin("train", *SHORT, "total_steps=1000000", "run_dir=run")
    wait_for(Path("run/checkpoints/last"), process)
    try:
        code, _, err = main("resume", "run")
        assert code == 2 and f"in use by process {process.pid}" in err and err.count("\n") == 1
        code, _, err = main("train", *SHORT, "run_dir=run", "resume=auto", "total_steps=1000000")
        assert code == 2 and "in use by" in err
    finally:
        process.kill()
        process.wait()
    assert main("resume", "run", "total_steps=100")[0] == 0  # the lock went with the process


def test_a_finished_run_says_so_and_a_larger_limit_goes_on(main: Main) -> None:
    short = [*SHORT, "total_steps=900", "run_dir=run"]
    rlexp.train(short)
    code, _, err = main("resume", "run")
    assert code == 0 and "run is finished: 900 steps" in err and "total_steps goes on" in err
    code, _, err = main("resume", "run", "total_steps=500")
    assert code == 0 and "total_steps=500 is less than the 900 steps it has" in err
    code, _, err = main("resume", "run", "total_steps=1500", "log_every=250")
    assert code == 0
    lines = err.splitlines()
    assert lines[0].split() == ["key", "saved", "asked", "used"]
    assert lines[1].split() == ["total_steps", "900", "1500", "1500"]
    assert lines[2].split() == ["log_every", "500", "250", "250"]
    assert RunDir(Path("run")).read_status()["steps"] == 1500
    history = json.loads(Path("run/history.json").read_text())
    assert history[0]["from_step"] == 900
    assert history[0]["changes"]["total_steps"] == [900, 1500]
    # The directory says what is true now.
    assert "total_steps: 1500" in Path("run/config.yaml").read_text()
    rlexp.train([*SHORT, "total_steps=1500", "run_dir=straight"])
    ours, theirs = RunDir(Path("run")), RunDir(Path("straight"))
    parts = verify.compare(ours, theirs).parts
    assert not [p for p in parts if p.startswith("/team")]


@pytest.mark.parametrize(
    "change", ["seed=9", "env.num_envs=3", "agent.hidden=[7]", "buffer.capacity=77", "agent=random"]
)
def test_unsafe_changes_are_refused_by_name(main: Main, change: str) -> None:
    rlexp.train([*SHORT, "total_steps=300", "run_dir=run"])
    before = Path("run/config.yaml").read_text()
    code, _, err = main("resume", "run", "total_steps=600", change)
    assert code == 2 and "can't change when a run goes on" in err and err.count("\n") == 1
    assert change.partition("=")[0] in err and "agent.init_from=run" in err
    assert Path("run/config.yaml").read_text() == before


def test_numbers_of_the_agent_may_change(main: Main) -> None:
    rlexp.train([*SHORT, "total_steps=300", "run_dir=run"])
    code, _, err = main("resume", "run", "total_steps=600", "agent.lr=1e-5", "agent.epsilon.end=0")
    assert code == 0 and "agent.lr" in err and "1.0e-05" in err


def test_resume_auto(main: Main) -> None:
    """For jobs that are requeued: the same command begins the run and goes on with it."""
    command = ["train", *SHORT, "total_steps=1200", "resume=auto", "run_dir=run"]
    process = begin(*command, "env.max_steps=400")
    process.kill()
    process.wait()
    process = begin(*command)
    wait_for(Path("run/checkpoints/last"), process)
    process.kill()
    process.wait()
    assert main(*command)[0] == 0
    code, _, err = main(*command)
    assert code == 0 and "is finished" in err
    rlexp.train([*SHORT, "total_steps=1200", "run_dir=straight"])
    assert verify.compare(RunDir(Path("straight")), RunDir(Path("run"))).parts == []
    code, _, err = main("train", "resume=auto")
    assert code == 2 and "resume=auto needs run_dir" in err
    code, _, err = main(*command, "seed=5")
    assert code == 2 and "seed can't change" in err


def newest(run: str = "run") -> Path:
    return RunDir(Path(run)).full_checkpoints()[-1]


def cut(folder: Path) -> None:
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def one_byte(folder: Path) -> None:
    path = next(folder.rglob("*.safetensors.z"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.unlink()  # its other names, in older checkpoints, stay as they are
    path.write_bytes(data)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("exploded",)


def a_pickle(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(pickle.dumps(Bomb()))


@pytest.mark.parametrize("damage", [cut, one_byte, a_pickle])
def test_a_damaged_checkpoint_is_told_and_the_one_before_used(
    main: Main, damage: Callable[[Path], None]
) -> None:
    rlexp.train([*SHORT, "total_steps=1200", "run_dir=straight"])
    rlexp.train([*SHORT, "total_steps=900", "run_dir=run"])
    damage(newest())
    if damage is a_pickle:  # the others leave the weights whole, and eval reads no more than those
        code, _, err = main("eval", "run")
        assert code == 2 and "is damaged" in err and err.count("\n") == 1
        assert "Whole: checkpoint=600." in err
    code, _, err = main("resume", "run", "total_steps=1200")
    assert code == 0
    told = [line for line in err.splitlines() if "damaged" in line]
    assert len(told) == 1 and "going on from step_000000600" in told[0]
    found = verify.compare(RunDir(Path("straight")), RunDir(Path("run"))).parts
    assert not [p for p in found if "evaluator" not in p and "metrics" not in p]
    assert not Path("exploded").exists()


def test_no_whole_checkpoint_left(main: Main) -> None:
    rlexp.train([*SHORT, "total_steps=300", "checkpoint.keep=1", "run_dir=run"])
    cut(newest())
    code, _, err = main("resume", "run", "total_steps=600")
    assert code == 2 and "no whole checkpoint left" in err and err.count("\n") == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up(main: Main, small_disk: Path) -> None:
    run = RunDir(small_disk / "run")
    filler = small_disk / "filler"

    def fill(clock: object) -> None:
        if clock.steps == 700:  # type: ignore[attr-defined]
            with pytest.raises(OSError), open(filler, "wb", buffering=0) as f:
                while True:
                    f.write(b"x" * 4096)

    with pytest.raises(RunStopped, match="No space left on device") as stopped:
        going_on.start_or_resume(rlexp.compose([*SHORT, f"run_dir={run.path}"]), each_turn=fill)
    message = str(stopped.value)
    assert "checkpoint step_000000600 is whole" in message and "\n" not in message
    assert f"rlexp resume {run.path}" in message
    assert not (run.checkpoints / ".writing").exists()
    filler.unlink()
    assert main("resume", str(run.path))[0] == 0
    rlexp.train([*SHORT, "run_dir=straight"])
    assert verify.compare(RunDir(Path("straight")), run).parts == []


def test_a_full_disk_in_a_real_process(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 2_850_000)
    process = begin("train", *SHORT, "agent.hidden=[128,128]", f"run_dir={small_disk / 'run'}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    lines = [line for line in err.splitlines() if line.startswith("rlexp:")]
    assert len(lines) == 1 and "No space left" in lines[0] and "Traceback" not in err


def test_a_read_only_directory(main: Main, small_disk: Path) -> None:
    run = small_disk / "run"
    rlexp.train([*SHORT, "total_steps=300", f"run_dir={run}"])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, _, err = main("resume", str(run), "total_steps=600")
    assert code == 2 and "Read-only file system" in err and err.count("\n") == 1
    code, out, err = main("eval", str(run), "episodes=1", "gif=false", "--json")
    assert code == 0 and json.loads(out)["step"] == 300 and "Read-only" in err
    code, _, err = main("train", *SHORT, f"run_dir={small_disk / 'new'}")
    assert code == 2 and "Read-only file system" in err and err.count("\n") == 1


PLUGIN = """
from dataclasses import dataclass
import torch
from rlexp.agents.dqn import DQN
from rlexp.registry import register
from rlexp.schemas.agent import DQNConfig
from rlexp.schemas.fields import number

@register("agent", "breaks", impl="rlexp_plugins:Breaks")
@dataclass
class BreaksConfig(DQNConfig):
    at: int = number(low=0)

class Breaks(DQN):
    def __init__(self, *, at, **others):
        super().__init__(**others)
        self.at = at

    def losses(self, q, action, target):
        losses, error = super().losses(q, action, target)
        if self.steps >= self.at:
            losses = losses * float("nan")
        return losses, error
"""


def test_a_nan_stops_the_run_and_can_be_repeated(own_folder: Path) -> None:
    (own_folder / "rlexp_plugins.py").write_text(PLUGIN)
    (own_folder / "conf/agent").mkdir(parents=True)
    (own_folder / "conf/agent/breaks.yaml").write_text(
        "defaults: [dqn, /schema/agent/breaks@_here_, _self_]\nname: breaks\nat: 500\n"
    )
    process = begin("train", *SHORT, "agent=breaks", "run_dir=run")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("rlexp: ")]
    assert "loss/td is nan after step 500" in line
    folder = Path("run/autopsy/step_000000500")
    assert str(folder) in line and "rlexp resume run" in line
    from safetensors.numpy import load_file

    batch = load_file(folder / "batch.safetensors")
    assert batch["obs"].shape == (32, 4) and batch["reward"].shape == (32,)
    assert json.loads((folder / "about.json").read_text())["metric"] == "loss/td"
    assert newest().name == "step_000000300"
    status = RunDir(Path("run")).read_status()
    assert status["state"] == "failed" and "loss/td is nan" in status["error"]
    # The printed command repeats it, and the batch is the very same.
    first = {name: array.tobytes() for name, array in batch.items()}
    process = begin("resume", "run")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "loss/td is nan after step 500" in err
    again = load_file(folder / "batch.safetensors")
    assert {name: array.tobytes() for name, array in again.items()} == first


def test_init_from_begins_with_anothers_weights() -> None:
    import hashlib

    rlexp.train([*SHORT, "total_steps=600", "run_dir=first"])
    rlexp.train([*SHORT, "total_steps=100", "agent.init_from=first", "run_dir=second"])
    hashes = [
        hashlib.sha256((Path(run) / "checkpoints/last/weights.safetensors").read_bytes()).digest()
        for run in ("first", "second")  # nothing was learnt in 100 steps: the weights are the same
    ]
    assert hashes[0] == hashes[1]
    with pytest.raises(UserError, match="no run or checkpoint 'third'"):
        rlexp.train([*SHORT, "agent.init_from=third", "run_dir=fourth"])
    with pytest.raises(UserError, match="weights of .* don't fit"):
        rlexp.train([*SHORT, "agent.init_from=first", "agent.hidden=[3]", "run_dir=fourth"])
    assert not Path("fourth").exists()


def test_a_fork_of_a_run_with_a_place_of_its_own(main: Main, own_folder: Path) -> None:
    rlexp.train([*SHORT, "total_steps=900", "run_dir=own/place"])
    assert main("fork", "own/place@600", "total_steps=1200")[0] == 0
    assert len(list(own_folder.glob("outputs/cartpole-dqn/*/config.yaml"))) == 1


def test_fork(main: Main) -> None:
    rlexp.train([*SHORT, "total_steps=900", "run_dir=outputs/x/parent"])
    code, _, err = main(
        "fork", "outputs/x/parent@600", "agent.lr=1e-5", "total_steps=1200", "run_dir=child"
    )
    assert code == 0, err
    assert "agent.lr" in err and "forks outputs/x/parent at step 600" in err
    system = json.loads(Path("child/system.json").read_text())
    assert system["parent"] == {"run": "outputs/x/parent", "step": 600}
    assert RunDir(Path("child")).read_status()["steps"] == 1200
    assert RunDir(Path("outputs/x/parent")).read_status()["steps"] == 900
    steps = [line.partition(",")[0] for line in Path("child/metrics.csv").read_text().splitlines()]
    assert steps == ["step", "500", "1000", "1200"]
    code, _, err = main("fork", "outputs/x/parent@600", "seed=4")
    assert code == 2 and "seed can't change" in err
    code, _, err = main("fork", "outputs/x/parent@601")
    assert code == 2 and "The nearest is 600." in err


def test_saving_does_not_hold_up_training() -> None:
    """A full buffer of 20,000 pictures: the next save copies and links, it does not write all."""
    import numpy as np
    from gymnasium.spaces import Box, Discrete

    from rlexp import checkpoint
    from rlexp.buffers.base import Storage
    from rlexp.buffers.frames import FrameBuffer
    from rlexp.types import SOLO, EnvSpec, Transition

    box = Box(0, 255, (4, 84, 84), np.uint8)
    spec = EnvSpec({SOLO: box}, {SOLO: Discrete(2)}, 1, frame_stack=4)
    buffer = FrameBuffer(20_000, spec, SOLO, Storage())
    buffer.data.arrays["picture"][:] = np.arange(84, dtype=np.uint8)
    buffer.data.touch(np.arange(20_000))
    buffer.rings.written[:] = 20_000
    folder = Path("checkpoints")
    checkpoint.save(folder / "step_000000001", {"buffer": buffer.state_dict()}, 1, 0)
    obs = np.zeros((1, 4, 84, 84), dtype=np.uint8)
    one = np.zeros(1, dtype=int)
    for _ in range(1000):
        buffer.add(Transition(one, obs, one, one.astype(np.float32), obs, one > 0, one > 0))
    began = time.perf_counter()
    snap = checkpoint.snapshot({"buffer": buffer.state_dict()}, 2, 0, folder)
    held_up = time.perf_counter() - began
    assert held_up < 0.5
    assert len(snap.blocks) <= 4 and len(snap.linked) >= 36
    second = folder / "step_000000002"
    checkpoint.write(second, snap)
    disk = sum(p.stat().st_blocks * 512 for p in second.rglob("*") if p.is_file())
    assert disk < 30_000_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("overrides", "kills", "longest"),
    [
        pytest.param([*SHORT, "total_steps=60000"], 10, 4.0, id="cartpole"),
        pytest.param(
            ["env=mario", "agent=ddqn", "env.num_envs=2", "env.noop_max=20", "total_steps=4000",
             "agent.learning_starts=500", "checkpoint.every=200", "log_every=200",
             "evaluation.every=1000", "evaluation.episodes=2", "logger=[csv,tensorboard]"],
            5, 20.0, id="mario",
        ),
    ],
)  # fmt: skip
def test_kill_9_at_random_moments_often(overrides: list[str], kills: int, longest: float) -> None:
    straight = begin("train", *overrides, "run_dir=straight")
    assert straight.wait() == 0
    seen = kill_often(overrides, kills, longest)
    found = verify.compare(RunDir(Path("straight")), RunDir(Path("killed")))
    print(f"killed {kills} times, after the saves at {seen}; {found.count} parts, {found.hashes}")
    assert found.parts == []
