"""With what, and from which code, runs were made; and how to make one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlexp.report.groups import text
from rlexp.report.reading import Run
from rlexp.report.table import duration
from rlexp.shell import command
from rlexp.system import CUT

NAMES = {
    "platform": "system",
    "processor": "processor",
    "cores": "processor cores",
    "cores_used": "cores it had",
    "python": "Python",
    "packages.rlexp": "rlexp",
    "packages.torch": "PyTorch",
    "packages.numpy": "NumPy",
    "packages.gymnasium": "Gymnasium",
    "git_commit": "git commit",
    "patch": "uncommitted changes",
    "device.name": "device",
    "device.threads": "threads",
}
PATCH_LINES, PATCH_SIZE, PATCHES = 400, 40_000, 8


@dataclass(frozen=True)
class Fact:
    """One line of the table; `same` is false where runs were made with different ones."""

    name: str
    values: list[tuple[str, int]]  # (value, how many runs)

    @property
    def same(self) -> bool:
        return len(self.values) < 2


@dataclass(frozen=True)
class Facts:
    lines: list[Fact]
    patches: list[tuple[str, int]]  # (diff, how many runs)


def collect(runs: Sequence[Run]) -> Facts:
    """What the runs say of the machine and the code they were made with."""
    lines = []
    for key, name in NAMES.items():
        counts: dict[str, int] = {}
        for run in runs:
            value = _value(run, key)
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
        if counts:
            lines.append(Fact(name, sorted(counts.items(), key=lambda item: -item[1])))
    patches: dict[str, int] = {}
    for run in runs:
        patch = run.system.get("git_patch")
        if isinstance(patch, str) and patch:
            patches[patch] = patches.get(patch, 0) + 1
    shown = sorted(patches.items(), key=lambda item: -item[1])[:PATCHES]
    return Facts(lines, [(_shortened(patch), count) for patch, count in shown])


def _value(run: Run, key: str) -> str | None:
    if key == "patch":
        patch = run.system.get("git_patch")
        if not run.system.get("git_commit"):
            return None
        if run.system.get("changed"):  # an exported run tells that much
            return "some"
        return f"{len(str(patch).splitlines())} lines of diff" if patch else "none"
    if key == "device.threads":  # torch's own, or those that share a batch
        device = run.system.get("device")
        counts = [device.get(k) for k in ("threads", "shards")] if isinstance(device, dict) else []
        found = [count for count in counts if isinstance(count, int)]
        return str(max(found)) if found else None
    node: Any = run.system
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return None if node is None else text(node)


def _shortened(patch: str) -> str:
    lines = patch.splitlines()
    if lines and lines[-1].startswith(CUT):  # the patch is the beginning of a larger one
        return "\n".join([_shortened("\n".join(lines[:-1])), lines[-1]])
    more = len(lines) - PATCH_LINES
    text = "\n".join(lines[:PATCH_LINES])
    if len(text) > PATCH_SIZE:  # lines without end: of data, or of somebody's minified script
        return f"{text[:PATCH_SIZE]}\n… and so on: {len(patch):,} characters"
    return text + (f"\n… {more} more lines" if more > 0 else "")


def asked(overrides: Sequence[str]) -> list[str]:
    """Without what says where a run lies, and what the sweep added."""
    ours = ("run_dir=", "resume=", "hydra")
    return [o for o in overrides if not o.lstrip("+~").startswith(ours)]


def again(run: Run) -> str | None:
    """The command that makes a run anew, in a directory of its own."""
    if not run.overrides:
        return None
    again = command("rlexp", "train", *asked(run.overrides))
    # A run of a sweep had its share of the cores; with other threads sums round otherwise.
    share, cores = run.system.get("cores_used"), run.system.get("cores")
    return f"RLEXP_CORES={share} {again}" if isinstance(share, int) and share != cores else again


def compute(runs: Sequence[Run]) -> str | None:
    """Hours of all runs together, and how fast they went."""
    times = [t for run in runs if (t := run.series.last("time/elapsed_s")) is not None]
    if not times:
        return None
    steps = sum(run.steps for run in runs if run.series.last("time/elapsed_s") is not None)
    told = f"{duration(sum(times))} in all, one run after the other"
    return told + (f"; {steps / sum(times):,.0f} steps a second" if sum(times) > 0 else "")
