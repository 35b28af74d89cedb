"""What this machine has: processors, memory, disk; and the largest buffer that fits."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

# Of what is free: the rest is for torch, the environments and everything else.
SHARE = 0.8


def available_memory() -> int:
    """Bytes a process here may still allocate: the machine's, or its container's limit."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        free = min(free, max(0, limit - used))
    except (OSError, ValueError):  # no cgroup, or no limit: "max"
        pass
    return free


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


def cores() -> int:
    """Processors this process may use; a sweep gives each of its runs a share (RLEXP_CORES)."""
    share = os.environ.get("RLEXP_CORES", "")
    if share.isdecimal() and int(share) > 0:
        return int(share)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


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
