"""A lock on a run's or a sweep's directory, which goes with the process that holds it."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import IO

from rlexp import safe_files
from rlexp.errors import UserError
from rlexp.printable import printable

LOCK = ".lock"
# What the system says where another process has the lock; all else means that none can be had.
HELD = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
_OWNER = "process "

_told: set[str] = set()

if sys.platform == "win32":
    import msvcrt

    def lock_file(handle: IO[str]) -> None:
        """Lock an open file without waiting; OSError where that fails."""
        # A byte far behind the text, since nobody else may read what is locked.
        os.lseek(handle.fileno(), 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(handle.fileno(), 0, os.SEEK_SET)

else:
    import fcntl

    def lock_file(handle: IO[str]) -> None:
        """Lock an open file without waiting; OSError where that fails."""
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def hold(path: Path, what: str) -> IO[str]:
    """Lock a directory until the file is closed; UserError when another process has it.

    Where the file system has no locks, that is said once, and the directory counts as held.
    """
    while True:
        try:
            handle = open(path / LOCK, "a+", opener=safe_files.no_follow)
        except OSError as ex:
            raise UserError(f"can't write to {what} {path}: {ex.strerror}") from ex
        _take(handle, path, what)
        if _is_at(handle, path / LOCK):
            break
        handle.close()  # who held it has deleted it, perhaps with its directory
    handle.seek(0)
    owner = handle.read(64)
    if owner and not owner.startswith(_OWNER):
        handle.close()
        raise UserError(f"{path / LOCK} is not rlexp's: take another run_dir")
    handle.truncate(0)
    handle.write(f"{_OWNER}{os.getpid()}")
    handle.flush()
    return handle


def refuse_in_use(path: Path, what: str) -> None:
    """Raise UserError when another process has a directory. Nothing is written: who never ran
    leaves no lock behind."""
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
        lock_file(handle)
    except OSError as ex:
        if ex.errno not in HELD:
            _tell_once(f"{path} can't be locked ({ex.strerror}): start one process there at a time")
            return
        handle.seek(0)
        owner = handle.read(64).strip() or "another process"
        handle.close()
        raise UserError(
            f"{what} {path} is in use by {owner}: stop it, or wait until it has ended"
        ) from None


def _is_at(handle: IO[str], path: Path) -> bool:
    """Say whether an open file is the one that the path names now."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), os.stat(path))
    except OSError:
        return False


def _tell_once(text: str) -> None:
    if text not in _told:
        _told.add(text)
        print(f"rlexp: note: {printable(text)}", file=sys.stderr)
