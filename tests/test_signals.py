"""Ctrl-C, a closed terminal, a job manager's SIGTERM: runs save and leave, none is left over."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from conftest import FAST
from rlexp.run_dir import RunDir

LONG = [*FAST, "agent=random", "total_steps=100000000", "checkpoint.every=null"]
RUN = [sys.executable, "-m", "rlexp.cli"]
TWO = [RunDir(Path(f"s/00{seed}_seed={seed}")) for seed in (0, 1)]


@pytest.fixture(autouse=True)
def closed_terminals_count() -> Iterator[None]:
    """Let SIGHUP reach what a test starts, also where `nohup` has these tests ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


STUCK = '''
import ctypes, itertools, os, threading, time
import gymnasium

class Stuck(gymnasium.Env):
    """Deadlocks in its 50th step."""
    observation_space = gymnasium.spaces.Box(0, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    steps = 0

    def __init__(self, how):
        self.how = how

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 50:
            open(f"stuck.{os.getpid()}", "w").close()
            if self.how == "lock":
                lock = threading.Lock()
                lock.acquire()
                lock.acquire()
            any(itertools.repeat(0))  # C code that never gives Python's lock back
        return self.observation_space.sample(), 1.0, self.steps % 10 == 0, False, {}

gymnasium.register("Stuck-v0", Stuck)
'''
STUCK_IN_C = '''
import ctypes
from rlexp.media.pictures import Picture

class Hangs(Picture):
    """Hangs in the main thread's call into C, which no signal interrupts, in step 50."""
    def turn(self, turn):
        if turn.clock.steps >= 50:
            open("stuck.main", "w").close()
            mutex = ctypes.create_string_buffer(64)
            for _ in range(2):
                ctypes.CDLL(None).pthread_mutex_lock(mutex)
'''


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def trains(run: RunDir) -> Callable[[], bool]:
    """Whether its first checkpoint is there, which it writes when all is set up."""
    return (run.checkpoints / "last").exists


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid: int, seconds: float = 30) -> int:
    """Wait for a child; its exit code."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("it did not end")


def saved(run: RunDir, name: str) -> None:
    """The run was stopped by a signal, and what it had done is saved."""
    status = run.read_status()
    assert status["state"] == "interrupted" and name in status["error"], status
    assert status["steps"] > 0
    assert run.full_checkpoints()[-1].name == f"step_{status['steps']:09d}"
    assert not alive(status["pid"])


class Terminal:
    """`rlexp …` in the foreground of a terminal of its own, whose output is read and forgotten."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execv(RUN[0], [*RUN, *arguments])
        self.closed = False
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while not self.closed:
                if select.select([self.master], [], [], 0.05)[0]:
                    os.read(self.master, 65536)

    def press(self, key: bytes) -> None:
        os.write(self.master, key)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.reader.join()  # while it reads, the terminal stays
            os.close(self.master)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`rlexp …` in a process group of its own."""
    with open("out.txt", "w") as out:
        process = subprocess.Popen(
            [*RUN, *arguments], stderr=out, stdout=out, process_group=0, text=True
        )
    try:
        yield process
    finally:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_ctrl_c_on_a_sweep_saves_its_runs() -> None:
    words = ["train", "-m", *LONG, "seed=0,1", "run_dir=s", "hydra.launcher.n_jobs=2"]
    with Terminal(*words) as terminal:
        until(lambda: all(trains(run)() for run in TWO))
        time.sleep(0.5)
        terminal.press(b"\x03")
        assert ends(terminal.pid) == 130
    for run in TWO:
        saved(run, "SIGTERM")


def test_a_closed_terminal_saves_a_sweep_and_its_runs() -> None:
    words = ["train", "-m", *LONG, "seed=0,1", "run_dir=s", "hydra.launcher.n_jobs=2"]
    with Terminal(*words) as terminal:
        until(lambda: all(trains(run)() for run in TWO))
        time.sleep(0.5)
        terminal.close()
        assert ends(terminal.pid) == 129
    for run in TWO:
        saved(run, "SIGTERM")


def test_a_closed_terminal_saves_a_run_with_its_live_bar() -> None:
    with Terminal("train", *LONG, "logger=[csv,console]", "run_dir=run") as terminal:
        until(trains(RunDir(Path("run"))))
        time.sleep(0.5)
        terminal.close()
        assert ends(terminal.pid) == 129
    saved(RunDir(Path("run")), "SIGHUP")


def test_nohup_keeps_a_run_alive() -> None:
    command = ["nohup", *RUN, "train", *LONG, "run_dir=run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(trains(RunDir(Path("run"))))
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_saves_a_run_with_worker_processes(number: int) -> None:
    """As a terminal or a job manager sends it: twice to the run, which `timeout` does."""
    words = ["env=gym", "env.id=Acrobot-v1", "env.vectorization=process", "env.num_envs=2",
             "env.workers=2"]  # fmt: skip
    run = RunDir(Path("run"))
    with started("train", *words, *LONG, "run_dir=run") as process:
        until(trains(run))
        time.sleep(1)
        os.killpg(process.pid, number)
        time.sleep(0.05)
        os.killpg(process.pid, number)
        assert process.wait(30) == 128 + number, Path("out.txt").read_text()
    saved(run, signal.Signals(number).name)


@pytest.mark.parametrize("when", ["saving", "before it has begun"])
def test_runs_of_a_killed_sweep_save_and_leave(when: str) -> None:
    words = ["train", "-m", *LONG, "seed=0,1", "run_dir=s", "hydra.launcher.n_jobs=2"]
    with started(*words) as process:
        if when == "saving":
            until(lambda: all(trains(run)() for run in TWO))
            time.sleep(0.5)
        else:
            until(lambda: Path("s/logs/001.log").exists())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    until(lambda: not left_over(), 30)
    if when == "saving":
        for run in TWO:
            saved(run, "SIGTERM")


def left_over() -> list[str]:
    """The processes that work in this test's folder, besides the test itself."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            here = (entry / "cwd").readlink() == Path.cwd() and entry.name != str(os.getpid())
            if here and alive(int(entry.name)):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.parametrize(
    ("how", "second"),
    [
        ("lock", signal.SIGINT),
        ("lock in a process", signal.SIGTERM),
        ("C in a process", signal.SIGTERM),
        ("C in the main thread", signal.SIGINT),
    ],
)
def test_a_second_signal_ends_a_deadlocked_run(how: str, second: int) -> None:
    Path("stuck.py").write_text(STUCK)
    Path("stuck_in_c.py").write_text(STUCK_IN_C)
    words = [*deadlocked(how), "run_dir=run"]
    with started("train", *words) as process:
        until(lambda: any(Path().glob("stuck.[0-9m]*")))
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(second)
        assert process.wait(10) == 128 + second
        until(lambda: not left_over(), 5)
    assert RunDir(Path("run")).read_status()["state"] == "interrupted"


def deadlocked(how: str) -> list[str]:
    if how == "C in the main thread":
        return [*LONG, "pictures=[stuck_in_c:Hangs]"]
    kind = "process" if how.endswith("process") else "thread"
    return [*LONG, "env=gym", "env.id=stuck:Stuck-v0", f"+env.kwargs.how={how.split()[0]}",
            f"env.vectorization={kind}", "env.num_envs=2", "env.workers=2"]  # fmt: skip


@pytest.mark.parametrize("how", ["C", "lock in a process"])
def test_a_second_signal_ends_a_sweep_of_deadlocked_runs(how: str) -> None:
    Path("stuck.py").write_text(STUCK)
    words = ["-m", *deadlocked(how), "seed=0,1", "run_dir=s", "hydra.launcher.n_jobs=2"]
    with Terminal("train", *words) as terminal:
        until(lambda: len(list(Path().glob("stuck.[0-9]*"))) >= 2)
        time.sleep(0.5)
        terminal.press(b"\x03")
        time.sleep(2)
        assert alive(terminal.pid)
        terminal.press(b"\x03")
        assert ends(terminal.pid, 10) == 130
        until(lambda: not left_over(), 5)


def test_worker_processes_end_with_a_run_that_is_killed() -> None:
    """Also one whose C code never gives Python's lock back."""
    Path("stuck.py").write_text(STUCK)
    with started("train", *deadlocked("C in a process"), "run_dir=run") as process:
        until(lambda: len(list(Path().glob("stuck.[0-9]*"))) >= 2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        until(lambda: not left_over(), 10)
