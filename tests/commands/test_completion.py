"""Tab completion, in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rlexp
from conftest import FAST
from rlexp.commands.completion import answers

Main = Callable[..., tuple[int, str, str]]


def test_answers() -> None:
    assert "train" in answers("rlexp ") and answers("rlexp ev") == ["eval"]
    assert answers("rlexp train agent=dd") == ["agent=ddqn"]
    assert "agent.lr=" in answers("rlexp train agent.l")
    assert answers("rlexp list exp") == ["experiment"]
    rlexp.train([*FAST, "total_steps=10", "run_dir=outputs/a/b"])
    assert answers("rlexp eval out") == ["outputs/a/b"]


def test_scripts(main: Main) -> None:
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = main("completion", shell)
        assert code == 0 and "rlexp __complete" in out
    code, _, err = main("completion", "bsh")
    assert code == 2 and "Did you mean 'bash'" in err


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_in_a_real_bash(main: Main, tmp_path: Path) -> None:
    """The function as bash calls it, with '=' as a word break as bash has it."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/rlexp"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m rlexp.cli "$@"\n')
    command.chmod(0o755)
    script = main("completion", "bash")[1] + (
        '\nCOMP_LINE="rlexp train agent=dd"; COMP_POINT=${#COMP_LINE}; _rlexp\n'
        'echo "${COMPREPLY[@]}"\n'
    )
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    assert done.stdout.strip() == "ddqn"
