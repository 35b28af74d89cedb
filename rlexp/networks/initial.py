"""First weights of networks."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def initialise(module: nn.Module, init: str, gain: float = 1.0) -> None:
    """Weights of every dense and convolutional layer anew, biases 0.

    default         leaves torch's (and their biases)
    glorot_normal   N(0, 2 / (inputs + outputs)), a kernel's area counted in both (Glorot and Bengio
                    2010, eq. 12, with its variance)
    glorot_uniform  the same variance, uniform (eq. 16)
    orthogonal      orthogonal rows or columns times `gain` (Saxe, McClelland and Ganguli 2014)
    zeros           all 0: for linear models alone, since hidden units would stay alike
    """
    if init == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            # Into a plain tensor first: weights of convolutions may lie channels-last.
            weight = torch.empty(layer.weight.shape)
            if init == "orthogonal":
                nn.init.orthogonal_(weight, gain)
            elif init == "zeros":
                weight.zero_()
            elif init == "glorot_uniform":
                nn.init.xavier_uniform_(weight)
            else:
                nn.init.xavier_normal_(weight)
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.zero_()
