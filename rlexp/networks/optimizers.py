"""torch's optimizers without the import of torch.compile's machinery: three seconds at every start.

torch.optim imports torch._dynamo when an optimizer is made and at its first step, only to mark
places for a compiler that rlexp does not use. What computes is torch's own fused kernel, unchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def _skip_dynamo() -> None:
    """Let the methods that torch wraps for its compiler be called as they are."""
    for method in vars(Optimizer).values():
        inner = getattr(method, "__wrapped__", None)
        if inspect.isfunction(inner) and not hasattr(inner, "__dynamo_disable"):
            inner.__dynamo_disable = inner  # type: ignore[attr-defined]


_skip_dynamo()
_adam_step = inspect.unwrap(torch.optim.Adam.step)
_sgd_step = inspect.unwrap(torch.optim.SGD.step)


class Adam(torch.optim.Adam):
    """Adam (Kingma and Ba 2015), fused into one pass over the weights on CPU and CUDA.

    `weight_decay` adds that times the weights to the gradients: an L2 penalty of half of it.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        weights = list(parameters)
        fused = weights[0].device.type in ("cpu", "cuda")
        super().__init__(weights, lr=lr, eps=eps, weight_decay=weight_decay, fused=fused)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        return _adam_step(self, closure)

    step.hooked = True  # type: ignore[attr-defined]  # no profiler's note around every step

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The fused kernel pairs elements by their place in memory: give states that of weights."""
        super().load_state_dict(state_dict)
        for weight, state in self.state.items():
            for name, value in state.items():
                if value.shape == weight.shape:
                    state[name] = torch.empty_like(weight).copy_(value)

    def set_lr(self, lr: float) -> None:
        for group in self.param_groups:
            group["lr"] = lr


class SGD(torch.optim.SGD):
    """Stochastic gradient descent, with momentum where it is not 0.

    `weight_decay` adds that times the weights to the gradients: an L2 penalty of half of it.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(list(parameters), lr=lr, momentum=momentum, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        return _sgd_step(self, closure)

    step.hooked = True  # type: ignore[attr-defined]
