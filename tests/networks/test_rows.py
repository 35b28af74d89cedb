"""Tables and networks, one a row: their steps by hand, and that rows don't touch each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rlexp.networks.optimizers import SGD
from rlexp.networks.rows import RowNets, RowTables

CPU = torch.device("cpu")


def nets(rows: int, hidden: list[int], init: float = 0.0) -> RowNets:
    torch.manual_seed(0)
    return RowNets(rows, 4, 2, hidden, init, CPU)


def index(*numbers: int) -> np.ndarray:
    return np.array(numbers)


def test_a_table_by_hand() -> None:
    table = RowTables(3, 4, 2, init=0.5)
    errors = table.step(index(0, 2), index(1, 3), index(0, 1), np.array([1.5, 0.0]), lr=0.1)
    np.testing.assert_allclose(errors, [1.0, -0.5])
    assert table.q[0, 1, 0] == pytest.approx(0.6) and table.q[2, 3, 1] == pytest.approx(0.45)
    assert (table.q == 0.5).sum() == 3 * 4 * 2 - 2
    np.testing.assert_allclose(table.values(index(2, 0), index(3, 1)), [[0.5, 0.45], [0.6, 0.5]])


def test_a_net_without_hidden_units_by_hand() -> None:
    """q = w[s, a] + b[a]; the squared error's gradient moves each by 2 lr error."""
    net = nets(1, [], init=1.0)
    before = net.values(index(0), index(2))[0]
    w = net.weights[0].detach().clone()
    np.testing.assert_allclose(before, w[0, 2].numpy() + 1.0, rtol=1e-6)
    (error,) = net.step(index(0), index(2), index(1), np.array([3.0]), lr=0.1)
    assert error == pytest.approx(3.0 - before[1], rel=1e-6)
    moved = net.weights[0].detach() - w
    assert moved[0, 2, 1].item() == pytest.approx(0.2 * error, rel=1e-5)
    assert net.biases[0][0].tolist() == pytest.approx([1.0, 1.0 + 0.2 * error])
    assert moved.abs().sum().item() == pytest.approx(abs(0.2 * error), rel=1e-5)


def test_a_net_is_torchs_own_trained_by_sgd() -> None:
    net = nets(2, [8, 5])
    theirs: list[Any] = []
    for row in range(2):
        layers: list[nn.Module] = []
        for weight, bias in zip(net.weights, net.biases, strict=True):
            layer = nn.Linear(weight.shape[1], weight.shape[2])
            layer.weight.data = weight[row].detach().T.clone()
            layer.bias.data = bias[row].detach().clone()
            layers += [layer, nn.ReLU()]
        theirs.append(nn.Sequential(*layers[:-1]))
    rng = np.random.default_rng(0)
    for _ in range(20):
        states, actions = rng.integers(4, size=2), rng.integers(2, size=2)
        targets = rng.normal(size=2)
        net.step(index(0, 1), states, actions, targets, lr=0.05)
        for row, model in enumerate(theirs):
            sgd = SGD(model.parameters(), lr=0.05)
            q = model(torch.eye(4)[states[row]])[actions[row]]
            (q - float(targets[row])).square().backward()
            sgd.step()
            sgd.zero_grad()
    for row, model in enumerate(theirs):
        expected = model(torch.eye(4)).detach().numpy()
        np.testing.assert_allclose(net.values(np.full(4, row), np.arange(4)), expected, atol=1e-5)


def test_rows_that_are_not_named_stay() -> None:
    net = nets(3, [6])
    before = [net.values(np.full(4, row), np.arange(4)) for row in range(3)]
    net.step(index(1), index(2), index(0), np.array([5.0]), lr=0.1)
    after = [net.values(np.full(4, row), np.arange(4)) for row in range(3)]
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[2], after[2])
    assert not np.allclose(before[1], after[1])
    # The same, whether all rows are looked up or some.
    both = net.values(np.arange(3), index(0, 1, 2))
    np.testing.assert_allclose(both[1:], net.values(index(1, 2), index(1, 2)), rtol=1e-6)


@pytest.mark.parametrize("make", [lambda n: RowTables(n, 4, 2, 0.0), lambda n: nets(n, [6])])
def test_state_comes_back_and_may_be_repeated(make: Any) -> None:
    ours = make(2)
    ours.step(index(1), index(2), index(0), np.array([5.0]), lr=0.1)
    other = make(3)
    other.load(ours.state_dict())
    assert other.rows == 2
    other.load(ours.state_dict(), index(1, 0, 1))
    expected = ours.values(index(1, 0, 1), index(2, 2, 2))
    np.testing.assert_allclose(other.values(np.arange(3), index(2, 2, 2)), expected, rtol=1e-6)
    other.step(np.arange(3), index(0, 0, 0), index(0, 0, 0), np.ones(3), lr=0.1)  # learns on


def test_states_that_do_not_fit() -> None:
    with pytest.raises(RuntimeError, match="the table is"):
        RowTables(1, 5, 2, 0.0).load(RowTables(1, 4, 2, 0.0).state_dict())
    with pytest.raises(RuntimeError, match="layer 0 is"):
        nets(1, [6]).load(nets(1, [7]).state_dict())
