"""Plain feed-forward networks whose every layer a config decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Space
from torch import Tensor, nn

from rlexp.errors import UserError
from rlexp.networks.initial import initialise
from rlexp.networks.standardise import make_standardise
from rlexp.networks.trunks import ACTIVATIONS

# What null means for pictures, (channels, kernel), and for everything else, units.
CONVOLUTIONS = ((32, 3), (64, 3))
HIDDEN = (64,)


class FeedForward(nn.Module):
    """Observations [B, …] → [B, outputs], no activation on them.

    convolutions  (channels, kernel) each, same-padded, stride 1, followed by the activation;
                  None: two layers for pictures, none for vectors
    hidden        units of the dense layers after them, each followed by the activation;
                  None: no layer for pictures, 64 units for vectors
    batch_norm    normalise what goes into every hidden layer (Ioffe and Szegedy 2015)
    standardise   vectors with mean 0 and deviation 1, from what `see` was shown, as
                  make_standardise says
    pixel_scale   what a full pixel of a picture, 255, is to the network
    init          how weights begin: see `initialise`
    """

    def __init__(
        self,
        space: Space[Any],
        outputs: int,
        hidden: Sequence[int] | None,
        convolutions: Sequence[Sequence[int]] | None,
        activation: str,
        batch_norm: bool,
        standardise: int | str | None,
        pixel_scale: float,
        init: str,
    ) -> None:
        super().__init__()
        assert space.shape is not None
        picture = len(space.shape) == 3 and space.dtype == np.uint8
        if convolutions is None:
            convolutions = CONVOLUTIONS if picture else ()
        if hidden is None:
            hidden = () if picture else HIDDEN
        if convolutions and not picture:
            raise UserError(
                "agent.convolutions are for pictures; this environment gives vectors of "
                f"{space.shape[0]}: write agent.convolutions=null"
            )
        if init == "zeros" and (hidden or convolutions):
            raise UserError(
                "agent.init=zeros keeps hidden units alike for ever: write agent.hidden=[] "
                "for a linear model"
            )
        self.scale = pixel_scale / 255 if picture else 1.0
        self.standardise = make_standardise(space, standardise)
        act = ACTIVATIONS[activation]
        layers: list[nn.Module] = []
        self.kernels: list[Tensor] = []  # weights of the hidden layers, biases left out
        size = int(np.prod(space.shape))
        if convolutions:
            channels, height, width = space.shape
            for out, kernel in convolutions:
                layers += [nn.BatchNorm2d(channels)] if batch_norm else []
                before, after = (kernel - 1) // 2, kernel // 2
                if before == after:
                    convolution = nn.Conv2d(channels, out, kernel, padding=before)
                else:  # even kernels: one more zero right and below
                    layers.append(nn.ZeroPad2d((before, after, before, after)))
                    convolution = nn.Conv2d(channels, out, kernel)
                layers += [convolution, act()]
                self.kernels.append(convolution.weight)
                channels = out
            size = channels * height * width
        layers.append(nn.Flatten())
        for units in hidden:
            dense = nn.Linear(size, units)
            layers += [nn.BatchNorm1d(size)] if batch_norm else []
            layers += [dense, act()]
            self.kernels.append(dense.weight)
            size = units
        layers.append(nn.Linear(size, outputs))
        self.layers = nn.Sequential(*layers)
        initialise(self.layers, init)

    def see(self, obs: Tensor) -> None:
        """Take a batch into the inputs' statistics."""
        if self.standardise is not None:
            self.standardise.update(obs)

    def forward(self, obs: Tensor) -> Tensor:
        if self.standardise is not None:
            x = self.standardise(obs)
        else:
            x = obs.float() * self.scale
        outputs: Tensor = self.layers(x)
        return outputs


def absolute_sum(weights: Iterable[Tensor]) -> Tensor:
    """Sum of absolute values, a scalar."""
    return torch.stack([w.abs().sum() for w in weights]).sum()
