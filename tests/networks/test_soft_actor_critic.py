"""SAC's networks: the squashed density against numerical integration, stacked critics by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from rlexp.networks.distributions import TanhGaussian
from rlexp.networks.soft_actor_critic import SoftActorCritic, TwinQ


def density(action: torch.Tensor, mean: float, log_std: float) -> torch.Tensor:
    """p(a) of actions [B], by the noise that leads to them."""
    u = torch.atanh(action)
    noise = ((u - mean) / math.exp(log_std)).unsqueeze(1)
    ones = torch.ones_like(noise)
    found, log_prob = TanhGaussian(mean * ones, log_std * ones).draw(noise)
    torch.testing.assert_close(found.squeeze(1), action)
    return log_prob.exp()


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.7, -0.5), (-1.5, 0.6)])
def test_the_squashed_density_adds_up_to_one(mean: float, log_std: float) -> None:
    grid = torch.linspace(-12, 12, 100_001, dtype=torch.float64).tanh()  # dense at the ends
    p = density(grid, mean, log_std)
    assert torch.trapezoid(p, grid).item() == pytest.approx(1.0, abs=1e-4)
    # The mean action by the density is that of the samples.
    drawn = TanhGaussian(torch.full((200_000, 1), mean), torch.full((200_000, 1), log_std)).sample(
        np.random.default_rng(0)
    )
    expected = torch.trapezoid(p * grid, grid).item()
    assert drawn.mean().item() == pytest.approx(expected, abs=0.006)


def test_the_density_of_several_entries_is_their_product() -> None:
    policy = TanhGaussian(torch.tensor([[0.3, -1.0]]), torch.tensor([[0.1, -0.4]]))
    noise = torch.tensor([[0.5, -2.0]])
    action, log_prob = policy.draw(noise)
    u = torch.tensor([0.3 + math.exp(0.1) * 0.5, -1.0 + math.exp(-0.4) * -2.0])
    torch.testing.assert_close(action[0], u.tanh())
    normal = torch.distributions.Normal(policy.mean[0], policy.log_std[0].exp()).log_prob(u)
    torch.testing.assert_close(log_prob[0], (normal - (1 - u.tanh() ** 2).log()).sum())


def test_far_out_the_density_stays_finite() -> None:
    """1 - tanh² is 0 in float32 beyond 9; its logarithm is about -2|u| + log 4."""
    mean = torch.tensor([[40.0], [-40.0]], requires_grad=True)
    action, log_prob = TanhGaussian(mean, torch.zeros(2, 1)).draw(torch.zeros(2, 1))
    assert action.abs().max() <= 1
    expected = 80 - math.log(4) - 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(log_prob, torch.full((2,), expected))
    log_prob.sum().backward()
    torch.testing.assert_close(mean.grad, torch.tensor([[2.0], [-2.0]]))


def test_stacked_critics_are_two_networks() -> None:
    torch.manual_seed(0)
    twins = TwinQ(3, [5, 4], "tanh")
    x = torch.randn(6, 3)
    found = twins(x)
    for k in range(2):
        y = x
        for i, (weight, bias) in enumerate(zip(twins.weights, twins.biases, strict=True)):
            y = y @ weight[k] + bias[k]
            y = y.tanh() if i < 2 else y
        torch.testing.assert_close(found[k], y.squeeze(1))
    assert not torch.allclose(found[0], found[1])


def test_deviations_are_bounded() -> None:
    net = SoftActorCritic(Box(-1, 1, (2,)), Box(-1, 1, (1,)), [4], "relu", None)
    with torch.no_grad():
        net.actor[-1].bias[:] = torch.tensor([0.0, 50.0])
        assert net.policy(torch.zeros(1, 2)).log_std.item() == 2.0
        net.actor[-1].bias[1] = -50.0
        assert net.policy(torch.zeros(1, 2)).log_std.item() == -20.0
