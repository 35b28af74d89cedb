"""Convolutions, padded or not, and first weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from rlexp.networks.q import QNetwork
from rlexp.networks.trunks import BoardTrunk, PixelTrunk, make_trunk


@pytest.mark.parametrize(
    ("size", "flat"),
    [((80, 80), 64 * 10 * 10), ((84, 84), 64 * 11 * 11), ((81, 30), 64 * 11 * 4), ((5, 5), 64)],
)
def test_same_padding_leaves_what_the_strides_leave(size: tuple[int, int], flat: int) -> None:
    """ceil(ceil(n / 4) / 2) on each side; no picture is too small."""
    trunk = PixelTrunk((4, *size), [], padding="same")
    assert trunk.out_features == flat
    assert trunk(torch.zeros((2, 4, *size), dtype=torch.uint8)).shape == (2, flat)


def test_zeros_lie_around_the_picture() -> None:
    """Kernel 8, stride 4 on 80: 4 zeros, two on each side; an odd one goes right and below."""
    trunk = PixelTrunk((1, 80, 80), [], [(1, 8, 4)], padding="same")
    conv = trunk.convolutions[0]
    assert conv.padding == (2, 2)
    nn.init.ones_(conv.weight)
    nn.init.zeros_(conv.bias)
    out = trunk(torch.full((1, 1, 80, 80), 255, dtype=torch.uint8)).reshape(20, 20)
    assert out[0, 0].item() == pytest.approx(36) and out[10, 10].item() == pytest.approx(64)
    assert out[19, 0].item() == pytest.approx(36)
    odd = PixelTrunk((1, 6, 6), [], [(1, 3, 2)], padding="same")
    assert odd.convolutions[0].padding == (0, 1, 0, 1)


def test_glorot_normal() -> None:
    torch.manual_seed(0)
    net = QNetwork(Box(0, 255, (4, 80, 80), np.uint8), 3, [256], "same", "glorot_normal")
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            area = int(np.prod(layer.weight.shape[2:]))
            inputs, outputs = layer.weight.shape[1] * area, layer.weight.shape[0] * area
            deviation = (2 / (inputs + outputs)) ** 0.5
            assert layer.weight.std().item() == pytest.approx(deviation, rel=0.06)
            assert not layer.bias.any()


def test_changes_show_what_moved_and_the_newest_picture() -> None:
    """Pixels 10, 20, 50 in three pictures: differences, the newest around 0; 4 / 255 each."""
    trunk = PixelTrunk((3, 36, 36), [], pixels="changes")
    obs = torch.tensor([10, 20, 50], dtype=torch.uint8).reshape(1, 3, 1, 1).expand(1, 3, 36, 36)
    seen = trunk.floats(obs)[0, :, 0, 0]
    np.testing.assert_allclose(seen, np.array([-10, -30, 50 - 127.5]) * 4 / 255, rtol=1e-5)
    plain = PixelTrunk((3, 36, 36), []).floats(obs)[0, :, 0, 0]
    np.testing.assert_allclose(plain, np.array([10, 20, 50]) / 255, rtol=1e-6)


def test_boards_are_seen_cell_by_cell() -> None:
    """Codes become planes of zeros and ones; anything else is divided by 255."""
    codes = make_trunk(Box(0, 7, (1, 5, 3), np.uint8), [4], vision="board")
    assert isinstance(codes, BoardTrunk)
    board = torch.arange(15, dtype=torch.uint8).reshape(1, 1, 5, 3) % 8
    planes = codes.floats(board)
    assert planes.shape == (1, 8, 5, 3) and planes.sum(1).eq(1).all()
    assert planes.argmax(1).eq(board[:, 0]).all()
    assert codes(board).shape == (1, 4)
    several = make_trunk(Box(0, 255, (12, 13, 11), np.uint8), None, vision="board")
    assert several(torch.zeros((2, 12, 13, 11), dtype=torch.uint8)).shape == (2, 256)
    assert isinstance(several, BoardTrunk) and several.codes == 0
    assert several.floats(torch.full((1, 12, 13, 11), 255, dtype=torch.uint8)).eq(1).all()
