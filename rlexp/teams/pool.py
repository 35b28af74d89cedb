"""Frozen copies of a learner, and how strong everybody is."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlexp.seeds import derive
from rlexp.types import Agent, Policy, State

FIRST_RATING = 1200.0
K = 16.0  # how far a rating moves by one game at most


@dataclass
class Copy:
    """A player of the pool: its weights as they were, and the policy that plays them."""

    number: int
    step: int
    rating: float
    weights: State
    policy: Policy
    name: str = ""  # where it is from; empty: the learner's own past


class Pool:
    """The newest `window` copies of a learner, and members from elsewhere, which stay.

    A copy that falls out is kept while a game with it goes on. Numbers begin at 1 and are never
    used again.
    """

    def __init__(self, agent: Agent, window: int, greedy: bool, seed: int) -> None:
        self.agent, self.window, self.greedy, self.seed = agent, window, greedy, seed
        self.copies: dict[int, Copy] = {}
        self.last = 0

    def add(self, step: int, rating: float, name: str = "") -> Copy:
        """A copy of the learner as it is now."""
        self.last += 1
        weights = copy.deepcopy(self.agent.state_dict()["weights"])
        made = Copy(self.last, step, rating, weights, self._policy(self.last), name)
        self.copies[self.last] = made
        return made

    def adopt(self, weights: State, name: str) -> None:
        """A member from elsewhere. What the weights don't fit is raised by the agent."""
        own = copy.deepcopy(self.agent.state_dict()["weights"])
        try:
            self.agent.load_weights(weights)
            self.add(0, FIRST_RATING, name)
        finally:
            self.agent.load_weights(own)

    def renew(self) -> None:
        """The learner was given other weights: its copies are made anew."""
        for number in self.own:
            self.copies[number].weights = copy.deepcopy(self.agent.state_dict()["weights"])
            self.copies[number].policy = self._policy(number)

    def _policy(self, number: int) -> Policy:
        """The learner's policy with weights, memory and random numbers of its own."""
        found = copy.deepcopy(self.agent.policy(self.greedy, derive(self.seed, f"copy {number}")))
        for value in vars(found).values():
            if isinstance(value, torch.nn.Module):
                value.requires_grad_(False)
        return found

    @property
    def own(self) -> list[int]:
        """Numbers of the learner's own copies, oldest first."""
        return [number for number, one in self.copies.items() if not one.name]

    def playable(self) -> list[int]:
        """Numbers of all that a new game may be played against."""
        members = [number for number, one in self.copies.items() if one.name]
        return members + self.own[-self.window :]

    def drop(self, playing: Iterable[int]) -> None:
        """Forget the copies that are too old and in no game any more."""
        keep = {*self.playable(), *playing}
        self.copies = {number: one for number, one in self.copies.items() if number in keep}

    def state_dict(self) -> State:
        # Not "weights": that is the name of what plays for the run itself.
        return {
            "last": self.last,
            "copies": {
                str(one.number): {
                    "step": one.step,
                    "rating": one.rating,
                    "name": one.name,
                    "parameters": one.weights,
                    "memory": memory(one.policy),
                }
                for one in self.copies.values()
            },
        }

    def load_state_dict(self, state: State) -> None:
        """The agent's own weights are to be loaded after this."""
        self.last, self.copies = state["last"], {}
        for number, one in state["copies"].items():
            self.agent.load_weights(one["parameters"])
            made = Copy(
                int(number),
                one["step"],
                one["rating"],
                one["parameters"],
                self._policy(int(number)),
                one["name"],
            )
            remember(made.policy, one["memory"])
            self.copies[made.number] = made


def memory(policy: Any) -> State | None:
    """What a policy carries from move to move: random numbers, recurrent state."""
    found: State | None = policy.state_dict() if hasattr(policy, "state_dict") else None
    return found


def remember(policy: Any, state: State | None) -> None:
    if state is not None:
        policy.load_state_dict(state)


def expected(mine: float, theirs: float) -> float:
    """What a player wins on average against another: 1 a victory, 1/2 a draw (Elo 1978)."""
    return float(1 / (1 + 10 ** ((theirs - mine) / 400)))


def rated(mine: float, theirs: float, result: float) -> tuple[float, float]:
    """Both ratings after a game that brought `result` (1, 1/2 or 0)."""
    change = K * (result - expected(mine, theirs))
    return mine + change, theirs - change


def chosen(rng: np.random.Generator, numbers: list[int]) -> int:
    return numbers[int(rng.integers(len(numbers)))]
