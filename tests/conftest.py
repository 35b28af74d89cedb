"""Shared fixtures: a folder of its own for every test, one torch thread, tiny environments."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
# What tests agree to is forgotten with them.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="rlexp-state-")

FAST = ["logger=csv", "evaluation.every=null", "device=cpu", "device.threads=1"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs land in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rlexp() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`rlexp …` as a real process."""

    def call(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rlexp.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    return call


@pytest.fixture
def main(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`rlexp …` in this process: (exit code, stdout, stderr)."""
    from rlexp import cli

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return call
