"""What a process may use: a container's limits, and the numbers of threads that a user set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlexp import cgroup, machine


def tree(root: Path, own: str, files: dict[str, str]) -> Path:
    """A file system of /proc/self/cgroup and files below /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


V1 = "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n"


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),  # one and a half
        ("0::/\n", {"cpu.max": "10000 100000"}, 1),
        ("0::/\n", {"cpu.max": "50000"}, 1),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/\n", {"cpu.max": "200000 0"}, None),
        # A group of its own below one that is limited, and the other way round.
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "100000 100000", "a/cpu.max": "300000 100000"}, 1),
        ("0::/a\n", {"elsewhere/cpu.max": "100000 100000"}, None),
        # In a container's own namespace the group's name is not below the mount.
        ("0::/../../job\n", {"cpu.max": "200000 100000"}, 2),
        # Version 1, seen from the host and from the container.
        (V1, {"cpu/docker/abc/cpu.cfs_quota_us": "250000",
              "cpu/docker/abc/cpu.cfs_period_us": "100000"}, 3),
        (V1, {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "50000"}, 1),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)  # fmt: skip
def test_the_cpu_limit_of_a_container(
    own: str, files: dict[str, str], limit: int | None, tmp_path: Path
) -> None:
    assert cgroup.cpus(tree(tmp_path, own, files)) == limit


def test_cores_are_those_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RLEXP_CORES", raising=False)
    free = machine.cores(tmp_path)  # no such files: no limit
    assert free >= 1
    assert machine.cores(tree(tmp_path, "0::/\n", {"cpu.max": "100000 100000"})) == 1
    monkeypatch.setenv("RLEXP_CORES", "7")
    assert machine.cores(tmp_path) == 7


@pytest.mark.parametrize(
    ("own", "files", "free"),
    [
        ("0::/\n", {"memory.max": "1000", "memory.current": "300"}, 700),
        ("0::/\n", {"memory.max": "1000", "memory.current": "900",
                    "memory.stat": "anon 100\ninactive_file 500"}, 600),
        ("0::/\n", {"memory.max": "max", "memory.current": "300"}, None),
        ("0::/a\n", {"a/memory.max": "max", "a/memory.current": "1",
                     "memory.max": "1000", "memory.current": "1001"}, 0),
        (V1, {"memory/memory.limit_in_bytes": "1000", "memory/memory.usage_in_bytes": "300",
              "memory/memory.stat": "cache 9\ntotal_inactive_file 100"}, 800),
        ("", {}, None),
    ],
)  # fmt: skip
def test_the_memory_of_a_container(
    own: str, files: dict[str, str], free: int | None, tmp_path: Path
) -> None:
    assert cgroup.free_memory(tree(tmp_path, own, files)) == free


THREADS = """
import torch
from rlexp import device
chosen = device.choose("cpu", {threads}, pixels=True, can_shard={shard}, overlap=False)
device.apply(chosen)
print(chosen, torch.get_num_threads(), chosen.shards, sep="; ")
"""


@pytest.mark.parametrize(
    ("given", "threads", "shard", "printed"),
    [
        ({"OMP_NUM_THREADS": "1"}, None, False, "cpu, 1 thread (OMP_NUM_THREADS=1); 1; 1"),
        ({"OMP_NUM_THREADS": "1"}, None, True, "cpu, 1 thread (OMP_NUM_THREADS=1); 1; 1"),
        ({"OMP_NUM_THREADS": "2,1", "MKL_NUM_THREADS": "3"}, None, True,
         "cpu, 2 threads (OMP_NUM_THREADS=2, each with its share of a batch); 1; 2"),
        ({"MKL_NUM_THREADS": "1"}, None, False, "cpu, 1 thread (MKL_NUM_THREADS=1); 1; 1"),
        ({"OMP_NUM_THREADS": "64"}, None, False, "cpu, 4 threads (of 8 cores); 4; 1"),
        ({"OMP_NUM_THREADS": "many"}, None, False, "cpu, 4 threads (of 8 cores); 4; 1"),
        ({}, None, False, "cpu, 4 threads (of 8 cores); 4; 1"),
        ({"OMP_NUM_THREADS": "1"}, 2, False, "cpu, 2 threads (device.threads); 2; 1"),
    ],
)  # fmt: skip
def test_threads_that_a_user_set_are_not_exceeded(
    given: dict[str, str], threads: int | None, shard: bool, printed: str
) -> None:
    """In a process of its own, as torch and OpenMP read them once."""
    others = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(threads=threads, shard=shard)],
        env=others | {"RLEXP_CORES": "8"} | given, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == printed
