"""Action masks: which actions a game allows, in the one form that agents and buffers rely on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np

from rlexp.spaces import mask_size
from rlexp.types import EnvSpec, Seat


class SpecWithMasks(ABC):
    """Fills in `spec.action_masks` where a game leaves it open, whenever the game sets its spec."""

    _spec: EnvSpec

    @abstractmethod
    def _overrides_masks(self) -> bool:
        """Say whether the game overrides its base class's `legal_rows`."""

    @property
    def spec(self) -> EnvSpec:
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec) -> None:
        if spec.action_masks is None:
            spec = replace(spec, action_masks=self._overrides_masks())
        self._spec = spec


def as_mask(mask: Any, spec: EnvSpec, seat: Seat) -> np.ndarray | None:
    """Copy what a game's `legal_rows` returned into a mask, bool [N, actions].

    A game that declares masks always gets one: all true where it returned None. So whoever stores
    masks has one for every step. Games may go on writing to the array that they returned.
    """
    if mask is not None and spec.action_masks is False:
        raise ValueError(f"{seat}: legal_rows gives a mask; its EnvSpec says action_masks=False")
    size = mask_size(spec, seat)
    if size == 0 or (mask is None and not spec.action_masks):
        return None
    given = True if mask is None else np.asarray(mask, dtype=bool)
    return np.broadcast_to(given, (spec.num_envs, size)).copy()


def next_mask(
    following: np.ndarray | None,
    before_reset: np.ndarray | None,
    terminated: np.ndarray,
    truncated: np.ndarray,
) -> np.ndarray | None:
    """Return the mask of each row's true successor, bool [N, actions].

    `following` is the mask of the observations that await an action now; where a game was truncated
    these belong to the next game, and `before_reset` tells what the old one allowed. Nothing
    follows a termination, nor a state in which no action is legal: there all are true, so that a
    maximum over them is a number.
    """
    if following is None:
        return None
    found = following.copy()
    if before_reset is not None:
        found[truncated] = before_reset[truncated]
    found[terminated | ~found.any(1)] = True
    return found
