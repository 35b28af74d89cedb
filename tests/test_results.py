"""scripts/results.py on a run of one's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import results
import rlexp

Main = Callable[..., tuple[int, str, str]]


def test_a_page_of_curves(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    rlexp.train(["env=maze", "agent=tabular_policy_gradient", "total_episodes=60",
                 "evaluation.every=300", "evaluation.episodes=2", "run_dir=run"])  # fmt: skip
    assert main("eval", "run", "episodes=3", "gif=false")[0] == 0
    assert main("export", "run", "given")[0] == 0
    monkeypatch.setattr(sys, "argv", ["results.py", "given"])
    results.main()
    page = Path("results/results.md").read_text()
    assert (
        "rlexp eval given episodes=3" in page and "| greedy |" in page and "| given | 0 |" in page
    )
    assert "zoo/" not in page  # where our own curves come from
    assert len(list(Path("results/images").glob("results_*.png"))) == 1


def test_a_folder_without_runs_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["results.py", "nowhere"])
    with pytest.raises(SystemExit, match="results: no run"):
        results.main()
