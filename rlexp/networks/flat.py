"""All weights of a small network as one tensor: an update in four operations instead of fifty."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Flat:
    """The parameters become views of `weights`, so that what changes it changes them.

    Not for convolutions, whose weights may lie channels-last.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.weights = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in parameters]))
        sizes = [p.numel() for p in parameters]
        for p, view in zip(parameters, self.weights.detach().split(sizes), strict=True):
            p.data = view.view_as(p)

    @staticmethod
    def suits(parameters: Sequence[Tensor]) -> bool:
        return all(p.ndim < 4 for p in parameters)

    def backward(self, loss: Tensor) -> Tensor:
        """The gradient of `weights` becomes the loss's, which goes no further; gives it."""
        gradients = torch.autograd.grad(loss, self.parameters)
        found = torch.cat([g.reshape(-1) for g in gradients])
        self.weights.grad = found
        return found

    def gather(self) -> None:
        """The gradients of the parameters become that of `weights`."""
        gradients = [p.grad for p in self.parameters]
        self.weights.grad = torch.cat([g.reshape(-1) for g in gradients if g is not None])
