"""scripts/results.py on a run of one's own."""

from __future__ import annotations

import shutil
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
    shutil.copytree("given", "other")
    Path("other/overrides.yaml").write_text("- env=maze\n- env.stage=1-2\n")
    monkeypatch.setattr(sys, "argv", ["results.py", "given", "other"])
    results.main()
    page = Path("results/results.md").read_text()
    assert (
        "rlexp eval given episodes=3" in page and "| greedy |" in page and "| given | 0 |" in page
    )
    assert "zoo/" not in page  # where our own curves come from
    assert page.count("\n## ") == 2 and "env=maze env.stage=1-2\n" in page
    assert len(list(Path("results/images").glob("results_*.png"))) == 2


def test_a_folder_without_runs_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["results.py", "nowhere"])
    with pytest.raises(SystemExit, match="results: no run"):
        results.main()
