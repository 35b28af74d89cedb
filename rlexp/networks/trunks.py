"""From observations to features: convolutions for pictures, dense layers for vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from torch import Tensor, nn
from torch.nn import functional

from rlexp.errors import UserError
from rlexp.spaces import Packed

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}

# (channels, kernel, stride): Mnih et al. 2015, table of the methods section.
NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
# For pictures of about 32x32, each layer halving them.
SMALL = ((16, 3, 2), (32, 3, 2), (64, 3, 2))
# For boards of about 13x11 cells: what lies next to what matters, so the first stride is 1.
BOARD = ((32, 3, 1), (32, 3, 2), (64, 3, 1))


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Dense layers through `sizes`, each followed by the activation."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers)


class VectorTrunk(nn.Module):
    """Flat observations [B, …] → features [B, hidden[-1]]."""

    def __init__(
        self, size: int, hidden: Sequence[int], activation: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        self.layers = mlp([size, *hidden], activation)
        self.out_features = [size, *hidden][-1]

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(obs.flatten(1).float())
        return features


class PixelTrunk(nn.Module):
    """uint8 pictures [B, C, H, W], divided by 255 → features [B, hidden[-1]].

    `padding` "same" puts zeros around, so that a picture shrinks by the strides alone (rounded up);
    where their number is odd, the one more goes right and below.

    `pixels` "changes": centred, of all channels but the last only the difference to the next one,
    and all of it larger. A linear change of the input, which takes nothing away; but where sky and
    ground fill a picture, one that is 0.6 nearly everywhere teaches convolutions little.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        hidden: Sequence[int],
        convolutions: Sequence[tuple[int, int, int]] = NATURE,
        padding: str = "valid",
        pixels: str = "scaled",
    ) -> None:
        super().__init__()
        self.pixels = pixels
        channels, height, width = shape
        layers: list[nn.Module] = []
        for out, kernel, stride in convolutions:
            inside = (0, 0)  # zeros that the convolution adds by itself, which is faster
            if padding == "same":
                up_down, left_right = _same(height, kernel, stride), _same(width, kernel, stride)
                height, width = height + sum(up_down), width + sum(left_right)
                if up_down[0] == up_down[1] and left_right[0] == left_right[1]:
                    inside = (up_down[0], left_right[0])
                else:
                    layers.append(nn.ZeroPad2d((*left_right, *up_down)))
            layers += [nn.Conv2d(channels, out, kernel, stride, inside), nn.ReLU()]
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
            channels = out
            if min(height, width) < 1:
                raise UserError(
                    f"pictures of {shape[1]}x{shape[2]} are too small for these convolutions: "
                    "show larger ones (env.resize=[84,84], where there is that key), or boards "
                    "cell by cell (agent.vision=board, where there is that key)"
                )
        self.convolutions = nn.Sequential(*layers)
        self.dense = mlp([channels * height * width, *hidden])
        self.out_features = [channels * height * width, *hidden][-1]
        # oneDNN and cuDNN convolve channels-last about a tenth faster.
        self.to(memory_format=torch.channels_last)

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.dense(self.convolutions(self.floats(obs)).flatten(1))
        return features

    def floats(self, obs: Tensor) -> Tensor:
        """What the convolutions see."""
        if self.pixels == "scaled":
            return obs.to(torch.float32, memory_format=torch.channels_last).mul_(1 / 255)
        # Channels are apart in memory until the end: half the time, and the same bits.
        pictures = obs.to(torch.float32).mul_(1 / 255)
        newest = pictures[:, -1:] - 0.5
        changes = torch.cat([pictures[:, :-1] - pictures[:, 1:], newest], 1).mul_(4)
        return changes.contiguous(memory_format=torch.channels_last)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a line of `size`, for ceil(size / stride) outputs."""
    zeros = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return zeros // 2, zeros - zeros // 2


class FloatPixelTrunk(PixelTrunk):
    """The same for float32 pictures, which are taken as they are."""

    def floats(self, obs: Tensor) -> Tensor:
        return obs.to(torch.float32, memory_format=torch.channels_last)


class BoardTrunk(PixelTrunk):
    """Boards uint8 [B, C, W, H] → features [B, hidden[-1]], the size of a cell kept at first.

    One channel of codes 0 … highest becomes a plane of zeros and ones for each; several channels
    are divided by 255.
    """

    def __init__(self, shape: tuple[int, int, int], highest: int, hidden: Sequence[int]) -> None:
        self.codes = highest + 1 if shape[0] == 1 and highest < 255 else 0
        super().__init__((self.codes or shape[0], *shape[1:]), hidden, BOARD, "same")

    def floats(self, obs: Tensor) -> Tensor:
        if not self.codes:
            return super().floats(obs)
        planes = functional.one_hot(obs[:, 0].long(), self.codes).permute(0, 3, 1, 2)
        return planes.to(torch.float32, memory_format=torch.channels_last)


class OneHotTrunk(nn.Module):
    """Numbers int64 [B] of 0..count-1, as one-hot vectors → features [B, hidden[-1]]."""

    def __init__(
        self, count: int, hidden: Sequence[int], activation: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        self.count = count
        self.layers = mlp([count, *hidden], activation)
        self.out_features = [count, *hidden][-1]

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(functional.one_hot(obs.long(), self.count).float())
        return features


class PackedTrunk(nn.Module):
    """Pictures and numbers in one vector [B, size] → features [B, hidden[-1]].

    Convolutions of its own for each picture; what they find and the numbers meet in the first
    dense layer.
    """

    def __init__(
        self,
        space: Packed,
        hidden: Sequence[int],
        activation: type[nn.Module] = nn.ReLU,
        padding: str = "valid",
    ) -> None:
        super().__init__()
        self.shapes = space.pictures
        self.sizes = [int(np.prod(shape)) for shape in space.pictures] + [space.rest]
        eyes = [FloatPixelTrunk(shape, [], padding=padding) for shape in space.pictures]
        self.eyes = nn.ModuleList(eyes)
        size = sum(eye.out_features for eye in eyes) + space.rest
        self.dense = mlp([size, *hidden], activation)
        self.out_features = [size, *hidden][-1]

    def forward(self, obs: Tensor) -> Tensor:
        *pictures, rest = obs.split(self.sizes, 1)
        pairs = zip(self.eyes, pictures, self.shapes, strict=True)
        found = [eye(flat.reshape(-1, *shape) / 255) for eye, flat, shape in pairs]
        features: Tensor = self.dense(torch.cat([*found, rest], 1).float())
        return features


def make_trunk(
    space: Space[Any],
    hidden: Sequence[int] | None,
    activation: type[nn.Module] = nn.ReLU,
    padding: str = "valid",
    vision: str = "mlp",
    pixels: str = "scaled",
) -> nn.Module:
    """The trunk that suits the observation; `hidden` null: as default_hidden gives it.

    Convolutions have ReLUs, whatever the activation of the others. Pictures are uint8, and seen by
    large kernels and strides, or as the cells of a `vision` board; what looks like one but is
    floating-point is a vector (`vision` mlp) or is convolved as it is (cnn).
    """
    units = hidden if hidden is not None else default_hidden(space, vision)
    if isinstance(space, Discrete):
        return OneHotTrunk(int(space.n), units, activation)
    if isinstance(space, Packed):
        return PackedTrunk(space, units, activation, padding)
    shape = space.shape
    if shape is None:
        raise UserError(f"no network for observations {space}: only arrays so far")
    if len(shape) == 3 and space.dtype == np.uint8:
        picture = (shape[0], shape[1], shape[2])
        if vision == "board":
            highest = int(space.high.max())  # type: ignore[attr-defined]
            return BoardTrunk(picture, highest, units)
        return PixelTrunk(picture, units, padding=padding, pixels=pixels)
    if vision == "cnn" and len(shape) == 3:
        return FloatPixelTrunk((shape[0], shape[1], shape[2]), units, SMALL, "same")
    size = int(np.prod(shape)) if shape else 1
    return VectorTrunk(size, units, activation)


def default_hidden(space: Space[Any], vision: str = "mlp") -> list[int]:
    """Units of the dense layers where none are given."""
    if isinstance(space, Packed):
        return [512]
    if space.shape is not None and len(space.shape) == 3:
        if space.dtype == np.uint8:
            return [256] if vision == "board" else [512]
        if vision == "cnn":
            return [128]
    return [128, 128]
