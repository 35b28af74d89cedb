"""Malformed command lines and YAML files: exit code 2, one line, and nothing left behind.

What turns out to be valid is built, not trained. `pytest -m fuzz tests/fuzz/test_config.py` tries
1,000 inputs; FUZZ_SEED and FUZZ_COUNT choose others, and how many.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import shutil
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from config_lines import AGENTS, Case, Maker

import rlexp
from rlexp import cli
from rlexp.config import suggest
from rlexp.errors import UserError
from rlexp.run_dir import RunDir
from rlexp.runner import Result, Runner
from rlexp.sweep import finish, jobs

# Words of the libraries below, which mean nothing to who wrote the line.
THEIRS = ("Traceback", "hydra.cc", "Error executing", "ListConfig", "DictConfig", "usage:",
          "full_key", "object_type", "Primary config", "subclass of")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and one with a checkpoint of weights alone."""
    path = tmp_path_factory.mktemp("fuzz") / "RUN"
    rlexp.train(["total_steps=60", "evaluation.every=30", "evaluation.episodes=1", "logger=csv",
                 "evaluation.gif=false", "device.threads=1", f"run_dir={path}"])  # fmt: skip
    return path


@pytest.fixture(scope="module")
def keys() -> list[str]:
    """Every key of several agents and environments."""
    keys: dict[str, None] = {}
    for agent in AGENTS:
        with contextlib.suppress(UserError):
            config = rlexp.compose([f"agent={agent}", "env=gym", "env.id=CartPole-v1"]).config
            keys |= dict.fromkeys(suggest.all_keys(structured(config)))
    return sorted(keys)


def structured(config: Any) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.structured(config)


@pytest.fixture
def built_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends where it would begin to train, a sweep where it would start its processes."""

    def ended(self: Runner, each_turn: Any = None) -> Result:
        self._close()
        return Result(self.run, 0.0)

    def settled(folder: Path, planned: list[jobs.Job], at_once: Any) -> None:
        for job in planned:
            run = RunDir(folder / job.name)
            run.path.mkdir(parents=True, exist_ok=True)
            run.write_status("finished", score=0.0)

    monkeypatch.setattr(Runner, "run_to_end", ended)
    monkeypatch.setattr(jobs, "run_jobs", settled)
    monkeypatch.setattr(finish, "finish", lambda folder, figure: 0)


@contextlib.contextmanager
def folder_of(case: Case, folder: Path, run: Path) -> Iterator[set[Any]]:
    """The case's own folder as the working directory; gives what lies there."""
    folder.mkdir()
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if case.run:
        shutil.copytree(run, folder / "RUN", symlinks=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield seen(folder)
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


def seen(folder: Path) -> set[Any]:
    """Every path with its size and the time it was written."""
    entries = set()
    for path in folder.rglob("*"):
        about = path.lstat()
        kept = (about.st_size, about.st_mtime_ns) if path.is_file() else ()
        entries.add((str(path), kept))
    return entries


def called(case: Case) -> tuple[Any, str, str]:
    """(exit code, stdout, stderr) of the command in this process, warnings among stderr."""
    out, err = io.StringIO(), io.StringIO()
    handlers, level = logging.root.handlers[:], logging.root.level
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            code: Any = cli.main(case.args)
        except SystemExit as ex:
            code = ex.code or 0
        except BaseException:
            code = traceback.format_exc()
        finally:  # Hydra's --info and others log to what is stderr now
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)
    told = "".join(f"{warning.category.__name__}: {warning.message}\n" for warning in warned)
    return code, out.getvalue(), err.getvalue() + told


def process(case: Case) -> tuple[Any, str, str]:
    command = [sys.executable, "-m", "rlexp.cli", *case.args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def wrong(code: Any, out: str, err: str, changed: set[Any]) -> list[str]:
    """What is not as it should be after a command."""
    if code == 0:
        return ["a traceback"] if "Traceback" in err else []
    faults = [f"it says {word!r}" for word in THEIRS if word in err]
    if code != 2:
        faults.append(f"exit code {code}")
    if out.startswith("usage: ") and not err:  # a command without its arguments shows its help
        return [f"exit code {code}"] if code != 2 else []
    if err.count("\n") != 1 or not err.startswith("rlexp: "):
        faults.append(f"{err.count(chr(10))} lines")
    if out:
        faults.append("it printed")
    if changed:
        names = sorted(os.path.basename(path) for path, _ in changed)
        faults.append(f"it left {', '.join(names[:4])}")
    return faults


def check(numbers: range, maker: Maker, folder: Path, run: Path, each: int) -> None:
    """Every case; one in `each` of those with a mistake again in a process of its own."""
    failures, refused = [], 0
    for number in numbers:
        case = maker.case(number)
        with folder_of(case, folder / "case", run) as before:
            code, out, err = called(case)
            faults = wrong(code, out, err, seen(folder / "case") - before)
        refused += code == 2
        if code == 2 and not faults and refused % each == 0:
            with folder_of(case, folder / "case", run) as before:
                code, out, err = process(case)
                faults = wrong(code, out, err, seen(folder / "case") - before)
                faults = [f"in a process: {text}" for text in faults]
        if faults:
            said = "\n    ".join(err.splitlines()[:3] + err.splitlines()[-2:])
            failures.append(f"{number}: {shlex.join(case.args)} {case.files}\n  "
                            f"{'; '.join(faults)[-600:]}\n    {said}")  # fmt: skip
    print(f"{len(numbers)} inputs, {refused} refused, {len(failures)} wrongly")
    assert refused > len(numbers) / 3
    assert not failures, f"{len(failures)} of {len(numbers)}:\n" + "\n".join(failures)


@pytest.mark.usefixtures("built_not_trained")
def test_a_few(own_folder: Path, run: Path, keys: list[str]) -> None:
    check(range(60), Maker(0, keys), own_folder, run, each=20)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("built_not_trained")
def test_many(own_folder: Path, run: Path, keys: list[str]) -> None:
    seed, count = int(os.environ.get("FUZZ_SEED", 1)), int(os.environ.get("FUZZ_COUNT", 1000))
    check(range(count), Maker(seed, keys), own_folder, run, each=40)
