"""A trained agent's actions, for observations of the environment as its user holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete, Space

from rlexp import trees
from rlexp.observed import converted, described, is_single, rows_of, what_came
from rlexp.types import Policy, Translator

AUTO, ENVIRONMENT, AGENT = SPACES = ("auto", "environment", "agent")


class TrainedAgent:
    """Plays in the environment's own spaces, or in those that the agent was trained with.

    The environment's Translators, one a row, turn what it shows into what the agent sees, and what
    the agent does into what it takes: the agent plays as when it is evaluated.
    """

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        make_translator: Callable[[], Translator] | None,
        make_policy: Callable[[bool], Policy],
    ) -> None:
        self.action_space, self.make_policy = action_space, make_policy
        self.make_translator = make_translator
        self.spaces = {AGENT: observation_space}
        if make_translator is not None:
            self.spaces = {ENVIRONMENT: make_translator().observation_space} | self.spaces
        self._greedy: bool | None = None
        self._policy: Policy | None = None
        self._translators: list[Translator] = []
        self._playing: tuple[str, int] | None = None  # in which spaces, how many rows

    def act(
        self,
        obs: Any,
        greedy: bool = True,
        first: bool | np.ndarray = False,
        action_mask: np.ndarray | None = None,
        spaces: str = AUTO,
    ) -> Any:
        """The action for one observation, or the actions of a batch.

        `obs` is the environment's own observation, and the action one of its own. Where `obs` fits
        only what the agent sees, as `rlexp.gym_env` shows it, the action is the agent's, too;
        where it fits both, `spaces` ("environment", "agent") says which it is.

        Give every observation of an episode, and `first` where one begins (for a batch, a bool a
        row): agents with memory and stacked frames need those before. The first call, and one with
        another number of rows, begins all episodes. `action_mask`: true where an action is allowed.
        """
        side, single, rows = self._read(obs, spaces)
        if np.shape(first) not in ((), (len(rows),)):
            raise ValueError(f"first has shape {np.shape(first)}; one bool a row is {(len(rows),)}")
        begins = np.full(len(rows), first, dtype=bool)
        mask = self._mask(action_mask, len(rows))
        if self._playing != (side, len(rows)):
            self._playing = (side, len(rows))
            begins[:] = True
            self._translators = []
            if side == ENVIRONMENT:
                assert self.make_translator is not None
                self._translators = [self.make_translator() for _ in rows]
        if side == ENVIRONMENT:
            each = zip(self._translators, rows, begins, strict=True)
            rows = [(t.first if begin else t.next)(row) for t, row, begin in each]
        if self._policy is None or self._greedy != greedy:
            self._greedy, self._policy = greedy, self.make_policy(greedy)
            begins = np.ones_like(begins)  # its memory is empty
        actions: Any = self._policy.act(trees.stack(rows), begins, mask)
        if side == ENVIRONMENT:
            each_action = zip(self._translators, actions, strict=True)
            actions = [translator.action(action) for translator, action in each_action]
        return actions[0] if single else np.asarray(actions)

    def _read(self, obs: Any, spaces: str) -> tuple[str, bool, list[Any]]:
        """(whose observation it is, is it a single one, the rows' observations)."""
        if spaces not in SPACES:
            raise ValueError(f"spaces={spaces!r} must be one of {', '.join(map(repr, SPACES))}")
        candidates = self.spaces
        if spaces == AGENT or (spaces == ENVIRONMENT and ENVIRONMENT in self.spaces):
            candidates = {spaces: self.spaces[spaces]}
        for side, space in candidates.items():
            if is_single(obs, space):
                return side, True, [converted(obs, space)]
        for side, space in candidates.items():
            rows = rows_of(obs, space)
            if rows is not None:
                return side, False, [converted(row, space) for row in rows]
        expected = " or ".join(dict.fromkeys(map(described, candidates.values())))
        raise ValueError(f"obs is {what_came(obs)}; one observation has {expected}, a batch [B, …]")

    def _mask(self, mask: Any, rows: int) -> np.ndarray | None:
        if mask is None:
            return None
        if not isinstance(self.action_space, Discrete):
            raise ValueError(f"action_mask is for discrete actions, not for {self.action_space}")
        allowed = np.asarray(mask, dtype=bool)
        actions = int(self.action_space.n)
        if allowed.shape not in ({(actions,), (1, actions)} if rows == 1 else {(rows, actions)}):
            raise ValueError(f"action_mask has shape {allowed.shape}; it must be {(rows, actions)}")
        allowed = allowed.reshape(rows, actions)
        if not allowed.any(1).all():
            raise ValueError("action_mask allows no action")
        return allowed
