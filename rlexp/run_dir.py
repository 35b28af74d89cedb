"""The only file that knows what a run directory holds."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rlexp import directory_lock, isolation, safe_files, step_folders, strict_json
from rlexp.step_folders import step_of as step_of

if TYPE_CHECKING:
    from rlexp.guard import NonFinite

OUTPUTS = Path("outputs")


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
        return self.checkpoints / step_folders.name("step", step)

    def best(self, step: int) -> Path:
        """Weights alone of the best evaluation so far."""
        return self.checkpoints / step_folders.name("best", step)

    def archive(self, step: int) -> Path:
        """Weights alone, kept for ever."""
        return self.checkpoints / "archive" / step_folders.name("step", step)

    @property
    def lock_file(self) -> Path:
        return self.path / directory_lock.LOCK

    def refuse_in_use(self) -> None:
        """UserError when another process has the directory; writes nothing."""
        directory_lock.refuse_in_use(self.path, "run")

    def lock(self) -> IO[str]:
        """Hold the directory while the run is on; UserError when another process has it.

        The lock goes with the process, also when that is killed.
        """
        return directory_lock.hold(self.path, "run")

    @property
    def exists(self) -> bool:
        """True where a run of ours lies, also one that has only begun."""
        return isolation.is_run(self.path)

    def read_text(self, file: Path, limit: int | None = None) -> str:
        """Return what one of its files holds; OSError where that lies elsewhere."""
        return safe_files.read_text(file, self.path, limit)

    def record(self, **facts: Any) -> None:
        """Add to system.json what was chosen where the run began; what is there stays."""
        try:
            known = json.loads(self.read_text(self.system))
            if not facts.keys() <= known.keys():
                write_text(self.system, strict_json.dumps(facts | known, indent=1) + "\n")
        except (OSError, ValueError, AttributeError):
            pass  # no such file, or not one of ours: nothing that a run needs

    def identity(self, service: str, new: str) -> str:
        """The run's id with another service: the one it was given first, else `new`."""
        file = self.path / f".{service}-id"
        if not file.is_file() and new:
            write_text(file, new)
        return self.read_text(file) if file.is_file() else ""

    def gifs(self) -> list[Path]:
        """Of the evaluations while it trained, the oldest first."""
        return step_folders.files(self.media, "eval", ".gif")

    def full_checkpoints(self) -> list[Path]:
        """Oldest first."""
        return step_folders.folders(self.checkpoints, "step")

    def archived(self) -> list[Path]:
        """Weights alone, oldest first."""
        return step_folders.folders(self.checkpoints / "archive", "step")

    def bests(self) -> list[Path]:
        """Weights alone of the best evaluations, oldest first."""
        return step_folders.folders(self.checkpoints, "best")

    def link(self, name: str, target: Path) -> None:
        """Point checkpoints/last or checkpoints/best at a checkpoint, in one step."""
        step_folders.point(self.checkpoints / name, target)

    def write_status(self, state: str, **facts: Any) -> None:
        """running, finished, failed, interrupted or pruned, with steps and score."""
        where = {"pid": os.getpid(), "host": platform.node(), "time": time.time()}
        data = {"state": state, **where, **facts}
        write_text(self.status, strict_json.dumps(data, indent=1) + "\n")

    def read_status(self) -> dict[str, Any]:
        try:
            found = json.loads(self.read_text(self.status))
        except (OSError, ValueError, RecursionError):
            return {"state": "unknown"}
        state = found.get("state") if isinstance(found, dict) else None
        return found if isinstance(state, str) and state.isprintable() else {"state": "unknown"}


def find(folder: Path, depth: int = 4) -> Iterator[RunDir]:
    """Every run in a folder and in those below it, in the order of their names."""
    run = RunDir(folder)
    if run.exists:
        yield run
    elif depth:
        try:
            inside = sorted(e.path for e in os.scandir(folder) if e.is_dir(follow_symlinks=False))
        except OSError:
            return
        for path in inside:
            if not os.path.basename(path).startswith("."):
                yield from find(Path(path), depth - 1)


def cut_back(run: RunDir, step: int) -> None:
    """Forget checkpoints, evaluations and GIFs past `step`: the run goes on from there."""
    for parent in (run.checkpoints, run.checkpoints / "archive"):
        step_folders.tidy(parent)
        for path in [*step_folders.folders(parent, "step"), *step_folders.folders(parent, "best")]:
            if step_of(path) > step:
                step_folders.remove(path)
    for name in step_folders.POINTERS:
        step_folders.drop_stale(run.checkpoints / name)
    media = [
        p for suffix in (".gif", ".mp4") for p in step_folders.files(run.media, "eval", suffix)
    ]
    for path in [*step_folders.files(run.evaluations, "step", ".json"), *media]:
        if step_of(path) > step:
            path.unlink()


def save_batch(run: RunDir, error: NonFinite, step: int) -> Path:
    """The batch of a NaN: batch.safetensors beside about.json."""
    from safetensors.numpy import save_file

    from rlexp.codec import flatten

    folder = run.autopsy / step_folders.name("step", step)
    folder.mkdir(parents=True, exist_ok=True)
    parts = error.batch
    if parts is not None and not isinstance(parts, dict):
        parts = {f.name: getattr(parts, f.name) for f in dataclasses.fields(parts)}
    _, arrays, _ = flatten(parts or {})
    save_file({name.lstrip("/"): a for name, a in arrays.items()}, folder / "batch.safetensors")
    about = {"metric": error.name, "value": str(error.value), "step": step}
    write_text(folder / "about.json", strict_json.dumps(about, indent=1) + "\n")
    return folder


def write_text(path: Path, text: str) -> None:
    """Atomic: a reader sees the old text or the new one."""
    temporary = path.with_name(f".{path.name}.writing")
    try:
        temporary.unlink(missing_ok=True)  # a killed process left it, or it is a link elsewhere
        with open(temporary, "x", encoding="utf-8", opener=safe_files.no_follow) as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
