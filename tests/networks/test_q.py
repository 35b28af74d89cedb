"""Action-value networks: the dueling head, and what it is built on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import nn

from rlexp.networks.q import DuelingHead, QNetwork
from rlexp.networks.trunks import PixelTrunk


def test_value_and_advantages_by_hand() -> None:
    """V = 10 x; A = x, 3 x, 8 x, of mean 4 x: Q = 7 x, 9 x, 14 x."""
    head = DuelingHead(1, [], 3)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.value[1].weight.fill_(10.0)
        head.advantage[1].weight.copy_(torch.tensor([[1.0], [3.0], [8.0]]))
        q = head(torch.tensor([[1.0], [2.0]]))
    assert q.tolist() == [[7.0, 9.0, 14.0], [14.0, 18.0, 28.0]]


def test_every_action_teaches_the_value() -> None:
    """What one action's error says about V moves all actions alike."""
    head = DuelingHead(2, [4], 3)
    head(torch.ones(1, 2))[0, 1].backward()
    grads = [layer.bias.grad for layer in (head.value[1], head.advantage[1])]
    assert grads[0] is not None and grads[1] is not None
    torch.testing.assert_close(grads[0], torch.ones(1))
    torch.testing.assert_close(grads[1], torch.tensor([-1.0, 2.0, -1.0]) / 3)


@pytest.mark.parametrize(
    ("space", "hidden", "shapes"),
    [
        (Box(-1, 1, (3,)), None, [(128, 3), (128, 128), (1, 128), (128, 128), (2, 128)]),
        (Box(-1, 1, (3,)), [8], [(8, 3), (1, 8), (8, 3), (2, 8)]),
        (Box(-1, 1, (3,)), [], [(1, 3), (2, 3)]),
        (Discrete(5), [8, 4], [(8, 5), (4, 8), (1, 4), (4, 8), (2, 4)]),
        (
            Box(0, 255, (4, 84, 84), np.uint8),
            None,
            [(512, 3136), (1, 512), (512, 3136), (2, 512)],  # the paper's
        ),
    ],
)
def test_streams_have_the_last_layer_of_their_own(
    space: Space, hidden: list[int] | None, shapes: list[tuple[int, int]]
) -> None:
    net = QNetwork(space, 2, hidden, dueling=True)
    dense = [tuple(m.weight.shape) for m in net.modules() if isinstance(m, nn.Linear)]
    assert dense == shapes


def test_pixels_reach_the_trunk() -> None:
    space = Box(0, 255, (4, 36, 36), np.uint8)
    net = QNetwork(space, 2, None, pixels="changes")
    assert isinstance(net.trunk, PixelTrunk) and net.trunk.pixels == "changes"
    assert QNetwork(space, 2, None).trunk.pixels == "scaled"
