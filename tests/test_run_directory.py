"""A run's directory under rough handling: nothing of anybody's is deleted, no run is lost."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

import rlexp
from conftest import FAST
from rlexp import checkpoint, directory_lock, locate, new_run, step_folders, verify
from rlexp.errors import UserError
from rlexp.run_dir import RunDir

Main = Callable[..., tuple[int, str, str]]
QUICK = [*FAST, "agent=random", "total_steps=200", "checkpoint.every=100"]
EVALUATING = [*QUICK, "evaluation.every=100", "evaluation.episodes=1", "evaluation.gif=false"]
RUN = RunDir(Path("run"))


def killed_in(where: str, *overrides: str) -> None:
    """Train in a process that kills itself (-9) as it enters a method of Runner."""
    code = (
        "import os, sys, rlexp\nfrom rlexp.runner import Runner\n"
        f"Runner.{where} = lambda *_: os.kill(os.getpid(), 9)\nrlexp.train(sys.argv[1:])"
    )
    process = subprocess.run([sys.executable, "-c", code, *overrides], capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# What lies in a directory, in whatever state, and is not the start of a run that was killed.


def a_config_and_gold(folder: Path) -> None:
    (folder / "config.yaml").write_text("a: 1")
    (folder / "gold.txt").write_text("gold")


def a_config(folder: Path) -> None:
    (folder / "config.yaml").write_text("a: 1")


def a_lock(folder: Path) -> None:
    (folder / ".lock").write_text("somebody's")


def an_exported_agent(folder: Path) -> None:
    agent = next(p.parent for p in sorted(Path(__file__).parents[1].glob("zoo/*/config.yaml")))
    shutil.copytree(agent, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".lock"))


def a_killed_start_and_gold(folder: Path) -> None:
    killed_in("open", *QUICK, f"run_dir={folder}")
    (folder / "gold.txt").write_text("gold")


@pytest.mark.parametrize("resume", ["resume=auto", "resume=null"])
@pytest.mark.parametrize(
    "fill",
    [a_config_and_gold, a_config, a_lock, an_exported_agent, a_killed_start_and_gold],
)
def test_what_is_not_ours_is_never_deleted(
    main: Main, own_folder: Path, fill: Callable[[Path], None], resume: str
) -> None:
    Path("p").mkdir()
    fill(Path("p"))
    before = contents(own_folder)
    code, _, err = main("train", *QUICK, "run_dir=p", resume)
    assert code == 2 and err.count("\n") == 1 and "take another run_dir" in err, err
    assert contents(own_folder) == before


def test_a_trained_run_whose_checkpoints_are_gone_is_not_begun_anew(main: Main) -> None:
    rlexp.train([*QUICK, "run_dir=run"])
    shutil.rmtree(RUN.checkpoints)
    before = contents(RUN.path)
    code, _, err = main("train", *QUICK, "run_dir=run", "resume=auto")
    assert code == 2 and "metrics.csv" in err and contents(RUN.path) == before


def test_empty_values_are_null(main: Main) -> None:
    assert main("train", *QUICK, "run_dir=", "resume=", "agent.init_from=")[0] == 0
    (config,) = Path("outputs").glob("*/*/config.yaml")
    assert "run_dir: null" in config.read_text() and "resume: null" in config.read_text()


@pytest.mark.parametrize(
    "again",
    [
        ["train", *QUICK, "run_dir=run", "resume=auto"],
        ["train", *QUICK, "run_dir=run"],
        ["resume", "run"],
    ],
)
@pytest.mark.parametrize("where", ["__init__", "open", "_save"])
def test_a_start_that_was_killed_begins_anew(main: Main, where: str, again: list[str]) -> None:
    killed_in(where, *QUICK, "run_dir=run")
    assert RUN.config.is_file() and not RUN.full_checkpoints()
    code, _, err = main(*again)
    assert code == 0, err
    assert RUN.read_status()["state"] == "finished" and RUN.read_status()["steps"] == 200


def test_a_refused_start_leaves_a_folder_that_was_there(main: Main) -> None:
    Path("parent/run").mkdir(parents=True)
    code, _, err = main("train", *QUICK, "agent=dqn", "agent.init_from=none", "run_dir=parent/run")
    assert code == 2 and Path("parent/run").is_dir(), err
    new = new_run.create("x", "", [], "parent/run/deeper/run")
    new.undo()
    assert list(Path("parent").rglob("*")) == [Path("parent/run")]


def test_of_two_starts_one_has_the_directory() -> None:
    with new_run.create("x", "seed: 0", [], "run"):
        before = contents(RUN.path)
        with pytest.raises(UserError, match="in use by process"):
            new_run.create("x", "seed: 1", [], "run")
        assert contents(RUN.path) == before


# Names


def test_steps_beyond_nine_digits_sort_by_number_and_names_of_others_stay() -> None:
    steps = [999_999_999, 1_000_000_000, 12_000_000_000, 5]
    strangers = ("step_backup", "step_5", "step_000000005_old", "step_0000000005", "best_mine")
    for name in strangers:
        (RUN.checkpoints / name).mkdir(parents=True)
    for step in steps:
        for folder in (RUN.checkpoint(step), RUN.archive(step), RUN.best(step)):
            folder.mkdir(parents=True)
        RUN.media.mkdir(exist_ok=True)
        (RUN.media / f"{step_folders.name('eval', step)}.gif").touch()
    for listed in (RUN.full_checkpoints(), RUN.archived(), RUN.bests(), RUN.gifs()):
        assert [step_folders.step_of(path) for path in listed] == sorted(steps)
    from rlexp.run_dir import cut_back

    cut_back(RUN, 1_000_000_000)
    for listed in (RUN.full_checkpoints(), RUN.archived(), RUN.bests(), RUN.gifs()):
        assert [step_folders.step_of(path) for path in listed] == sorted(steps)[:3]
    assert all((RUN.checkpoints / name).is_dir() for name in strangers)


def test_a_run_beyond_a_billion_steps_keeps_its_newest(main: Main) -> None:
    rlexp.train([*QUICK, "run_dir=run"])
    folder = RUN.full_checkpoints()[-1]
    state = checkpoint.load(folder)
    state["clock"]["steps"] = state["clock"]["previous_steps"] = 999_999_900
    checkpoint.save(RUN.checkpoint(999_999_900), state, 999_999_900, 1)
    shutil.copytree(folder, RUN.checkpoints / "step_backup")
    code, _, err = main("resume", "run", "total_steps=1000000200", "checkpoint.keep=2")
    assert code == 0, err
    names = sorted(path.name for path in RUN.checkpoints.iterdir() if not path.is_symlink())
    assert names == ["step_1000000100", "step_1000000200", "step_backup"]
    assert main("eval", "run", "episodes=1", "gif=false", "checkpoint=1000000100")[0] == 0


# Pointers


def test_a_copy_without_links_trains_on_and_plays_the_newest(main: Main) -> None:
    rlexp.train([*EVALUATING, "run_dir=run"])
    shutil.copytree("run", "copy", symlinks=False)
    copy = RunDir(Path("copy"))
    assert not (copy.checkpoints / "last").is_symlink() and (copy.checkpoints / "best").is_dir()
    code, _, err = main("resume", "copy", "total_steps=400")
    assert code == 0, err
    assert (copy.checkpoints / "last").resolve().name == "step_000000400"
    shutil.rmtree("copy")
    shutil.copytree("run", "copy", symlinks=False)
    shutil.copytree("copy/checkpoints/step_000000100", "copy/checkpoints/last", dirs_exist_ok=True)
    for path in ("copy", "copy/checkpoints/last"):
        code, out, err = main("eval", path, "episodes=1", "gif=false", "--json")
        assert code == 0 and json.loads(out)["step"] == 200, err
    for folder in copy.full_checkpoints():
        shutil.rmtree(folder)
    assert locate.choose_checkpoint(copy, "last") == copy.checkpoints / "last"


def test_a_file_system_without_links(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(os, "link", refuse)
    assert main("train", *EVALUATING, "run_dir=run")[0] == 0
    assert (RUN.checkpoints / "last").read_text() == "step_000000200\n"
    assert main("resume", "run", "total_steps=300")[0] == 0
    for path in ("run", "run/checkpoints/last"):
        code, out, err = main("eval", path, "episodes=1", "gif=false", "--json")
        assert code == 0 and json.loads(out)["step"] == 300, err


def test_what_is_not_ours_in_the_place_of_last_stays(main: Main) -> None:
    rlexp.train([*QUICK, "run_dir=run"])
    (RUN.checkpoints / "last").unlink()
    (RUN.checkpoints / "last").mkdir()
    (RUN.checkpoints / "last/gold.txt").write_text("gold")
    assert main("resume", "run", "total_steps=300")[0] == 0
    assert (RUN.checkpoints / "last/gold.txt").read_text() == "gold"
    assert locate.choose_checkpoint(RUN, "last").name == "step_000000300"


def test_a_fork_has_what_was_best_at_its_step(main: Main) -> None:
    rlexp.train([*EVALUATING, "total_steps=400", "run_dir=run"])
    best = RUN.bests()[-1].name
    assert main("fork", "run@400", "total_steps=500", "run_dir=fork")[0] == 0
    assert (RunDir(Path("fork")).bests()[0]).name == best
    assert main("eval", "fork", "checkpoint=best", "episodes=1", "gif=false")[0] == 0


def test_the_best_of_every_checkpoint_that_is_kept_stays() -> None:
    from rlexp.clock import Clock
    from rlexp.saver import Saver
    from rlexp.schemas.run import CheckpointConfig

    saver = Saver(CheckpointConfig(every=1, keep=2, archive_every=None), RUN)
    state: dict[str, Any] = {"team": {"agent": {"weights": {}}}}
    for step in range(1, 7):
        if step != 5:
            saver.save_best(state, Clock(steps=step))
        saver.save(state, Clock(steps=step))
    saver.join()
    assert [step_folders.step_of(path) for path in RUN.bests()] == [4, 6]


# The end


def test_a_run_killed_while_it_finished_is_finished(main: Main) -> None:
    straight = rlexp.train([*EVALUATING, "run_dir=straight"])
    killed_in("_draw", *EVALUATING, "run_dir=run")
    status = RUN.read_status()
    assert status["state"] == "running" and status["steps"] == 200 and "score" not in status
    code, _, err = main("resume", "run")
    assert code == 0 and "finished run" in err, err
    status = RUN.read_status()
    assert (status["state"], status["score"]) == ("finished", straight)
    assert (RUN.media / "curves.png").is_file()
    assert verify.compare(RunDir(Path("straight")), RUN).parts == []
    before = contents(RUN.path)
    code, _, err = main("resume", "run")
    assert code == 0 and "is finished: 200 steps" in err and contents(RUN.path) == before


def test_its_sweep_is_finished_too(main: Main) -> None:
    sweep = ["-m", *EVALUATING, "run_dir=s", "seed=0,1"]
    assert main("train", *sweep)[0] == 0
    first = RunDir(sorted(Path("s").glob("*/config.yaml"))[0].parent)
    score = first.read_status()["score"]
    first.write_status("failed", steps=200, error="killed by SIGKILL")
    code, _, err = main("resume", "s")
    assert code == 0 and "2 of 2 runs finished" in err, err
    assert first.read_status()["score"] == score


def test_a_limit_that_was_lowered_to_what_a_killed_run_has(main: Main) -> None:
    killed_in("_draw", *EVALUATING, "run_dir=run")
    for path in RUN.full_checkpoints()[-1:]:
        shutil.rmtree(path)  # as if it had been killed at step 100
    assert main("resume", "run", "total_steps=100")[0] == 0
    assert RUN.read_status()["state"] == "finished" and RUN.read_status()["steps"] == 100


# Two processes, and moments between two renames


def test_who_loses_the_race_to_resume_writes_nothing(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    rlexp.train([*QUICK, "run_dir=run"])
    real, held = locate.whole_checkpoint, []

    def faster(run: RunDir) -> tuple[Path, list[str]]:
        checked = real(run)
        held.append(directory_lock.hold(run.path, "run"))
        run.config.write_text(run.config.read_text() + "# the winner's\n")
        run.history.write_text('[{"from": "the winner"}]')
        return checked

    monkeypatch.setattr(locate, "whole_checkpoint", faster)
    code, _, err = main("resume", "run", "total_steps=400")
    assert code == 2 and "in use by process" in err
    assert RUN.config.read_text().endswith("# the winner's\n")
    assert RUN.history.read_text() == '[{"from": "the winner"}]'
    held[0].close()
    code, _, err = main("resume", "run", "total_steps=400")  # it ends between check and lock
    assert (code == 2 and "in use by" in err) or "another process" in err


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_checkpoint_written_again_is_there_at_every_moment(
    moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"team": {}, "clock": {"steps": 7}}
    checkpoint.save(RUN.checkpoint(7), state, 7, 1)
    real, count = os.replace, [0]

    def killed(*paths: Path) -> None:
        count[0] += 1
        if count[0] == moment:
            raise KeyboardInterrupt  # as a kill: nothing after it is done
        real(*paths)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(RUN.checkpoint(7), state, 7, 2)
    monkeypatch.setattr(os, "replace", real)
    (folder,) = RUN.full_checkpoints()
    assert checkpoint.verify(folder).episodes == (1 if moment < 3 else 2)
    step_folders.tidy(RUN.checkpoints)
    assert RUN.full_checkpoints() == [RUN.checkpoint(7)]
    assert {p.name for p in RUN.checkpoints.iterdir()} <= {RUN.checkpoint(7).name, ".writing"}


def test_a_checkpoint_is_never_seen_half_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(RUN.checkpoint(7), {"team": {}}, 7, 1)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # killed before a file is gone
        step_folders.remove(RUN.checkpoint(7))
    assert RUN.full_checkpoints() == [] and len(list(RUN.checkpoints.iterdir())) == 1
    step_folders.tidy(RUN.checkpoints)
    assert list(RUN.checkpoints.iterdir()) == []


# Locks


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL])
def test_a_file_system_without_locks(
    main: Main, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def none(handle: IO[str]) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(directory_lock, "lock_file", none)
    monkeypatch.setattr(directory_lock, "_told", set())
    code, _, err = main("train", *QUICK, "run_dir=run")
    assert code == 0 and err.count("run can't be locked") == 1, err
    code, _, err = main("resume", "run", "total_steps=300")  # its process is long dead
    assert code == 0, err


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK])
def test_what_means_that_another_process_has_it(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def held(handle: IO[str]) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(directory_lock, "lock_file", held)
    RUN.path.mkdir()
    with pytest.raises(UserError, match="in use by another process"):
        RUN.lock()


def test_a_lock_on_a_file_that_was_deleted_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    RUN.path.mkdir()
    real, times = directory_lock.lock_file, [0]

    def deleted_meanwhile(handle: IO[str]) -> None:
        real(handle)
        times[0] += 1
        if times[0] == 1:
            RUN.lock_file.unlink()

    monkeypatch.setattr(directory_lock, "lock_file", deleted_meanwhile)
    with RUN.lock(), pytest.raises(UserError, match="in use"):
        RUN.refuse_in_use()


# Refusals


def killed_before_its_first_checkpoint() -> list[str]:
    killed_in("open", *QUICK, "run_dir=run")
    return ["eval", "run", "episodes=1"]


def no_whole_checkpoint() -> list[str]:
    rlexp.train([*QUICK, "run_dir=run"])
    for folder in RUN.full_checkpoints():
        (folder / "state.json").write_text("")
    return ["resume", "run", "total_steps=300"]


def no_checkpoint_at_all() -> list[str]:
    rlexp.train([*QUICK, "run_dir=run"])
    shutil.rmtree(RUN.checkpoints)
    return ["resume", "run"]


def started_where_a_run_is() -> list[str]:
    rlexp.train([*QUICK, "run_dir=run"])
    return ["train", *QUICK, "run_dir=run"]


def resumed_at_an_old_checkpoint() -> list[str]:
    rlexp.train([*QUICK, "run_dir=run"])
    return ["resume", "run/checkpoints/step_000000100"]


def only_a_copy_of_its_last() -> list[str]:
    rlexp.train([*QUICK, "total_steps=300", "run_dir=run"])
    shutil.copytree(RUN.checkpoint(200), "copy")
    shutil.rmtree(RUN.checkpoints)
    RUN.checkpoints.mkdir()
    shutil.move("copy", RUN.checkpoints / "last")
    return ["resume", "run"]


def a_fork_killed_before_its_parent_was_copied() -> list[str]:
    rlexp.train([*QUICK, "total_steps=300", "run_dir=run"])
    new_run.create("x", RUN.config.read_text(), [], "fork", parent={"run": "run", "step": 200})
    return ["resume", "fork"]


@pytest.mark.parametrize(
    "refused",
    [killed_before_its_first_checkpoint, no_whole_checkpoint, no_checkpoint_at_all,
     started_where_a_run_is, resumed_at_an_old_checkpoint, only_a_copy_of_its_last,
     a_fork_killed_before_its_parent_was_copied],
)  # fmt: skip
def test_every_refusal_names_a_command_that_works(
    main: Main, refused: Callable[[], list[str]]
) -> None:
    arguments = refused()
    code, _, err = main(*arguments)
    assert code == 2 and err.count("\n") == 1, err
    named = re.search(r"rlexp ((?:train|resume|fork) .*?)\.?(?:$| From another)", err.strip())
    assert named is not None, err
    code, _, err = main(*shlex.split(named[1]))
    assert code == 0, err


def test_what_holds_weights_alone_names_a_start_that_works(main: Main) -> None:
    rlexp.train([*EVALUATING, "agent=ppo", "agent.rollout_steps=64", "run_dir=run"])
    best = RUN.bests()[-1]
    for folder in RUN.full_checkpoints():
        shutil.rmtree(folder)
    for arguments in (["resume", "run"], ["resume", str(best)], ["fork", str(best)]):
        code, _, err = main(*arguments)
        override = err.strip().rpartition("rlexp train … ")[2]
        assert code == 2 and override.startswith("agent.init_from="), err
        more = ["agent=ppo", "agent.rollout_steps=64"]
        assert main("train", *QUICK, *more, *shlex.split(override))[0] == 0
    for checkpoint_asked in ("last", "3"):
        code, _, err = main("eval", "run", f"checkpoint={checkpoint_asked}")
        assert (code == 2 and "checkpoint=best" in err) or "nearest" in err


def together(*arguments: str) -> list[tuple[int, str]]:
    """Run the same command in two processes at once."""
    command = [sys.executable, "-m", "rlexp.cli", *arguments]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    return sorted((code, err) for err, code in ends)


def test_the_same_command_twice_at_once(main: Main) -> None:
    for number, arguments in enumerate([["train", *QUICK, "run_dir=run"], ["resume", "run"]]):
        steps = 30_000 * (number + 1)  # seconds: they overlap
        (won, _), (lost, err) = together(
            *arguments, f"total_steps={steps}", "checkpoint.every=20000", "log_every=20000"
        )
        assert (won, lost) == (0, 2) and ("in use by" in err or "is not empty" in err), err
        assert RUN.read_status()["state"] == "finished" and RUN.read_status()["steps"] == steps
    assert len(json.loads(RUN.history.read_text())) == 1
