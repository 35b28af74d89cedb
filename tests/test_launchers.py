"""Launchers of others: the same numbers, wherever a run is done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from rlexp.run_dir import RunDir

Main = Callable[..., tuple[int, str, str]]
SWEEP = [
    *("experiment=cartpole_ppo", "agent.lr=1e-4,1e-3,1e-2", "seed=0,1,2,3", "total_steps=2048"),
    *("evaluation.every=1024", "evaluation.gif=false", "logger=csv", "device.threads=1"),
]
OTHERS = {
    "submitit_local": ("hydra-submitit-launcher", ["hydra.launcher.timeout_min=60"]),
    "ray": (
        "hydra-ray-launcher",
        ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"],
    ),
}


def installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


@pytest.mark.parametrize("launcher", OTHERS)
def test_one_that_is_not_installed(main: Main, own_folder: Path, launcher: str) -> None:
    if installed(OTHERS[launcher][0]):
        pytest.skip(f"{launcher} is installed here")
    code, _, err = main("train", "-m", f"hydra/launcher={launcher}", "seed=0,1", "run_dir=s")
    assert code == 2 and err.count("\n") == 1 and list(own_folder.iterdir()) == []
    assert f"hydra/launcher={launcher} is not installed: pip install " in err


def test_a_cluster_that_is_not_here(main: Main, own_folder: Path) -> None:
    if not installed("hydra-submitit-launcher") or shutil.which("srun"):
        pytest.skip("needs hydra-submitit-launcher, and no Slurm")
    slurm = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=cpu"]
    code, _, err = main("train", "-m", *slurm, "seed=0,1", "run_dir=s")
    assert code == 2 and err.count("\n") == 1 and list(own_folder.iterdir()) == []
    assert err.startswith("rlexp: hydra/launcher: Could not detect")


def scores(folder: str) -> dict[str, float]:
    return {p.name: RunDir(p).read_status()["score"] for p in sorted(Path(folder).glob("0*"))}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", OTHERS)
@pytest.mark.timeout(3600)
def test_the_same_returns_seed_by_seed(launcher: str) -> None:
    package, more = OTHERS[launcher]
    if not installed(package):
        pytest.skip(f"{package} is not installed")
    for folder, words in (("local", []), ("other", [f"hydra/launcher={launcher}", *more])):
        command = [sys.executable, "-m", "rlexp.cli", "train", "-m", *words, *SWEEP]
        quiet = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
        done = subprocess.run(
            [*command, f"run_dir={folder}"], capture_output=True, text=True, env=quiet
        )
        assert done.returncode == 0 and "12 of 12 runs finished" in done.stderr, done.stderr
    print(scores("local"))
    assert scores("other") == scores("local") and len(scores("local")) == 12
