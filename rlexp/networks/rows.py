"""Action values of numbered states, one learner a row: tables, or small networks on one-hot input.

Both give values, and take one step of gradient descent towards targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rlexp.types import State


class RowTables:
    """Q [N, S, A], float64. A step moves an entry `lr` of the way to its target."""

    def __init__(self, rows: int, states: int, actions: int, init: float) -> None:
        self.q = np.full((rows, states, actions), init, dtype=np.float64)

    @property
    def rows(self) -> int:
        return len(self.q)

    def values(self, rows: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Q(s, ·) of these learners in these states, [B, A]."""
        found: np.ndarray = self.q[rows, states]
        return found

    def step(
        self, rows: np.ndarray, states: np.ndarray, actions: np.ndarray, targets: np.ndarray,
        lr: float,
    ) -> np.ndarray:  # fmt: skip
        """One step of different rows; gives their errors, target - Q(s, a), [B]."""
        errors: np.ndarray = targets - self.q[rows, states, actions]
        self.q[rows, states, actions] += lr * errors
        return errors

    def state_dict(self) -> State:
        return {"q": self.q.copy()}

    def load(self, state: State, rows: np.ndarray | None = None) -> None:
        """Take the learners of `state`, all or those of `rows`; RuntimeError if they don't fit."""
        q = np.array(state["q"])
        if q.shape[1:] != self.q.shape[1:]:
            raise RuntimeError(f"the table is {q.shape[1:]}, here {self.q.shape[1:]}")
        self.q = q if rows is None else q[rows]


class RowNets:
    """Dense ReLU networks, one a row, weights stacked [N, in, out]; the input is a one-hot state.

    A step is plain stochastic gradient descent on the squared error. Rows don't touch each other:
    the gradient of the sum of their losses is each one's own. Weights begin normal with variance
    1 / inputs, biases at 0 (LeCun et al. 1998, section 4.6), outputs `init` higher.
    """

    def __init__(
        self,
        rows: int,
        states: int,
        actions: int,
        hidden: Sequence[int],
        init: float,
        device: torch.device,
    ) -> None:
        sizes = [states, *hidden, actions]
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
            self.weights.append(torch.randn(rows, inputs, outputs) * inputs**-0.5)
            self.biases.append(torch.zeros(rows, outputs))
        self.biases[-1] += init
        self.device = device
        self._place()

    def _place(self) -> None:
        for group in (self.weights, self.biases):
            group[:] = [p.detach().to(self.device).requires_grad_() for p in group]

    @property
    def rows(self) -> int:
        return len(self.weights[0])

    def forward(self, rows: np.ndarray, states: np.ndarray) -> Tensor:
        """[B, A]. The first layer's product with a one-hot vector is a look-up."""
        row, state = self._index(rows, states)
        weights, biases = self.weights[1:], self.biases
        if not np.array_equal(rows, np.arange(self.rows)):
            weights, biases = [w[row] for w in weights], [b[row] for b in biases]
        x = self.weights[0][row, state] + biases[0]
        for weight, bias in zip(weights, biases[1:], strict=True):
            x = torch.baddbmm(bias[:, None], x.relu()[:, None], weight)[:, 0]
        return x

    def _index(self, *arrays: np.ndarray) -> list[Tensor]:
        return [torch.as_tensor(a, dtype=torch.int64, device=self.device) for a in arrays]

    @torch.no_grad()
    def values(self, rows: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Q(s, ·) of these learners in these states, [B, A]."""
        found: np.ndarray = self.forward(rows, states).cpu().numpy()
        return found.astype(np.float64)

    def step(
        self, rows: np.ndarray, states: np.ndarray, actions: np.ndarray, targets: np.ndarray,
        lr: float,
    ) -> np.ndarray:  # fmt: skip
        """One step of different rows; gives their errors, target - Q(s, a), [B]."""
        (action,) = self._index(actions)
        target = torch.as_tensor(targets, dtype=torch.float32, device=self.device)
        q = self.forward(rows, states).gather(1, action[:, None]).squeeze(1)
        errors = target - q
        parameters = [*self.weights, *self.biases]
        gradients = torch.autograd.grad(errors.square().sum(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient, alpha=lr)
        found: np.ndarray = errors.detach().cpu().numpy()
        return found.astype(np.float64)

    def state_dict(self) -> State:
        pairs = enumerate(zip(self.weights, self.biases, strict=True))
        return {f"layer{i}": {"weight": w.detach(), "bias": b.detach()} for i, (w, b) in pairs}

    def load(self, state: State, rows: np.ndarray | None = None) -> None:
        """Take the learners of `state`, all or those of `rows`; RuntimeError if they don't fit."""
        for i, ours in enumerate(self.weights):
            layer = state[f"layer{i}"]
            weight, bias = torch.as_tensor(layer["weight"]), torch.as_tensor(layer["bias"])
            if weight.shape[1:] != ours.shape[1:]:
                raise RuntimeError(
                    f"layer {i} is {list(weight.shape[1:])}, here {list(ours.shape[1:])}"
                )
            index = slice(None) if rows is None else torch.as_tensor(rows)
            self.weights[i], self.biases[i] = weight[index].clone(), bias[index].clone()
        self._place()
