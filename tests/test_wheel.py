"""The wheel carries the YAML, and an installed rlexp finds it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_works_on_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    assert "rlexp/conf/train.yaml" in names and "rlexp/conf/experiment/mario_ddqn.yaml" in names
    shipped = {n.removeprefix("rlexp/envs/data/") for n in names if "/envs/data/" in n}
    assert shipped >= {
        "digits.csv.gz",
        "boston_house_prices.csv",
        "diabetes_data_raw.csv.gz",
        "diabetes_target.csv.gz",
        "emoji.npz",
        "LICENSE-scikit-learn.txt",
        "LICENSE-noto-emoji.txt",
        "LICENSE-emoji-datasource.txt",
        "README.md",
    }
    assert not [n for n in names if n.startswith(("tests/", "conf/", "scripts/"))]
    empty = tmp_path / "empty"
    empty.mkdir()
    script = (
        "import rlexp, sys; from rlexp import cli; "
        f"assert rlexp.__file__.startswith({str(site)!r}), rlexp.__file__; "
        "from rlexp.envs import datasets; from rlexp.envs.images import emoji; "
        "assert len(emoji.glyphs()[0]) == 12; "
        "assert len(datasets.digits()) + len(datasets.housing('boston', [])) == 2303; "
        "sys.exit(cli.main(['train', 'env=mario', 'agent=ddqn', '--cfg', 'job']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "stage: 1-1" in done.stdout
