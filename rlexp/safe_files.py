"""The files of a run, opened as if a stranger had made it.

Whoever reads a file of a run goes through `open_inside` (or `read_bytes`, `read_text`), which
follows no link out of the run's folder and opens regular files alone; whoever writes one in place
opens it with `opener=no_follow`. A command that works in a run's folder first calls `check_tree`,
which refuses the whole folder where a link leads out of it, so that what other libraries write
there (a logger, a memory map) stays in it, too.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from rlexp.errors import UserError

# Folders whose insides other programs manage; rlexp itself opens nothing below them.
FOREIGN = ("wandb", "mlruns")


class Refused(OSError):
    """A file that is not opened: it is outside, no regular file, or too large."""

    def __init__(self, path: str | os.PathLike[str], why: str, number: int = errno.EPERM) -> None:
        super().__init__(number, why, os.fspath(path))


def open_inside(path: Path, within: Path, limit: int | None = None) -> BinaryIO:
    """Open a regular file of at most `limit` bytes for reading; Refused where it is anything else.

    `within` is the folder that the file must really lie in, whatever links lead there.
    """
    real, root = os.path.realpath(path), os.path.realpath(within)
    if not is_below(real, root):
        raise Refused(path, f"it links out of {within}", errno.ELOOP)
    # Not blocking: to open a pipe would wait for somebody who writes into it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(no_follow(real, flags), "rb")
    try:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise Refused(path, "it is no regular file")
        if limit is not None and about.st_size > limit:
            raise Refused(path, f"it has {about.st_size:,} bytes, more than {limit:,}", errno.EFBIG)
    except BaseException:
        file.close()
        raise
    return file


def read_bytes(path: Path, within: Path, limit: int | None = None) -> bytes:
    """Return what a file of a run holds; Refused as in `open_inside`."""
    with open_inside(path, within, limit) as file:
        return file.read() if limit is None else file.read(limit)


def read_text(path: Path, within: Path, limit: int | None = None) -> str:
    """Return the same as text; UnicodeDecodeError, a ValueError, where it is none."""
    return read_bytes(path, within, limit).decode("utf-8").replace("\r\n", "\n")


def no_follow(path: str, flags: int) -> int:
    """Open as `open(…, opener=no_follow)` asks; Refused where the path itself is a link."""
    try:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as ex:
        if ex.errno in (errno.ELOOP, errno.EMLINK):
            raise Refused(path, "it is a link", errno.ELOOP) from None
        raise


def is_below(path: str, root: str) -> bool:
    """Say whether an absolute path is `root` or lies below it."""
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def is_name(text: object) -> bool:
    """Say whether a text names an entry of a folder, and nothing above, below or beside it."""
    return isinstance(text, str) and text not in ("", ".", "..") and not set(text) & set("/\\\0")


def is_relative(text: object) -> bool:
    """Say whether a text is a path of names with "/" between them, all of it below its folder."""
    return isinstance(text, str) and all(is_name(part) for part in text.split("/"))


def check_tree(folder: Path) -> None:
    """Refuse a run's or sweep's folder that holds a link out of it, or a device, pipe or socket."""
    root = os.path.realpath(folder)
    waiting = [root]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue  # whoever needs it will say so
        for entry in entries:
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                if not is_below(target, root):
                    raise UserError(
                        f"{entry.path} links out of {folder}, to {target}. A run's folder is read "
                        "and written on its own: put the files in the link's place, or delete it"
                    )
            elif entry.is_dir():
                if entry.name not in FOREIGN:
                    waiting.append(entry.path)
            elif not entry.is_file():
                raise UserError(
                    f"{entry.path} is no regular file, as all of a run's are: delete it"
                )
