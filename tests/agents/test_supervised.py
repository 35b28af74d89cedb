"""Regressor and classifier: losses and updates by hand, and that they learn."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from rlexp.agents.supervised import Classifier, Regressor, cross_entropy, squared_error
from rlexp.clock import Clock
from rlexp.envs.datasets import Samples
from rlexp.envs.supervised import Classification, Regression, curve, line
from rlexp.errors import UserError
from rlexp.evaluate import evaluate
from rlexp.guard import NonFinite
from rlexp.loop import train
from rlexp.networks.feedforward import absolute_sum
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, Transition

PLAIN: dict[str, Any] = {
    "hidden": [], "convolutions": None, "activation": "tanh", "batch_norm": False,
    "standardise": None, "pixel_scale": 1.0, "init": "zeros", "l1": 0.0, "weight_decay": 0.0,
    "optimizer": "sgd", "lr": 0.1, "momentum": 0.0,
}  # fmt: skip


def regressor(inputs: int = 1, rows: int = 4, **changes: Any) -> Regressor:
    torch.manual_seed(0)
    space, actions = Box(-1, 1, (inputs,), np.float32), Box(-1, 1, (1,), np.float32)
    return Regressor(space, actions, rows, torch.device("cpu"), **(PLAIN | changes))


def classifier(inputs: int = 2, classes: int = 3, rows: int = 4, **changes: Any) -> Classifier:
    torch.manual_seed(0)
    space = Box(-1, 1, (inputs,), np.float32)
    return Classifier(space, Discrete(classes), rows, torch.device("cpu"), **(PLAIN | changes))


def update(agent: Any, x: list[list[float]], target: list[float]) -> Any:
    """One batch through the agent: (actions, metrics)."""
    obs, first = np.array(x, dtype=np.float32), np.ones(len(x), dtype=bool)
    action = agent.act(obs, first, None)
    info = {"target": np.array(target, dtype=np.float32)}
    agent.observe(Transition(np.arange(len(x)), obs, action, first, obs, first, ~first, info))
    return action, agent.learn(Clock())


def weights(agent: Any) -> list[float]:
    return torch.cat([p.detach().flatten() for p in agent.parameters]).tolist()


def test_losses_by_hand() -> None:
    error = squared_error(torch.tensor([[1.0], [4.0]]), torch.tensor([3.0, 3.0]))
    assert error.item() == (4 + 1) / 2
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    found = cross_entropy(logits, torch.tensor([0, 2]))
    assert found.item() == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)
    assert absolute_sum([torch.tensor([[1.0, -2.0]]), torch.tensor([-3.0])]).item() == 6


def test_a_step_of_linear_regression_by_hand() -> None:
    """From W = b = 0: dL/dW = mean(-2 y x), dL/db = mean(-2 y)."""
    agent = regressor(lr=0.1)
    action, metrics = update(agent, [[1.0], [2.0]], [3.0, 5.0])
    assert action.tolist() == [[0.0], [0.0]] and metrics["loss/fit"].item() == (9 + 25) / 2
    assert weights(agent) == pytest.approx([0.1 * (3 + 10), 0.1 * (3 + 5)])
    assert metrics["train/grad_norm"].item() == pytest.approx(math.hypot(13, 8))
    action, _ = update(agent, [[1.0], [2.0]], [3.0, 5.0])
    assert action.ravel().tolist() == pytest.approx([2.1, 3.4])


def test_momentum_and_weight_decay_by_hand() -> None:
    agent = regressor(lr=0.1, momentum=0.5, weight_decay=0.2)
    update(agent, [[1.0]], [1.0])  # gradients -2, -2
    assert weights(agent) == pytest.approx([0.2, 0.2])
    update(agent, [[1.0]], [1.0])  # 2 (0.4 - 1) + 0.2 * 0.2 = -1.16; velocity 0.5 * -2 - 1.16
    assert weights(agent) == pytest.approx([0.416, 0.416])


def test_a_step_of_softmax_regression_by_hand() -> None:
    """From zeros the chances are 1/3 each: the gradient of the logits is p - one-hot."""
    agent = classifier(lr=0.3)
    action, metrics = update(agent, [[1.0, 2.0]], [1])
    assert action.tolist() == [0] and metrics["loss/fit"].item() == pytest.approx(math.log(3))
    down, up = -0.3 / 3, 0.3 * 2 / 3
    expected = [down, 2 * down, up, 2 * up, down, 2 * down, down, up, down]
    assert weights(agent) == pytest.approx(expected, abs=1e-6)


def test_l1_pulls_hidden_weights_and_no_others() -> None:
    """At a target that is met, only the penalty has a gradient: its sign, on hidden kernels."""
    agent = regressor(hidden=[3], init="glorot_uniform", l1=0.05, lr=1.0)
    before = copy.deepcopy(agent.network.state_dict())
    prediction = agent.network(torch.ones(1, 1)).item()
    _, metrics = update(agent, [[1.0]], [prediction])
    after = agent.network.state_dict()
    kernel = before["layers.1.weight"]
    assert metrics["loss/l1"].item() == pytest.approx(0.05 * kernel.abs().sum().item())
    torch.testing.assert_close(after["layers.1.weight"], kernel - 0.05 * kernel.sign())
    for name in ("layers.1.bias", "layers.3.weight", "layers.3.bias"):
        torch.testing.assert_close(after[name], before[name])


def test_gradient_descent_arrives_at_least_squares() -> None:
    env = line(50, 50, 2.0, 5.0, 1.0, 0, held_out=False)
    agent = regressor(rows=50)
    for _ in train(Solo(agent, SOLO, overlap=False), env, Clock(total_steps=50 * 2000), 0):
        pass
    x, y = env.training.x[:, 0].astype(float), env.training.y.astype(float)
    assert weights(agent) == pytest.approx(np.polyfit(x, y, 1).tolist(), abs=1e-3)


def test_batch_norm_learns_with_its_batch_and_plays_with_what_it_has_seen() -> None:
    agent = regressor(hidden=[4], init="glorot_uniform", batch_norm=True, lr=1e-9)
    x = [[1.0], [3.0]]
    before, _ = update(agent, x, [0.0, 0.0])
    shifted, _ = update(agent, [[101.0], [103.0]], [0.0, 0.0])
    np.testing.assert_allclose(shifted, before, atol=1e-4)  # its batch's mean goes, whatever it is
    state = copy.deepcopy(agent.state_dict())
    policy = agent.policy(greedy=True, seed=0)
    one, obs = np.ones(1, dtype=bool), np.array([[3.0]], dtype=np.float32)
    # Running statistics, momentum 0.1: mean 0.1 * 0.9 * 2 + 0.1 * 102, variance from 1.
    norm = agent.network.layers[1]
    assert norm.running_mean.item() == pytest.approx(0.18 + 10.2, rel=1e-5)
    value = (3 - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    expected = agent.network.layers[4](torch.tanh(agent.network.layers[2](value[None])))
    np.testing.assert_allclose(policy.act(obs, one), expected.detach(), rtol=1e-5)
    after = agent.state_dict()
    for name, tensor in state["weights"]["network"].items():
        torch.testing.assert_close(after["weights"]["network"][name], tensor)
    update(agent, x, [5.0, 5.0])
    np.testing.assert_allclose(policy.act(obs, one), expected.detach(), rtol=1e-5)  # a copy


def test_standardised_inputs_are_learnt_from_training_alone() -> None:
    agent = regressor(standardise="running")
    update(agent, [[2.0], [4.0]], [0.0, 0.0])
    inputs = agent.network.standardise
    assert inputs is not None and inputs.mean.item() == 3 and inputs.square.item() == 1
    agent.policy(True, 0).act(np.full((4, 1), 99, dtype=np.float32), np.ones(4, dtype=bool))
    assert inputs.mean.item() == 3


def clusters(rows: int, held_out: bool) -> Classification:
    """Three clouds of points around the corners of a triangle."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = np.array([[0, 0], [1, 0], [0, 1]])[y] + rng.normal(0, 0.15, (300, 2))
    x = x.astype(np.float32)
    return Classification(Samples(x[:200], y[:200]), Samples(x[200:], y[200:]), rows, held_out)


@pytest.mark.parametrize("changes", [
    {"optimizer": "adam", "lr": 0.01},
    {"hidden": [16], "init": "default", "batch_norm": True, "optimizer": "adam", "lr": 0.01},
    {"hidden": [16], "init": "glorot_uniform", "standardise": "running", "momentum": 0.9},
])  # fmt: skip
def test_a_classifier_learns(changes: dict[str, Any]) -> None:
    agent = classifier(rows=20, **changes)
    team = Solo(agent, SOLO, overlap=False)
    act = team.policy(True, 0)
    before = evaluate(clusters(20, True), act, 100, 0).summary()["success_rate"]
    for _ in train(team, clusters(20, False), Clock(total_steps=6000), 0):
        pass
    assert before < 0.7
    assert evaluate(clusters(20, True), team.policy(True, 0), 100, 0).summary()[
        "success_rate"
    ] >= 0.97  # fmt: skip


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "softplus", "tanh"])
def test_a_regressor_learns_a_curve(activation: str) -> None:
    training, test = curve(lambda x: np.sin(2 * np.pi * x), 100, 0.1, 0)
    agent = regressor(
        rows=50, hidden=[32], init="default", activation=activation, standardise="running",
        optimizer="adam", lr=0.02,
    )  # fmt: skip
    team = Solo(agent, SOLO, overlap=False)
    for _ in train(team, Regression(training, test, 50, False), Clock(total_steps=50_000), 0):
        pass
    found = evaluate(Regression(training, test, 50, True), team.policy(True, 0), 100, 0)
    assert found.summary()["return_mean"] > -0.02  # the curve's variance is 0.5


def test_sampled_classes_follow_their_chances() -> None:
    agent = classifier(rows=3000)
    with torch.no_grad():
        agent.parameters[1][:] = torch.log(torch.tensor([0.2, 0.5, 0.3]))
    obs, first = np.zeros((3000, 2), dtype=np.float32), np.ones(3000, dtype=bool)
    assert (agent.policy(True, 0).act(obs, first) == 1).all()
    drawn = agent.policy(False, 0).act(obs, first)
    assert np.bincount(drawn) / 3000 == pytest.approx([0.2, 0.5, 0.3], abs=0.03)
    np.testing.assert_array_equal(agent.policy(False, 0).act(obs, first), drawn)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_state_comes_back(optimizer: str) -> None:
    changes = {
        "hidden": [8], "init": "default", "batch_norm": True, "standardise": "running",
        "optimizer": optimizer, "momentum": 0.9,
    }  # fmt: skip
    agent, again = regressor(**changes), regressor(**(changes | {"lr": 0.1}))
    rng = np.random.default_rng(0)

    def batch() -> tuple[Any, Any]:
        return rng.normal(size=(4, 1)).tolist(), rng.normal(size=4).tolist()

    for _ in range(5):
        update(agent, *batch())
    again.load_state_dict(copy.deepcopy(agent.state_dict()))
    for _ in range(5):
        x, y = batch()
        ours, theirs = update(agent, x, y), update(again, x, y)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1] == theirs[1]
    assert agent.metrics() == again.metrics() == {"train/updates": 10}


def test_a_resumed_run_may_have_another_learning_rate() -> None:
    agent, again = regressor(lr=0.1), regressor(lr=0.2)
    again.load_state_dict(agent.state_dict())
    update(again, [[1.0]], [1.0])
    assert weights(again) == pytest.approx([0.4, 0.4])


def test_numbers_that_are_none_stop_before_the_weights() -> None:
    agent = regressor()
    with pytest.raises(NonFinite, match="loss/fit is nan"):
        update(agent, [[1.0]], [math.nan])
    assert weights(agent) == [0, 0]


@pytest.mark.parametrize(("changes", "message"), [
    ({"convolutions": [[3, 3]], "init": "default"}, "agent.convolutions are for pictures"),
    ({"hidden": [4]}, "agent.init=zeros keeps hidden units alike"),
    ({"hidden": None}, "agent.init=zeros keeps hidden units alike"),
    ({"batch_norm": True, "rows": 1}, "env.num_envs of 2 or more"),
])  # fmt: skip
def test_what_does_not_go_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        regressor(**changes)


def test_a_regressor_has_one_output() -> None:
    space, two = Box(-1, 1, (1,), np.float32), Box(-1, 1, (2,), np.float32)
    with pytest.raises(UserError, match="predicts one number"):
        Regressor(space, two, 4, torch.device("cpu"), **PLAIN)
