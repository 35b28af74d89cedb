"""Runs every classic preset as a user would, one after the other: seconds, score, pictures.

    uv run python scripts/presets.py [NAME …]

Without names: all but those that take longer by far (Catcher, Mario, and what needs an extra).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rlexp.config import paths

LONG = ("mario", "catcher", "halfcheetah", "pybullet")


def run(preset: str, folder: Path) -> tuple[float, str, list[str]]:
    """(seconds, score or error, names of the pictures)."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "rlexp.cli", "train", f"experiment={preset}"]
    done = subprocess.run([*command, f"run_dir={folder}"], capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        return seconds, "failed: " + done.stderr.strip().splitlines()[-1], []
    pictures = sorted(p.name for p in folder.rglob("*") if p.suffix in (".png", ".gif"))
    status = folder / "status.json"
    score = "a sweep"
    if status.is_file():
        found = json.loads(status.read_text())["score"]
        score = "no score" if found is None else f"score {found:.4g}"
    return seconds, score, pictures


def main() -> None:
    named = sys.argv[1:]
    every = sorted(p for p in paths.options("experiment") if not p.startswith(LONG))
    total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for preset in named or every:
            seconds, score, pictures = run(preset, Path(folder) / preset)
            total += seconds
            print(f"{preset:<26} {seconds:6.1f} s  {score:<16} {' '.join(pictures)}", flush=True)
    print(f"{total / 60:.1f} minutes in all")


if __name__ == "__main__":
    main()
