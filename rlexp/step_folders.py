"""Folders and files that are named after a step: which are a run's own, in which order, and how one
goes without ever being seen in part."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import warnings
from pathlib import Path

from rlexp import safe_files

# Nine digits, or more without a zero in front: what `name` writes, and nothing else.
_NAME = re.compile(r"(step|best|eval)_(\d{9}|[1-9]\d{9,})")
REMOVING, REPLACED = ".removing-", ".replaced-"
WRITING = ".writing"
MANIFEST = "manifest.json"
POINTERS = ("last", "best")


def name(kind: str, step: int) -> str:
    """Return what a checkpoint or an evaluation of a step is called."""
    return f"{kind}_{step:09d}"


def step_of(path: Path) -> int:
    """Return the step in a name such as step_000123000; -1 where it is no name of ours."""
    match = _NAME.fullmatch(path.name.removeprefix(REPLACED).partition(".")[0])
    return int(match[2]) if match else -1


def folders(parent: Path, kind: str) -> list[Path]:
    """Return a run's own checkpoints of a kind ("step", "best") in a folder, by their steps.

    One that was being replaced when its process was killed lies under its hidden name.
    """
    by_step = {}
    for path in [*parent.glob(f"{REPLACED}{kind}_*"), *parent.glob(f"{kind}_*")]:
        if step_of(path) >= 0 and path.is_dir() and not path.is_symlink():
            by_step[step_of(path)] = path
    return [by_step[step] for step in sorted(by_step)]


def files(parent: Path, kind: str, suffix: str) -> list[Path]:
    """Return a run's own files of a kind ("step", "eval") in a folder, by their steps."""
    paths = [p for p in parent.glob(f"{kind}_*{suffix}") if p.name.partition(".")[2] == suffix[1:]]
    return sorted((p for p in paths if step_of(p) >= 0), key=step_of)


def remove(folder: Path) -> None:
    """Delete a folder, which nobody sees half deleted: it loses its name first."""
    hidden = folder.with_name(f"{REMOVING}{folder.name.lstrip('.')}-{secrets.token_hex(4)}")
    os.replace(folder, hidden)
    shutil.rmtree(hidden, ignore_errors=True)  # what is left, `tidy` deletes


def put(new: Path, target: Path) -> None:
    """Give a finished folder its name; the one that had it stays readable until then."""
    replaced = target.with_name(f"{REPLACED}{target.name}")
    if target.exists():
        if replaced.exists():
            remove(replaced)
        os.replace(target, replaced)
    try:
        os.replace(new, target)
    except OSError:
        if replaced.exists():
            os.replace(replaced, target)
        raise
    if replaced.exists():
        remove(replaced)


def is_copy(pointer: Path) -> bool:
    """Say whether `last` or `best` is a checkpoint itself: copying, zip or a cloud made it one."""
    return not pointer.is_symlink() and (pointer / MANIFEST).is_file()


def point(pointer: Path, target: Path) -> None:
    """Point `last` or `best` at a checkpoint beside it, in one step: a link, or its name as a text
    where the file system has no links. For people: rlexp goes by the checkpoints' steps."""
    if is_copy(pointer):
        remove(pointer)
    elif pointer.is_dir() and not pointer.is_symlink():
        warnings.warn(f"{pointer} is not rlexp's: it is left as it is", stacklevel=2)
        return
    temporary = pointer.with_name(f".{pointer.name}")
    if is_copy(temporary):
        remove(temporary)
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(target.name)
    except OSError:
        with open(temporary, "x", encoding="utf-8", opener=safe_files.no_follow) as file:
            file.write(f"{target.name}\n")
    os.replace(temporary, pointer)


def pointed(pointer: Path) -> Path:
    """Return where `last` or `best` points: a folder beside it, or itself where it is a copy."""
    if not pointer.is_symlink() and pointer.is_file():
        try:
            text = safe_files.read_text(pointer, pointer.parent, limit=100).strip()
        except (OSError, ValueError):
            return pointer
        return pointer.with_name(text) if safe_files.is_name(text) else pointer
    return pointer.with_name(pointer.resolve().name)


def drop_stale(pointer: Path) -> None:
    """Delete `last` or `best` where the checkpoint that it points at is gone."""
    if (pointer.is_symlink() or pointer.is_file()) and not pointed(pointer).is_dir():
        pointer.unlink()


def tidy(parent: Path) -> None:
    """Finish what a killed process began: half a removal, or half a replacement."""
    for path in parent.glob(f"{REPLACED}*"):
        target = path.with_name(path.name.removeprefix(REPLACED))
        if step_of(path) >= 0 and not target.exists():
            os.replace(path, target)
        elif step_of(path) >= 0:
            remove(path)
    for path in parent.glob(f"{REMOVING}*"):
        shutil.rmtree(path, ignore_errors=True)
