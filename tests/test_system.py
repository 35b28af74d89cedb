"""What system.json holds of uncommitted work: bounded, and said where it is cut."""

from __future__ import annotations

import json
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from rlexp import system
from rlexp.report import facts
from rlexp.report.reading import Run
from rlexp.run_dir import RunDir


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    Path("a.txt").write_text("one\n")
    Path("table.csv").write_text("x\n")
    Path("image.bin").write_bytes(bytes(range(256)))
    git("add", ".")
    git("-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "first")
    return tmp_path


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def test_a_small_diff_is_whole(repository: Path) -> None:
    assert system.facts()["git_patch"] is None and system.facts()["git_changed"] == []
    Path("a.txt").write_text("two\n")
    Path("image.bin").write_bytes(bytes(range(255, -1, -1)) * 100)
    Path("new.py").write_text("pass\n")
    Path("outputs/run").mkdir(parents=True)
    Path("outputs/run/x").touch()
    state = system.facts()
    assert "-one\n+two\n" in state["git_patch"] and "image.bin differ" in state["git_patch"]
    assert state["git_changed"] == ["a.txt", "image.bin"]
    assert state["git_untracked"] == ["new.py", "outputs/"]


def test_a_huge_diff_is_cut_at_a_line_and_said(repository: Path) -> None:
    Path("table.csv").write_text("".join(f"{i},0.123456789\n" for i in range(1_000_000)))
    Path("z.txt").write_text("z\n")
    git("add", "z.txt")
    tracemalloc.start()
    state: dict[str, Any] = system.facts()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000
    patch = state["git_patch"]
    assert len(patch) < 1_000_100 and patch.startswith("diff --git a/table.csv")
    *lines, last = patch.splitlines()
    assert lines[-1].endswith(",0.123456789")
    size = len(subprocess.run(["git", "diff", "HEAD"], capture_output=True, check=True).stdout)
    assert last == f"[cut here: {len(patch) - len(last) - 1:,} of {size:,} bytes]"
    assert state["git_changed"] == ["table.csv", "z.txt"]  # what was cut off included


def test_a_file_in_another_encoding_does_not_lose_the_diff(repository: Path) -> None:
    Path("a.txt").write_bytes("größe\n".encode("latin-1"))
    assert "gr\ufffd\ufffde" in system.facts()["git_patch"]


def test_many_untracked_names_are_cut(repository: Path) -> None:
    for number in range(1200):
        Path(f"{number:04d}").touch()
    names = system.facts()["git_untracked"]
    assert len(names) == 1001 and names[-1] == "[cut here: 6,000 bytes of names]"


def test_outside_a_repository_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    state = system.facts()
    assert state["git_commit"] is None and state["git_patch"] is None


def test_huge_diffs_of_earlier_versions_are_not_kept_in_memory(tmp_path: Path) -> None:
    patch = "diff --git a/x b/x\n" + "+0123456789\n" * 500_000
    (tmp_path / "system.json").write_text(json.dumps({"git_patch": patch}))
    read = Run(RunDir(tmp_path), "run").system["git_patch"]
    assert len(read) < 1_000_100 and read.endswith(f" of {len(patch):,} bytes]\n")


def test_a_report_says_that_a_diff_was_cut(tmp_path: Path) -> None:
    patch = "diff --git a/x b/x\n" + "+0123456789\n" * 500_000
    (tmp_path / "system.json").write_text(json.dumps({"git_commit": "0", "git_patch": patch}))
    ((shown, runs),) = facts.collect([Run(RunDir(tmp_path), "run")]).patches
    assert runs == 1 and len(shown) < 100_000
    assert shown.splitlines()[-1] == f"[cut here: 999,991 of {len(patch):,} bytes]"
