"""Run directories as `rlexp train` leaves them, made in no time."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rlexp.media import gif

COLUMNS = ["loss/total", "time/elapsed_s", "time/steps_per_s", "train/length", "train/return"]
PACKAGES = {"rlexp": "0.1.0", "torch": "2.14.1", "numpy": "2.5.5"}


def run(
    path: Path,
    seed: int = 0,
    rows: int = 100,
    score: float | None = None,
    state: str = "finished",
    time: float = 1_795_000_000.0,
    **config: Any,
) -> Path:
    """One run whose return rises to `score`; config keys as agent__lr=1e-3."""
    path.mkdir(parents=True)
    tree: dict[str, Any] = {
        "seed": seed,
        "total_steps": 1000 * rows,
        "run_dir": str(path),
        "resume": "auto",
        "evaluation": {"every": 10_000, "episodes": 10},
        "env": {"name": "cartpole", "id": "CartPole-v1", "num_envs": 8},
        "agent": {"name": "ppo", "lr": 1e-3, "hidden": [64, 64], "lr_decay": None},
        "device": {"name": "cpu", "threads": 1},
        "logger": {"csv": {"name": "csv"}},
    }
    for key, value in config.items():
        node, (*parents, last) = tree, key.split("__")
        for parent in parents:
            node = node[parent]
        node[last] = value
    final = 100.0 + seed if score is None else score
    (path / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    (path / "overrides.yaml").write_text(
        "".join(f"- {k.replace('__', '.')}={v}\n" for k, v in {**config, "seed": seed}.items())
    )
    facts = {
        "command": ["rlexp", "train", "-m", "seed=0,1"], "python": "3.13.0",
        "platform": "Linux-6.1-x86_64", "processor": "x86_64", "cores": 2, "packages": PACKAGES,
        "git_commit": "0123456789abcdef0123456789abcdef01234567", "git_patch": None,
    }  # fmt: skip
    (path / "system.json").write_text(json.dumps(facts))
    status = {"state": state, "pid": os.getpid(), "host": platform.node(), "time": time + seed}
    status |= {"steps": 1000 * rows, "episodes": 10 * rows}
    if state == "finished":
        status["score"] = final
    if state == "failed":
        status["error"] = "NonFinite: loss/total is nan"
    (path / "status.json").write_text(json.dumps(status))
    (path / "metrics.csv").write_text(metrics(rows, final, seed))
    return path


def metrics(rows: int, final: float, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 1, rows + 1)[1:]
    returns = final * (1 - np.exp(-4 * share)) / (1 - np.exp(-4)) + rng.normal(0, 2, rows)
    lines = [",".join(["step", *COLUMNS, "eval/return_mean"])]
    for i, value in enumerate(returns, start=1):
        last = i == rows
        evaluation = repr(final if last else float(value)) if i % 10 == 0 or last else ""
        numbers = [1 / i, i / 10, 9000.0, float(value), float(value)]
        lines.append(",".join([str(1000 * i), *map(repr, numbers), evaluation]))
    return "\n".join(lines) + "\n"


def sweep(folder: Path, lrs: dict[float, float], seeds: int = 4, **options: Any) -> list[Path]:
    """Learning rate → score; each of its seeds ends a little above or below."""
    found = []
    for lr, score in lrs.items():
        for seed in range(seeds):
            name = f"{len(found):03d}_agent.lr={lr},seed={seed}"
            end = score + 3.0 * (seed - (seeds - 1) / 2)
            found.append(run(folder / name, seed, score=end, agent__lr=lr, **options))
    return found


def picture(path: Path, frames: int = 30, size: tuple[int, int] = (96, 160)) -> Path:
    """A GIF of noise: as large as one can be."""
    rng = np.random.default_rng(0)
    shown = [rng.integers(0, 255, (*size, 3)).astype(np.uint8) for _ in range(frames)]
    return gif.write(path, shown, 20)
