"""What this machine has: processors, memory, disk; and the largest buffer that fits."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

from rlexp import cgroup

# Of what is free: the rest is for torch, the environments and everything else.
SHARE = 0.8


def available_memory() -> int:
    """Bytes a process here may still allocate: the machine's, or its container's limit."""
    free = int(psutil.virtual_memory().available)
    allowed = cgroup.free_memory()
    return free if allowed is None else min(free, allowed)


def available_disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def largest(bytes_per_item: int, free: int) -> int:
    """The capacity that fits, rounded down to two digits."""
    fits = int(free * SHARE) // bytes_per_item
    step = 10 ** max(0, len(str(fits)) - 2)
    return fits // step * step


def human(size: float) -> str:
    """Bytes as people write them."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} PB"


def cores(root: Path = cgroup.ROOT) -> int:
    """Processors this process may use; a sweep gives each of its runs a share (RLEXP_CORES).

    Below `root` lie /proc and /sys, which tell a container's limit.
    """
    share = _count(os.environ.get("RLEXP_CORES", ""))
    if share is not None:
        return share
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        count = os.cpu_count() or 1
    limit = cgroup.cpus(root)
    return count if limit is None else min(count, limit)


def thread_limit() -> tuple[int, str] | None:
    """The least of OMP_NUM_THREADS and MKL_NUM_THREADS, and its name; None where none is set.

    OpenMP's may list a number for each level of nested threads: the first counts.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    counts = [(_count(os.environ.get(name, "").partition(",")[0]), name) for name in names]
    return min(((count, name) for count, name in counts if count is not None), default=None)


def _count(text: str) -> int | None:
    """A whole number of at least one."""
    text = text.strip()
    return int(text) if text.isdecimal() and int(text) > 0 else None


def too_large(ex: BaseException) -> bool:
    """Return whether an exception says that something is too large for this machine's memory."""
    if isinstance(ex, MemoryError):
        return True
    text = str(ex)
    return isinstance(ex, RuntimeError | ValueError | OverflowError) and any(
        said in text
        for said in ("can't allocate memory", "out of memory", "size calculation overflowed",
                     "multiplication overflow", "Maximum allowed dimension", "array is too big",
                     "Overflow when unpacking", "too large to convert")
    )  # fmt: skip
