"""What would be needed to do a run again: command, versions, commit, machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rlexp import isolation, machine

PACKAGES = (
    *("rlexp", "torch", "numpy", "gymnasium", "hydra-core", "omegaconf"),
    *("nes-py", "gym-super-mario-bros", "opencv-python", "safetensors"),
)
# A repository's own settings may name programs that Git runs for a diff: none are wanted.
GIT = ("git", "-c", "core.fsmonitor=false")
MOST_PATCH = 1_000_000  # bytes of a diff
MOST_NAMES = 1000
CUT = "[cut here:"
SECONDS = 10  # that git may take


def facts() -> dict[str, Any]:
    """What would be needed to do it again: command, versions, commit and uncommitted changes."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "cores_used": machine.cores(),
        "packages": versions,
        **_git_state(),
    }


def capped(text: str, total: int | None = None, most: int = MOST_PATCH) -> str:
    """A patch of at most so many characters, cut at a line's end with a word about its size."""
    total = len(text) if total is None else total
    if total <= most:
        return text
    whole_lines = text[: text.rfind("\n", 0, most) + 1]
    return f"{whole_lines}{CUT} {len(whole_lines):,} of {total:,} bytes]\n"


def _git_state() -> dict[str, Any]:
    """Commit, diff, and names of what is changed and untracked, of the repository we stand in.

    A repository inside a run's folder is not asked at all.
    """
    state: dict[str, Any] = {"git_commit": None, "git_patch": None}
    if shutil.which("git") is None or isolation.run_around_us():
        return state
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return state
    patch = _git("diff", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD")
    state |= {"git_commit": commit[0].strip(), "git_patch": capped(*patch) if patch else None}
    state["git_patch"] = state["git_patch"] or None
    state["git_changed"] = _names("diff", "--name-only", "-z", "HEAD")
    state["git_untracked"] = _names(
        "ls-files", "--others", "--exclude-standard", "--directory", "-z"
    )
    return state


def _names(*arguments: str) -> list[str]:
    """File names, `MOST_NAMES` at most; the last entry then says how much was left out."""
    told = _git(*arguments)
    names = told[0].split("\0")[:-1] if told is not None else []
    if told is not None and (len(names) > MOST_NAMES or told[1] > MOST_PATCH):
        names = [*names[:MOST_NAMES], f"{CUT} {told[1]:,} bytes of names]"]
    return names


def _git(*arguments: str) -> tuple[str, int] | None:
    """(the beginning of what git prints, how many bytes that is in all); None where it fails.

    What is too much is counted and let go: a diff may be larger than memory.
    """
    try:
        process = subprocess.Popen(
            [*GIT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        with process.stdout as out:
            head = out.read(MOST_PATCH)
            total = len(head)
            while block := out.read(1 << 16):
                total += len(block)
        if process.wait() != 0:
            return None
    finally:
        timer.cancel()
    # A file in another encoding is no reason to lose the rest.
    return head.decode("utf-8", errors="replace"), total
