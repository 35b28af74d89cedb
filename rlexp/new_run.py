"""A run's directory at its beginning: made, held, written; undone where no run came of it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from rlexp import directory_lock, isolation, step_folders, strict_json, system
from rlexp.errors import UserError
from rlexp.run_dir import OUTPUTS, RunDir, write_text
from rlexp.shell import command, train_with

# What a run writes before its first checkpoint is whole. Losing it loses nothing.
_FILES = ("config.yaml", "overrides.yaml", "system.json", "status.json", "run.log", "metrics.csv")
_FOLDERS = ("tb", "buffer", "wandb", "mlruns")
_HIDDEN = re.compile(r"\.(.+\.writing|[a-z]+-id)")
_NAMED = 3


class NewRun:
    """A directory that a run has just been given, held by this process until the block ends."""

    def __init__(self, run: RunDir, lock: IO[str], made: list[Path], had_lock: bool) -> None:
        self.run = run
        self._lock, self._made, self._had_lock = lock, made, had_lock

    def __enter__(self) -> NewRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, ex: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._lock.close()

    def undo(self) -> None:
        """Delete what was written since the directory was taken, and the folders made for it."""
        if self.run.path.is_dir():
            _clear(self.run, [n for n in os.listdir(self.run.path) if n != directory_lock.LOCK])
        self._give_up()

    def _give_up(self) -> None:
        if not self._had_lock:
            self.run.lock_file.unlink(missing_ok=True)
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # another run has come to lie in it
                break
        self._lock.close()


def create(
    project: str,
    config_yaml: str,
    overrides: list[str],
    path: str | Path | None = None,
    **facts: Any,
) -> NewRun:
    """Make and hold a run's directory, and write what it was started with.

    `path` null: outputs/<project>/<date_time>_<4 hex>. `facts`: more for system.json. UserError,
    and nothing touched, where the directory holds anything but what a killed start has left.
    """
    from rlexp.config.setup import stamp

    name = f"{stamp()}_{secrets.token_hex(2)}"
    run = RunDir(Path(path) if path else OUTPUTS / project / name)
    facts = {"project": project, **system.facts(), **facts}  # asks Git: not while half is written
    try:
        _refuse_occupied(run)
        had_lock = run.lock_file.exists()
        missing = [folder for folder in (run.path, *run.path.parents) if not folder.exists()]
        run.path.mkdir(parents=True, exist_ok=True)
        new = NewRun(run, run.lock(), missing, had_lock)
        try:
            _refuse_occupied(run)  # by a process that was faster
        except UserError:
            new._give_up()
            raise
        try:
            _write(run, facts, overrides, config_yaml)
        except BaseException:
            new.undo()
            raise
    except OSError as ex:
        raise UserError(f"can't write the run's directory {run.path}: {ex.strerror}") from ex
    return new


def _write(run: RunDir, facts: dict[str, Any], overrides: list[str], config_yaml: str) -> None:
    """Write what a run was started with, in the place of what a killed start has left.

    By the first file such a start is known for ours; by the last it is a run.
    """
    kept = (directory_lock.LOCK, run.system.name, run.overrides.name, run.status.name)
    _clear(run, [n for n in os.listdir(run.path) if n not in (*kept, run.config.name)])
    write_text(run.system, strict_json.dumps(facts, indent=1) + "\n")
    write_text(run.overrides, "".join(f"- {json.dumps(o)}\n" for o in overrides))
    run.write_status("running", steps=0, episodes=0)
    write_text(run.config, config_yaml)


def only_set_up(run: RunDir) -> bool:
    """Say whether a run was killed before its first checkpoint, so that it can begin anew."""
    return run.config.is_file() and not foreign(run)


def foreign(run: RunDir) -> list[str]:
    """Return the names in a folder that a start which was killed has not left there."""
    if not run.path.is_dir():
        return []
    status = run.read_status()
    begun = status.get("steps", 0) != 0 or status["state"] in ("finished", "pruned", "exported")
    ours = set() if begun else _left_by_set_up(run)
    return sorted(n for n in os.listdir(run.path) if n != directory_lock.LOCK and n not in ours)


def _left_by_set_up(run: RunDir) -> set[str]:
    names = {n for n in os.listdir(run.path) if _HIDDEN.fullmatch(n)}
    if "pid" in run.read_status():  # its sweep may have written that alone
        names.add(run.status.name)
    if not _is_ours(run):
        return names
    names |= {*_FILES, *_FOLDERS}
    if not run.checkpoints.is_symlink() and run.checkpoints.is_dir():
        inside = os.listdir(run.checkpoints)
        if all(n == step_folders.WRITING or n.startswith(step_folders.REMOVING) for n in inside):
            names.add(run.checkpoints.name)
    return names


def _is_ours(run: RunDir) -> bool:
    """Say whether the facts there are those that `create` writes before all else."""
    try:
        facts = json.loads(run.read_text(run.system))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and {"project", "python", "packages"} <= facts.keys()


def _refuse_occupied(run: RunDir) -> None:
    names = foreign(run)
    if not names:
        return
    if (run.full_checkpoints() and run.exists) or isolation.is_sweep(run.path):
        raise UserError(f"run_dir={run.path} is not empty: {command('rlexp', 'resume', run.path)}")
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    hint = "take another run_dir"
    if run.exists and (run.archived() or run.bests()):
        hint += f", or begin with its weights: {train_with(f'agent.init_from={run.path}')}"
    raise UserError(
        f"run_dir={run.path} is not empty, and can't be resumed: it holds "
        f"{', '.join(names[:_NAMED])}{more}. Nothing was changed: {hint}"
    )


def _clear(run: RunDir, names: list[str]) -> None:
    for name in names:
        path = run.path / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
