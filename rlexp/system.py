"""What would be needed to do a run again: command, versions, commit, machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rlexp import isolation, machine

PACKAGES = (
    *("rlexp", "torch", "numpy", "gymnasium", "hydra-core", "omegaconf"),
    *("nes-py", "gym-super-mario-bros", "opencv-python", "safetensors"),
)
GIT = ("git", "-c", "core.fsmonitor=false")


def facts() -> dict[str, Any]:
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
        "cores_used": machine.cores(),
        "packages": versions,
        "git_commit": commit,
        "git_patch": patch,
    }


def _git() -> tuple[str | None, str | None]:
    """Commit and diff of the repository we stand in, if any.

    A repository's own settings may name programs that Git runs for a diff: none are wanted, and
    one inside a run's folder is not asked at all.
    """
    if shutil.which("git") is None or isolation.run_around_us():
        return None, None

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                [*GIT, *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (subprocess.SubprocessError, OSError, UnicodeDecodeError):
            return None
        return done.stdout

    commit = ask("rev-parse", "HEAD")
    patch = ask("diff", "--no-ext-diff", "--no-textconv", "HEAD") if commit else None
    return (commit.strip() if commit else None), patch or None
