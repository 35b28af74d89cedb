"""Where torch computes, and with how many threads."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from rlexp.errors import UserError
from rlexp.machine import cores


def prepare() -> None:
    """Before torch is imported: its idle OpenMP threads sleep instead of spinning.

    Spinning threads starve whatever else runs, an emulator's thread above all.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass(frozen=True)
class Device:
    """`name` as torch has it ("cpu", "cuda", "mps"); `why` explains the number of threads."""

    name: str
    threads: int
    why: str

    def __str__(self) -> str:
        plural = "s" if self.threads > 1 else ""
        return f"{self.name}, {self.threads} torch thread{plural} ({self.why})"


def choose(name: str, threads: int | None, pixels: bool, env_threads: int) -> Device:
    """The device of a config; `pixels`: a network that is worth more than one thread.

    `env_threads` is how many threads step environments while torch computes.
    """
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
    if threads is not None:
        why = "device.threads"
    elif name != "cpu":
        threads, why = 1, "the network runs on the device"
    elif not pixels:
        threads, why = 1, "a small network is slower on more"
    else:
        # torch's threads wait for each other: one that has to share its core stalls all.
        threads = max(1, cores() - env_threads)
        why = f"{cores()} cores, {env_threads} for environments"
    return Device(name, threads, why)


def apply(device: Device) -> None:
    """Set torch's threads for this process."""
    import torch

    torch.set_num_threads(device.threads)
