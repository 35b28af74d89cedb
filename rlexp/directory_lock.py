"""A lock on a run's or a sweep's directory, which goes with the process that holds it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from rlexp import safe_files
from rlexp.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


def hold(path: Path, what: str) -> IO[str]:
    """A lock on a directory that goes with the process; UserError when another one has it."""
    try:
        handle = open(path / LOCK, "a+", opener=safe_files.no_follow)
    except OSError as ex:
        raise UserError(f"can't write to {what} {path}: {ex.strerror}") from ex
    _take(handle, path, what)
    handle.truncate(0)
    handle.write(f"process {os.getpid()}")
    handle.flush()
    return handle


def refuse_in_use(path: Path, what: str) -> None:
    """UserError when another process has a directory. Nothing is written: who never ran leaves no
    lock behind."""
    try:
        handle = open(path / LOCK, "r+", opener=safe_files.no_follow)
    except FileNotFoundError:
        return  # nobody has run here
    except OSError as ex:
        raise UserError(f"can't write to {what} {path}: {ex.strerror}") from ex
    with handle:
        _take(handle, path, what)


def _take(handle: IO[str], path: Path, what: str) -> None:
    """Lock an open lock file; UserError, and the file closed, where another process has it."""
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        owner = handle.read().strip() or "another process"
        handle.close()
        raise UserError(f"{what} {path} is in use by {owner}") from None
