"""Normalised advantages and returns of A2C, PPO and REINFORCE: how, and what one step does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rlexp
from on_policy import agent, run
from rlexp.agents import a2c, ppo
from rlexp.errors import UserError
from tiny import Corridor


@pytest.mark.parametrize(("kind", "module", "correction"), [("a2c", a2c, 0), ("ppo", ppo, 1)])
def test_a2c_divides_by_n_and_ppo_by_one_less(
    kind: str, module: Any, correction: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    advantages: list[torch.Tensor] = []
    loss = module.policy_loss

    def watched(first: torch.Tensor, advantage: torch.Tensor, *rest: Any) -> Any:
        advantages.append(advantage)
        return loss(first, advantage, *rest)

    monkeypatch.setattr(module, "policy_loss", watched)
    player = agent(kind, Corridor(2), rollout_steps=4, normalise_advantage=True)
    run(player, Corridor(2), 8)
    assert advantages[0].std(correction=correction).item() == pytest.approx(1.0, abs=1e-5)
    assert advantages[0].mean().item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["a2c", "ppo"])
def test_a_single_advantage_still_teaches(kind: str) -> None:
    """A run from before new ones were refused: A2C's policy once never moved from where it was."""
    changes = {"value_coef": 0.0, "rollout_steps": 1, "normalise_advantage": True}
    player = agent(kind, Corridor(1), **changes)
    before = torch.nn.utils.parameters_to_vector(player.net.policy_head.parameters()).detach()
    run(player, Corridor(1), 5)
    after = torch.nn.utils.parameters_to_vector(player.net.policy_head.parameters())
    assert torch.isfinite(after).all() and not torch.equal(after, before)


@pytest.mark.parametrize("returns", [[0.1], [0.1, 0.1, 0.1], [-3.3] * 7])
def test_equal_returns_have_no_deviation_to_divide_by(returns: list[float]) -> None:
    """They were once divided by 1e-8 (a weight of 0.1 became 10,000,000)."""
    player = agent("reinforce", Corridor(1), baseline="none", normalise_returns="deviation")
    data = {"returns": np.array(returns, dtype=np.float32)}
    np.testing.assert_allclose(player.weights(data), returns, rtol=1e-6)
    player.normalise_returns = "both"
    expected = returns if len(returns) == 1 else np.zeros(len(returns))
    np.testing.assert_allclose(player.weights(data), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["agent=a2c", "agent.normalise_advantage=true", "agent.rollout_steps=1"],
            "agent.rollout_steps=1 with env.num_envs=1 makes batches of one: "
            "write agent.normalise_advantage=false",
        ),
        (["agent=ppo", "agent.batch_size=1"], "agent.batch_size=1 makes batches of one"),
        (["agent=ppo", "agent.rollout_steps=1"], "agent.rollout_steps=1 with env.num_envs=1"),
        (
            ["agent=reinforce", "agent.baseline=leave_one_out", "agent.episodes=1"],
            "agent.episodes=1 with env.num_envs=1 has one: write agent.episodes=2 or more",
        ),
    ],
)
def test_a_new_run_with_batches_of_one_is_refused(
    overrides: list[str], words: str, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    common = ["env=cartpole", "total_steps=20", "device.threads=1", f"run_dir={run_dir}"]
    with pytest.raises(UserError) as refused:
        rlexp.train([*common, *overrides])
    assert words in str(refused.value) and "\n" not in str(refused.value)
    assert not run_dir.exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["agent=a2c", "agent.normalise_advantage=true", "agent.rollout_steps=1", "env.num_envs=2"],
        ["agent=a2c", "agent.rollout_steps=1"],
        ["agent=ppo", "agent.batch_size=1", "agent.normalise_advantage=false"],
        ["agent=ppo", "agent.batch_size=1000", "agent.rollout_steps=2"],
    ],
)
def test_batches_of_two_and_plain_advantages_are_not(overrides: list[str], tmp_path: Path) -> None:
    common = ["env=cartpole", "total_steps=4", "evaluation.every=null", "device.threads=1"]
    rlexp.train([*common, f"run_dir={tmp_path / 'run'}", "logger=[csv]", *overrides])
