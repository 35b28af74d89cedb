"""Networks by config: shapes, padding, scale, and how weights begin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from rlexp.networks.feedforward import FeedForward

PICTURE = Box(0, 255, (1, 8, 8), np.uint8)
VECTOR = Box(-1, 1, (5,), np.float32)


def make(space: Any, outputs: int = 10, **changes: Any) -> FeedForward:
    values: dict[str, Any] = {
        "hidden": None, "convolutions": None, "activation": "relu", "batch_norm": False,
        "standardise": None, "pixel_scale": 1.0, "init": "default",
    }  # fmt: skip
    torch.manual_seed(0)
    return FeedForward(space, outputs, **(values | changes))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_padding_is_torchs_same(kernel: int) -> None:
    net = make(PICTURE, convolutions=[[4, kernel]], hidden=[])
    same = nn.Conv2d(1, 4, kernel, padding="same")
    (ours,) = (layer for layer in net.layers if isinstance(layer, nn.Conv2d))
    same.load_state_dict(ours.state_dict())
    x = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(net(x), net.layers[-1](same(x / 255).relu().flatten(1)))


@pytest.mark.parametrize(("space", "changes", "count"), [
    (VECTOR, {}, 5 * 64 + 64 + 64 * 10 + 10),
    (VECTOR, {"hidden": []}, 5 * 10 + 10),
    (VECTOR, {"hidden": [7, 6], "batch_norm": True},
     2 * 5 + 5 * 7 + 7 + 2 * 7 + 7 * 6 + 6 + 6 * 10 + 10),
    (PICTURE, {}, 32 * 9 + 32 + 64 * 32 * 9 + 64 + 64 * 64 * 10 + 10),
    (PICTURE, {"convolutions": [[5, 3], [3, 2]], "hidden": []},
     5 * 9 + 5 + 3 * 5 * 4 + 3 + 3 * 64 * 10 + 10),
    (PICTURE, {"convolutions": [], "hidden": [4]}, 64 * 4 + 4 + 4 * 10 + 10),
])  # fmt: skip
def test_layers(space: Any, changes: dict[str, Any], count: int) -> None:
    net = make(space, **changes)
    assert sum(p.numel() for p in net.parameters()) == count
    obs = torch.from_numpy(np.stack([space.sample() for _ in range(3)]))
    assert net(obs).shape == (3, 10) and net(obs).dtype == torch.float32


def test_a_full_pixel_is_what_the_scale_says() -> None:
    ink = torch.full((1, 1, 8, 8), 255, dtype=torch.uint8)
    net = make(PICTURE, 1, convolutions=[], hidden=[], pixel_scale=16.0)
    weight, bias = net.layers[1].weight, net.layers[1].bias
    torch.testing.assert_close(net(ink)[0], 16 * weight.sum(1) + bias)


def test_standardised_vectors() -> None:
    net = make(VECTOR, 1, hidden=[], standardise="running")
    net.see(torch.tensor([[10.0] * 5, [30.0] * 5]))
    weight, bias = net.layers[1].weight, net.layers[1].bias
    torch.testing.assert_close(net(torch.full((1, 5), 30.0))[0], weight.sum(1) + bias)
    first = make(VECTOR, 1, hidden=[], standardise=2)
    first.see(torch.tensor([[10.0] * 5, [30.0] * 5, [99.0] * 5]))
    torch.testing.assert_close(first(torch.full((1, 5), 30.0)), net(torch.full((1, 5), 30.0)))
    assert make(PICTURE, 1, standardise="running").standardise is None


def test_how_weights_begin() -> None:
    glorot = make(VECTOR, 200, hidden=[300], init="glorot_uniform")
    limit = math.sqrt(6 / (5 + 300))
    first = glorot.layers[1]
    assert first.weight.abs().max() <= limit and first.weight.std().item() == pytest.approx(
        limit / math.sqrt(3), rel=0.1
    )
    assert not first.bias.any() and not glorot.layers[3].bias.any()
    zeros = make(VECTOR, hidden=[], init="zeros")
    assert not any(p.any() for p in zeros.parameters())
