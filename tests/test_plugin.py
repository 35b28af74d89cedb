"""A package of somebody else's, installed for real: its parts work like our own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs/your-own.md"
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "walk-package"
version = "1.0"
[project.entry-points."rlexp.plugins"]
walk = "walk_package"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The docs' environment and agent as a package with an entry point, installed by pip."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    package = source / "walk_package"
    package.mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    text = DOCS.read_text()
    python = "".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    (package / "__init__.py").write_text(python.replace("rlexp_plugins:", "walk_package:"))
    for block in re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, flags=re.DOTALL):
        path = package / block[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block[1])
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    install += ["--no-build-isolation", "--no-index", "--target", str(target), str(source)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def call(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rlexp.cli", *arguments],
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )


def test_a_plugin_works_like_our_own(site: Path) -> None:
    def good(*arguments: str) -> str:
        done = call(site, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "walk " in good("list", "env") and "careful " in good("list", "agent")
    assert "Weight of the pull." in good("info", "agent=careful")
    good("train", "env=walk", "agent=careful", "total_steps=1500", "run_dir=run")
    result = json.loads(good("eval", "run", "episodes=5", "gif=false", "--json"))
    assert result["greedy"]["played"] == 5
    assert "from step 1,500" in good("resume", "run", "total_steps=2000")
    assert "equal in all" in good("verify", "env=walk", "agent=careful", "steps=800")
    told = good("train", "-m", "env=walk", "agent=careful", "agent.pull=0,1e-3",
                "total_steps=300", "run_dir=sweep")  # fmt: skip
    assert "2 of 2 runs finished" in told and "000_agent.pull=0" in told


def test_mistakes_with_a_plugin_are_one_line_too(site: Path) -> None:
    for arguments, message in (
        (["env=wlak"], "Did you mean 'walk'"),
        (["env=walk", "env.widht=3"], "Did you mean 'env.width'"),
        (["env=walk", "env.width=2"], "env.width=2 must be at least 3"),
        (["env=walk", "agent=careful", "agent.pull=-1"], "agent.pull=-1.0 must be at least 0"),
    ):
        done = call(site, "train", *arguments)
        assert done.returncode == 2 and message in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1


def test_a_broken_plugin_is_told_and_does_not_stop_others(site: Path, own_folder: Path) -> None:
    broken = own_folder / "site/broken-1.0.dist-info"
    broken.mkdir(parents=True)
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[rlexp.plugins]\nbroken = broken_package\n")
    (own_folder / "site/broken_package.py").write_text("import not_there\n")
    done = call(
        own_folder / "site", "train", "total_steps=20", "evaluation.every=null", "logger=csv"
    )
    assert done.returncode == 0
    assert "plugin broken can't be loaded: ModuleNotFoundError" in done.stderr
