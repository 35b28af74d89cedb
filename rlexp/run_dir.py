"""The only file that knows what a run directory holds."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from rlexp.errors import UserError, did_you_mean, nearest
from rlexp.guard import NonFinite

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

OUTPUTS = Path("outputs")
PACKAGES = (
    *("rlexp", "torch", "numpy", "gymnasium", "hydra-core", "omegaconf"),
    *("nes-py", "gym-super-mario-bros", "opencv-python", "safetensors"),
)


@dataclass(frozen=True)
class RunDir:
    """Paths of one run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def overrides(self) -> Path:
        return self.path / "overrides.yaml"

    @property
    def system(self) -> Path:
        return self.path / "system.json"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def log(self) -> Path:
        return self.path / "run.log"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tb"

    @property
    def media(self) -> Path:
        return self.path / "media"

    @property
    def evaluations(self) -> Path:
        return self.path / "eval"

    @property
    def buffer(self) -> Path:
        """Memory-mapped storage of a buffer that lives on disk."""
        return self.path / "buffer"

    @property
    def autopsy(self) -> Path:
        """The batch of an update that came out as NaN or infinite."""
        return self.path / "autopsy"

    @property
    def history(self) -> Path:
        """One entry each time the run was resumed: when, from which step, with which changes."""
        return self.path / "history.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step_{step:09d}"

    def best(self, step: int) -> Path:
        """Weights alone of the best evaluation so far."""
        return self.checkpoints / f"best_{step:09d}"

    def archive(self, step: int) -> Path:
        """Weights alone, kept for ever."""
        return self.checkpoints / "archive" / f"step_{step:09d}"

    def lock(self) -> IO[str]:
        """Hold the directory while the run is on; UserError when another process has it.

        The lock goes with the process, also when that is killed.
        """
        try:
            handle = open(self.path / ".lock", "a+")
        except OSError as ex:
            raise UserError(f"can't write to run {self.path}: {ex.strerror}") from ex
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            owner = handle.read().strip() or "another process"
            handle.close()
            raise UserError(f"run {self.path} is in use by {owner}") from None
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        return handle

    def full_checkpoints(self) -> list[Path]:
        """Oldest first."""
        return sorted(p for p in self.checkpoints.glob("step_*") if p.is_dir())

    def link(self, name: str, target: Path) -> None:
        """Point checkpoints/last or checkpoints/best at a checkpoint, in one step."""
        temporary = self.checkpoints / f".{name}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target.name)
        os.replace(temporary, self.checkpoints / name)

    def write_status(self, state: str, **facts: Any) -> None:
        """running, finished, failed or interrupted, with steps and score."""
        data = {"state": state, "pid": os.getpid(), "time": time.time(), **facts}
        write_text(self.status, json.dumps(data, indent=1) + "\n")

    def read_status(self) -> dict[str, Any]:
        try:
            found = json.loads(self.status.read_text())
        except (OSError, ValueError):
            return {"state": "unknown"}
        return found if isinstance(found, dict) else {"state": "unknown"}


def create(
    project: str, config_yaml: str, overrides: list[str], path: str | Path | None = None
) -> RunDir:
    """Make a run's directory and write what it was started with.

    `path` null: outputs/<project>/<date_time>_<4 hex>. A directory that holds anything is refused.
    """
    from rlexp.config.setup import stamp

    name = f"{stamp()}_{secrets.token_hex(2)}"
    run = RunDir(Path(path) if path is not None else OUTPUTS / project / name)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        if any(run.path.iterdir()):
            hint = f"rlexp resume {run.path}" if run.config.is_file() else "take another name"
            raise UserError(f"run_dir={run.path} is not empty: {hint}")
        run.config.write_text(config_yaml)
        run.overrides.write_text("".join(f"- {json.dumps(o)}\n" for o in overrides))
        run.system.write_text(json.dumps(system(), indent=1) + "\n")
    except OSError as ex:
        raise UserError(f"can't write the run's directory {run.path}: {ex.strerror}") from ex
    return run


def remove(run: RunDir) -> None:
    """Undo `create`, its empty parents under outputs/ included."""
    shutil.rmtree(run.path)
    for parent in list(run.path.parents)[:2]:
        if parent in (Path("."), Path("/")) or any(parent.iterdir()):
            break
        parent.rmdir()


def cut_back(run: RunDir, step: int) -> None:
    """Forget checkpoints, evaluations and GIFs past `step`: the run goes on from there."""
    for folder in (run.checkpoints, run.checkpoints / "archive"):
        for path in [*folder.glob("step_*"), *folder.glob("best_*")]:
            if step_of(path) > step:
                shutil.rmtree(path)
    for link in ("last", "best"):
        if (run.checkpoints / link).is_symlink() and not (run.checkpoints / link).exists():
            (run.checkpoints / link).unlink()
    for path in [*run.evaluations.glob("step_*.json"), *run.media.glob("eval_*[0-9].gif")]:
        if re.fullmatch(r"(step|eval)_\d{9}", path.stem) and step_of(path) > step:
            path.unlink()


def step_of(path: Path) -> int:
    """The step in a name such as step_000123000; -1 where there is none."""
    digits = path.stem.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else -1


def save_batch(run: RunDir, error: NonFinite, step: int) -> Path:
    """The batch of a NaN: batch.safetensors beside about.json."""
    from safetensors.numpy import save_file

    from rlexp.codec import flatten

    folder = run.autopsy / f"step_{step:09d}"
    folder.mkdir(parents=True, exist_ok=True)
    parts = error.batch
    if parts is not None and not isinstance(parts, dict):
        parts = {f.name: getattr(parts, f.name) for f in dataclasses.fields(parts)}
    _, arrays, _ = flatten(parts or {})
    save_file({name.lstrip("/"): a for name, a in arrays.items()}, folder / "batch.safetensors")
    about = {"metric": error.name, "value": str(error.value), "step": step}
    write_text(folder / "about.json", json.dumps(about, indent=1) + "\n")
    return folder


def system() -> dict[str, Any]:
    """What would be needed to do it again: command, versions, commit and uncommitted changes."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    commit, patch = _git()
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "packages": versions,
        "git_commit": commit,
        "git_patch": patch,
    }


def _git() -> tuple[str | None, str | None]:
    """Commit and diff of the repository we stand in, if any."""
    if shutil.which("git") is None:
        return None, None

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (subprocess.SubprocessError, OSError, UnicodeDecodeError):
            return None
        return done.stdout

    commit = ask("rev-parse", "HEAD")
    patch = ask("diff", "HEAD") if commit else None
    return (commit.strip() if commit else None), patch or None


def write_text(path: Path, text: str) -> None:
    """Atomic: a reader sees the old text or the new one."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text)
    os.replace(temporary, path)


@dataclass(frozen=True)
class Located:
    """A run, and the checkpoint that was asked for."""

    run: RunDir
    checkpoint: Path | None


def locate(path: str) -> Located:
    """The run of a path: its directory, one of its checkpoints, or a unique prefix of either."""
    given = Path(path)
    if not given.exists():
        given = _by_prefix(path)
    folder = given.resolve()
    if folder.is_file():
        folder = folder.parent
    for parent in [folder, *folder.parents][:4]:
        run = RunDir(parent)
        if run.config.is_file() and (run.status.is_file() or run.checkpoints.is_dir()):
            relative = _relative(parent)
            inside = folder != parent and run.checkpoints in folder.parents
            return Located(RunDir(relative), folder if inside else None)
    runs = sorted(p.parent for p in given.glob("*/config.yaml")) if given.is_dir() else []
    if runs:
        names = ", ".join(str(r) for r in runs[:4]) + (", …" if len(runs) > 4 else "")
        raise UserError(f"{path} holds {len(runs)} runs: name one of them: {names}")
    raise UserError(f"{path} is no run of rlexp: it has no config.yaml")


def _relative(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _by_prefix(path: str) -> Path:
    """The one run whose path, or name under outputs/, begins with `path`."""
    runs = [p.parent for p in OUTPUTS.glob("*/*/config.yaml")]
    runs += [p.parent for p in OUTPUTS.glob("*/*/*/config.yaml")]
    found = [
        r for r in runs if r.name.startswith(path) or str(r).startswith(path.removeprefix("./"))
    ]
    given = Path(path)
    if not found and given.parent.is_dir():
        found = [p for p in given.parent.glob(f"{given.name}*") if p.is_dir()]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(f) for f in sorted(found)[:4])
        raise UserError(f"{path!r} could be {len(found)} runs: {names}")
    if given.name in ("last", "best") or given.parent.name == "checkpoints":
        siblings = [p.name for p in given.parent.glob("*")]
        raise UserError(f"no checkpoint {path}.{did_you_mean(given.name, siblings)}")
    near = nearest(path, [str(r) for r in runs] + [r.name for r in runs], n=1)
    newest = max(runs, key=lambda r: r.stat().st_mtime, default=None)
    if near:
        hint = f" Did you mean {near[0]!r}?"
    else:
        hint = f" The newest run is {newest}." if newest else " There are no runs in outputs/ yet."
    raise UserError(f"no run or checkpoint {path!r}.{hint}")


def whole_checkpoint(run: RunDir) -> tuple[Path, list[str]]:
    """(newest full checkpoint that is undamaged, what is wrong with newer ones)."""
    from rlexp import checkpoint

    problems: list[str] = []
    for folder in reversed(run.full_checkpoints()):
        try:
            checkpoint.verify(folder)
            return folder, problems
        except UserError as ex:
            problems.append(str(ex))
    if problems:
        raise UserError(f"{run.path} has no whole checkpoint left: {problems[0]}")
    raise UserError(f"{run.path} has no checkpoint to go on from: start it anew with rlexp train")


def whole_ones(run: RunDir) -> str:
    """A sentence that names the steps whose checkpoints are undamaged."""
    from rlexp import checkpoint

    steps = []
    for folder in [*run.full_checkpoints(), *(run.checkpoints / "archive").glob("step_*")]:
        try:
            checkpoint.verify(folder)
        except UserError:
            continue
        steps.append(f"checkpoint={step_of(folder)}")
    return f" Whole: {', '.join(sorted(set(steps)))}." if steps else " No other is whole."


def choose_checkpoint(run: RunDir, which: str) -> Path:
    """`last`, `best` or a step → a checkpoint of the run."""
    if which in ("last", "best"):
        link = run.checkpoints / which
        if link.exists():
            return run.checkpoints / link.resolve().name
        if which == "last":
            full = run.full_checkpoints()
            if full:
                return full[-1]
        hint = "it was never evaluated" if which == "best" else "none was written yet"
        raise UserError(f"{run.path} has no checkpoint {which!r}: {hint}")
    steps = {
        str(int(p.name.rpartition("_")[2])): p
        for p in [
            *run.checkpoints.glob("best_*"),
            *(run.checkpoints / "archive").glob("step_*"),
            *run.full_checkpoints(),
        ]
    }
    name = which.removeprefix("step_").lstrip("0") or "0"
    if name in steps:
        return steps[name]
    if name.isdecimal() and steps:
        near = min(steps, key=lambda s: abs(int(s) - int(name)))
        raise UserError(f"{run.path} has no checkpoint at step {name}. The nearest is {near}.")
    raise UserError(
        f"checkpoint={which} is not known.{did_you_mean(which, ['last', 'best', *steps])}"
    )
