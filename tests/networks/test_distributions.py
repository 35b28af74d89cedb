"""Distributions against torch's own, and samples against their probabilities."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from rlexp.networks.actor_critic import ActorCritic
from rlexp.networks.distributions import Categorical, Categoricals, Gaussian


def test_categorical_like_torchs() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 3.0]])
    ours, theirs = Categorical(logits), torch.distributions.Categorical(logits=logits)
    action = torch.tensor([2, 0])
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    assert ours.mode().tolist() == [0, 2]


def test_samples_come_as_often_as_they_should() -> None:
    chances = np.array([0.5, 0.2, 0.3])
    policy = Categorical(torch.tensor(np.log(chances)).float().repeat(20_000, 1))
    found = np.bincount(policy.sample(np.random.default_rng(0)).numpy(), minlength=3) / 20_000
    np.testing.assert_allclose(found, chances, atol=4 * np.sqrt(0.25 / 20_000))


def test_illegal_actions_never_happen() -> None:
    legal = torch.tensor([[True, False, True]]).repeat(5000, 1)
    logits = torch.tensor([[0.0, 50.0, 1.0]]).repeat(5000, 1).requires_grad_()
    policy = Categorical(logits, legal)
    assert set(policy.sample(np.random.default_rng(0)).tolist()) == {0, 2}
    assert policy.mode().unique().tolist() == [2]
    two = torch.distributions.Categorical(logits=torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(policy.entropy()[0], two.entropy())
    policy.entropy().sum().backward()
    assert torch.isfinite(logits.grad).all() and (logits.grad[:, 1] == 0).all()


def test_several_choices_add_up() -> None:
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    policy = Categoricals(logits, [2, 3])
    first, second = Categorical(logits[:, :2]), Categorical(logits[:, 2:])
    action = torch.tensor([[0, 1], [1, 2], [1, 0], [0, 0]])
    expected = first.log_prob(action[:, 0]) + second.log_prob(action[:, 1])
    torch.testing.assert_close(policy.log_prob(action), expected)
    torch.testing.assert_close(policy.entropy(), first.entropy() + second.entropy())
    legal = torch.tensor([[True, True, False, False, True]]).repeat(4, 1)
    assert (Categoricals(logits, [2, 3], legal).mode()[:, 1] == 2).all()


def test_gaussian_like_torchs() -> None:
    mean, log_std = torch.tensor([[0.5, -1.0]]), torch.tensor([0.3, -0.7])
    ours = Gaussian(mean, log_std)
    theirs = torch.distributions.Normal(mean, log_std.exp())
    action = torch.tensor([[0.1, 0.2]])
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action).sum(-1))
    torch.testing.assert_close(ours.entropy(), theirs.entropy().sum(-1))
    many = Gaussian(mean.repeat(20_000, 1), log_std).sample(np.random.default_rng(0))
    np.testing.assert_allclose(many.mean(0), mean[0], atol=0.05)
    np.testing.assert_allclose(many.std(0), log_std.exp(), rtol=0.03)


def test_shapes_for_every_kind_of_action() -> None:
    seen = Box(-1, 1, (3,), np.float32)
    rng = np.random.default_rng(0)
    for space, shape in (
        (Discrete(4), (7,)),
        (MultiDiscrete([2, 3]), (7, 2)),
        (Box(-1, 1, (2,), np.float32), (7, 2)),
    ):
        net = ActorCritic(seen, space, [8], shared=True)
        policy, value = net(torch.zeros(7, 3))
        action = policy.sample(rng)
        assert tuple(action.shape) == shape and value.shape == (7,)
        assert policy.log_prob(action).shape == policy.entropy().shape == (7,)


def test_a_new_policy_is_nearly_uniform_and_trunks_are_apart_unless_shared() -> None:
    torch.manual_seed(0)
    seen = Box(-1, 1, (3,), np.float32)
    for shared in (True, False):
        net = ActorCritic(seen, Discrete(4), [8], shared=shared)
        policy, _ = net(torch.randn(100, 3))
        assert policy.entropy().min() > np.log(4) - 0.01
        net(torch.randn(100, 3))[1].sum().backward()
        reached = any(p.grad is not None for p in net.actor.parameters())
        assert reached == shared
