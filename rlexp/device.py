"""Where torch computes, and with how many threads."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from rlexp.errors import UserError
from rlexp.machine import cores, thread_limit

# Shares of a batch get too small to be worth a thread.
MOST = 4


def prepare() -> None:
    """Before torch is imported: its idle OpenMP threads sleep instead of spinning.

    Spinning threads starve whatever else runs, an emulator's thread above all.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass(frozen=True)
class Device:
    """`name` as torch has it ("cpu", "cuda", "mps"); `why` explains the number of threads.

    `shards` is how many threads share a batch (networks/shards.py), for agents that can.
    """

    name: str
    threads: int
    shards: int
    why: str

    def __str__(self) -> str:
        count = max(self.threads, self.shards)
        return f"{self.name}, {count} thread{'s' if count > 1 else ''} ({self.why})"


def choose(name: str, threads: int | None, pixels: bool, can_shard: bool, overlap: bool) -> Device:
    """The device of a config; `pixels`: a network that is worth more than one thread; `overlap`:
    it learns while the environments step."""
    import torch

    available = ["cpu"]
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    elif torch.backends.mps.is_available():
        available.insert(0, "mps")
    if name == "auto":
        name = available[0]
    elif name not in available:
        raise UserError(f"device={name}: there is none here. Choose from: {', '.join(available)}.")
    if name != "cpu":
        return Device(name, threads or 1, 1, "the network runs on the device")
    if not pixels and threads is None:
        return Device(name, 1, 1, "a small network is slower on more")
    count, why = threads, "device.threads"
    if count is None:
        # One core is left to environments that step while the network learns.
        kept = ", one for environments" if overlap else ""
        count, why = min(MOST, max(1, cores() - overlap)), f"of {cores()} cores{kept}"
        limit = thread_limit()
        if limit is not None and limit[0] < count:
            count, why = limit[0], f"{limit[1]}={limit[0]}"
    if can_shard:
        shared = f"{why}, each with its share of a batch" if count > 1 else why
        return Device(name, 1, count, shared)
    return Device(name, count, 1, why)


def apply(device: Device) -> None:
    """Set torch's threads for this process."""
    import torch

    torch.set_num_threads(device.threads)
