"""Gradients of a batch on several cores, without torch's threads.

torch's OpenMP threads meet after every layer, so that one which has to share its core with an
emulator stalls the others dozens of times an update. Here every thread takes its share of the batch
through the whole network and back, and they meet once. The sum runs in a fixed order: the same
number of shards gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Shards:
    """`count` shares of every batch; 1 computes in the calling thread alone."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pool: ThreadPoolExecutor | None = None
        if count > 1:
            # OpenMP's number of threads belongs to the thread that set it.
            self.pool = ThreadPoolExecutor(
                count - 1, "rlexp-shard", initializer=torch.set_num_threads, initargs=(1,)
            )

    def slices(self, size: int) -> list[slice]:
        """`size` rows in shares whose lengths differ by one at most; none is empty."""
        count = min(self.count, size)
        edges = [size * i // count for i in range(count + 1)]
        return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]

    def backward(
        self,
        parameters: Sequence[Tensor],
        size: int,
        loss: Callable[[slice], tuple[Tensor, T]],
    ) -> list[T]:
        """Sets `.grad` of the parameters to the sum over shares of the losses' gradients.

        `loss(rows)` gives (loss of the share, anything else); a mean over the batch is the sum of
        the shares' losses when each divides by `size`. Gives the other things, share by share.
        """

        def share(rows: slice) -> tuple[tuple[Tensor, ...], T]:
            value, more = loss(rows)
            return torch.autograd.grad(value, parameters), more

        first, *others = self.slices(size)
        futures = [self.pool.submit(share, rows) for rows in others] if self.pool else []
        results = [share(first), *(future.result() for future in futures)]
        for i, parameter in enumerate(parameters):
            total = results[0][0][i]
            for gradients, _ in results[1:]:
                total += gradients[i]
            # Optimizers may pair elements by their place in memory (channels-last weights!).
            if total.stride() != parameter.stride():
                total = torch.empty_like(parameter).copy_(total)
            parameter.grad = total
        return [more for _, more in results]
