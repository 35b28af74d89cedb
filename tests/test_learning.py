"""The learning bars of the presets, on several seeds: minutes each, `pytest -m slow`."""

from __future__ import annotations

from pathlib import Path

import pytest

import rlexp
from rlexp.loggers.csv import read
from rlexp.media.plots import column


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(5))
def test_cartpole_dqn_fast(seed: int) -> None:
    """475+ over 100 greedy games of the last checkpoint, within 50,000 steps."""
    run = ["experiment=cartpole_dqn_fast", f"seed={seed}", "run_dir=run", "logger=csv"]
    rlexp.train(run)
    agent = rlexp.load("run")
    result = agent.evaluate(100)
    print(f"seed {seed}: {result['return_mean']:.1f} of 500 after {agent.step:,} steps")
    assert agent.step <= 50_000
    assert result["return_mean"] >= 475


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_digits(seed: int) -> None:
    """On the 599 held-out digits: 97 % by default and in digits_fast, 90 to 96 % as the source."""
    run = ["logger=csv", "evaluation.gif=false", f"seed={seed}"]
    default = ["env=digits", "agent=classifier", "evaluation.episodes=599", "evaluation.every=1e6"]
    score = {
        "default": rlexp.train([*default, *run]),
        "fast": rlexp.train(["experiment=digits_fast", *run]),
        "source": rlexp.train(["experiment=digits", *run]),
    }
    print(f"seed {seed}:", {name: round(value, 4) for name, value in score.items()})
    assert min(score["default"], score["fast"]) >= 0.97
    assert 0.90 <= score["source"] <= 0.96


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_housing(seed: int) -> None:
    """An epoch's mean loss, penalty included, falls as in the source: from 165.8 to 18.0."""
    rlexp.train(["experiment=housing", "logger=csv", f"seed={seed}", "run_dir=run"])
    rows = read(Path("run/metrics.csv"))[1]
    losses = column(rows, "loss/fit")[1] + column(rows, "loss/l1")[1]
    print(f"seed {seed}: {losses[0]:.1f} to {losses[-1]:.1f}")
    assert len(losses) == 8 and 120 < losses[0] < 260 and losses[-1] < 28


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_sine(seed: int) -> None:
    rlexp.train(["experiment=sine", "logger=csv", f"seed={seed}", "run_dir=run"])
    text = Path("run/media/fit.txt").read_text()
    print(f"seed {seed}: {text.strip()}")
    on_data, on_curve = (float(part.split()[0]) for part in text.replace("R² ", "").split(", "))
    assert on_data > 0.8 and on_curve > 0.95


@pytest.mark.slow
def test_rosenbrock() -> None:
    rlexp.train(["experiment=rosenbrock", "logger=csv", "run_dir=run"])
    text = Path("run/media/path.txt").read_text()
    print(text.strip())
    assert text.startswith("step 10,000: x = (0.99450, 0.98901), f = 3.03e-05")
