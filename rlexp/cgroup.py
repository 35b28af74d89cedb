"""What a container may use: limits of Linux control groups, version 1 and 2.

A limit holds for a group and all below it, so every group from this process's own up to the root
is asked. In a container the files of its own group lie at the root of the mount.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def cpus(root: Path = ROOT) -> int | None:
    """Processors' worth of time that may be used, rounded up; None without a limit."""
    quotas = []
    for group in _groups(root, ""):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        quotas.append((quota, period or "100000"))
    for group in _groups(root, "cpu"):
        quotas.append((_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")))
    # No limit is "max" in version 2, and -1 in version 1.
    limits = [
        math.ceil(int(quota) / int(period))
        for quota, period in quotas
        if quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0
    ]
    return min(limits, default=None)


def free_memory(root: Path = ROOT) -> int | None:
    """Bytes that may still be used; None without a limit."""
    found = []
    for group in _groups(root, ""):
        found.append((group, "memory.max", "memory.current", "inactive_file"))
    for group in _groups(root, "memory"):
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        found.append((group, *names))
    free = []
    for group, limit_file, used_file, cached in found:
        limit, used = _text(group / limit_file), _text(group / used_file)
        if limit.isdecimal() and used.isdecimal():
            # Cached files count as used, but make room when it is needed.
            occupied = int(used) - _statistic(group / "memory.stat", cached)
            free.append(max(0, int(limit) - max(0, occupied)))
    return min(free, default=None)


def _statistic(path: Path, name: str) -> int:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of this process's group and those above it; `controller` "": version 2's."""
    for line in _text(root / "proc/self/cgroup").splitlines() or ["0::/"]:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controller not in controllers.split(","):
            continue
        # Version 1 mounts "cpu,cpuacct" under that name, and links "cpu" to it.
        mount = root / "sys/fs/cgroup" / controller
        group = PurePosixPath("/" + name.lstrip("/"))
        for folder in (group, *group.parents):
            if ".." not in folder.parts:
                yield mount / str(folder).lstrip("/")


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
