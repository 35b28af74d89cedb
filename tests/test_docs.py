"""The docs' own code: what they show works."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)


def test_the_first_demos_print_what_the_page_says() -> None:
    """The page's python blocks, one after another; each text block is what the last one printed."""
    page = (DOCS / "first-demos.md").read_text()
    names: dict[str, Any] = {}
    printed, checked = "", 0
    for language, text in re.findall(r"```(\w+)\n(.*?)```", page, flags=re.DOTALL):
        if language == "python":
            assert not printed, f"the page doesn't show this: {printed}"
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(text, names)
            printed = out.getvalue()
        else:
            assert language == "text" and text == printed
            printed, checked = "", checked + 1
    assert checked == 6 and not printed


def test_your_own_environment_and_agent(own_folder: Path) -> None:
    """Types the page into an empty folder, and runs its commands."""
    for text in [*blocks("your-own.md", "python"), *blocks("your-own.md", "yaml")]:
        name = re.match(r"# ([\w./]+)", text)
        assert name is not None
        path = own_folder / name[1].rstrip(",")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as f:
            f.write(text if path.suffix == ".py" else text.partition("\n")[2])
    (commands,) = blocks("your-own.md", "sh")
    outputs = {}
    for command in commands.strip().splitlines():
        words = command.split()
        assert words[0] == "rlexp"
        done = subprocess.run(
            [sys.executable, "-m", "rlexp.cli", *words[1:]],
            capture_output=True,
            text=True,
            cwd=own_folder,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        outputs[words[1]] = done.stdout + done.stderr
    assert "Places on the line." in outputs["info"]
    assert "equal in all" in outputs["verify"]
    assert "2 of 2 runs finished" in outputs["train"]
    assert (
        f"YAML in {own_folder / 'conf'} comes before rlexp's own"
        in (own_folder / "first/run.log").read_text()
    )
    import json

    (result,) = (own_folder / "first/eval").glob("eval_*.json")
    assert json.loads(result.read_text())["greedy"]["success_rate"] == 1.0


def test_environments_for_other_code() -> None:
    import gymnasium

    (code,) = blocks("gymnasium.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert isinstance(names["env"], gymnasium.Env) and names["done"]
    assert names["total"] < 0 and names["picture"].shape == (256, 256, 3)


def test_the_signaling_game_for_other_code() -> None:
    pytest.importorskip("pettingzoo")
    (code,) = blocks("envs/signaling.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["env"].agents == [] and names["picture"].shape == (224, 160, 3)


def test_bomberman_for_other_code() -> None:
    pytest.importorskip("pettingzoo")
    names: dict[str, Any] = {}
    for code in blocks("envs/bomberman.md", "python"):
        exec(code, names)
    assert names["env"].agents == [] and set(names["lives"]) == {"player_0", "player_1"}
    assert names["picture"].ndim == 3 and len(names["drawn"]) == 4
    assert names["drawn"][0].shape == (11 * 20 + 30, 13 * 20, 3)
    assert names["moments"][-1].step == 3


def test_readme_claims_what_was_measured() -> None:
    """Its tables are what benchmarks/results say, and each figure has an entry in claims.yaml."""
    from claims import readme
    from claims.book import Book

    assert readme.problems(Book(DOCS.parent / "benchmarks/claims.yaml")) == []
