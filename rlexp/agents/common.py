"""Small things every agent uses."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from rlexp.types import Tree


def as_tensor(array: Tree, device: torch.device) -> Tensor:
    """A NumPy array as a tensor on `device`, sharing memory where it can."""
    assert isinstance(array, np.ndarray), "agents for dict observations bring their own networks"
    return torch.from_numpy(array).to(device)


def numbers(tree: Tree) -> np.ndarray:
    """Observations or actions of an agent whose `needs` admit only plain numbers, [B]."""
    assert isinstance(tree, np.ndarray)
    return tree


def random_actions(
    rng: np.random.Generator, rows: int, actions: int, legal: np.ndarray | None
) -> np.ndarray:
    """One of `actions` for each row [rows], uniform over the legal ones."""
    if legal is None:
        return rng.integers(actions, size=rows)
    # The largest of independent uniform draws is uniformly distributed over the legal ones.
    return np.where(legal, rng.random((rows, actions)), -1.0).argmax(1)


def remaining(length: int | None, count: int) -> float:
    """What is left of a quantity that falls linearly from 1 to 0 in `length`; None: 1 for ever."""
    return 1.0 if length is None else max(0.0, 1.0 - count / length)


def share(batch: dict[str, Tensor], rows: slice, size: int) -> dict[str, Tensor]:
    """These rows of all columns; the batch itself where they are all of its `size`."""
    if rows.stop - rows.start == size:
        return batch
    return {name: column[rows] for name, column in batch.items()}


def clip_gradients(parameters: Iterable[Tensor], norm: float | None, value: float | None) -> Tensor:
    """Clip each entry to ±value, then all to a norm; gives the norm before that clipping."""
    parameters = [p for p in parameters if p.grad is not None]
    if value is not None:
        torch.nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        return torch.nn.utils.clip_grad_norm_(parameters, norm)
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


@torch.no_grad()
def copy_weights(source: nn.Module, into: nn.Module, share: float = 1.0) -> None:
    """Move the parameters of `into` a share of the way to the source's; 1 copies them."""
    for ours, theirs in zip(into.parameters(), source.parameters(), strict=True):
        ours.lerp_(theirs, share)


def sample(rng: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    """An action for each row [B], drawn with its probabilities [B, actions]."""
    sums = chances.cumsum(-1)
    drawn = rng.random(len(chances)) * sums[:, -1]
    return (sums > drawn[:, None]).argmax(-1)


def as_rows(learners: np.ndarray, rows: int) -> np.ndarray:
    """Arrays of learners [M, …] as `rows` of them: row i is learner i modulo M."""
    return learners if len(learners) == rows else learners[np.arange(rows) % len(learners)]


class LegalMoves:
    """Which actions each numbered state allows, bool [S, A]: all, until the state was met.

    Where only a state's number is known, this says what it allows: when action values or policies
    are shown, and for environments that give masks to act by but none in their transitions.
    """

    def __init__(self, states: int, actions: int) -> None:
        self.table = np.ones((states, actions), dtype=bool)

    def meet(self, obs: np.ndarray, legal: np.ndarray | None) -> None:
        """Remember what the states in `obs` [B] allow; None allows everything."""
        if legal is not None:
            self.table[obs] = legal

    def of(self, obs: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """Return the mask of the states in `obs` [B]: the one given, or what is known of them."""
        return self.table[obs] if mask is None else mask
