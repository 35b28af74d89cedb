"""The learning bars of the presets, on several seeds: minutes each, `pytest -m slow`."""

from __future__ import annotations

import pytest

import rlexp


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
