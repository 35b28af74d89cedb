"""Playing with a world model: what was seen so far is a recurrent state, one a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor

from rlexp.agents.bounds import Bounds
from rlexp.agents.common import as_tensor, random_actions
from rlexp.agents.dreamer.behaviour import Chooser
from rlexp.agents.dreamer.world_model import WorldModel
from rlexp.networks.distributions import Categorical
from rlexp.networks.dreamer.distributions import tanh_gaussian
from rlexp.networks.dreamer.heads import action_size
from rlexp.networks.dreamer.rssm import ModelState
from rlexp.types import State, Tree


class Actions:
    """Between the environment's actions and the model's: one-hot [B, A], or -1..1 [B, A]."""

    def __init__(self, space: Space[Any]) -> None:
        self.space, self.size = space, action_size(space)
        self.discrete = isinstance(space, Discrete)
        self.bounds = Bounds(space) if isinstance(space, Box) else None

    def encode(self, action: np.ndarray) -> np.ndarray:
        """The environment's [B, …] → the model's, float32 [B, A]."""
        if self.bounds is None:
            return np.eye(self.size, dtype=np.float32)[action]
        return self.bounds.inside(action)

    def decode(self, action: np.ndarray) -> np.ndarray:
        """The model's [B, A] → the environment's; of discrete ones the largest entry."""
        if self.bounds is None:
            return action.argmax(-1)
        return self.bounds.outside(action)

    def random(self, rng: np.random.Generator, rows: int, legal: np.ndarray | None) -> np.ndarray:
        """The environment's, uniform."""
        if self.discrete:
            return random_actions(rng, rows, self.size, legal)
        return self.decode(rng.uniform(-1, 1, (rows, self.size)).astype(np.float32))


class Player:
    """Plays any number of rows; `first` clears the memory of a row.

    `exploration`: the share of random actions, or the variance of noise on continuous ones.
    """

    recurrent = True  # its memory is by row: it wants to be asked about the same rows every time

    def __init__(
        self, model: WorldModel, actor: Chooser, actions: Actions, greedy: bool,
        exploration: float, rng: np.random.Generator, device: torch.device,
    ) -> None:  # fmt: skip
        self.model, self.actor, self.actions, self.device = model, actor, actions, device
        self.greedy, self.exploration, self.rng = greedy, exploration, rng
        self.state = model.rssm.initial(0)
        self.before = torch.zeros(0, actions.size)

    @torch.inference_mode()
    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree:
        rows = len(first)
        if len(self.before) != rows:
            self.state = self.model.rssm.initial(rows)
            self.before = torch.zeros(rows, self.actions.size, device=self.device)
        keep = as_tensor(~first, self.device).unsqueeze(-1)
        state = ModelState(self.state.h * keep, self.state.z * keep)
        embed = self.model.encoder(self.model.prepare(as_tensor(obs, self.device)))
        noise = self._noise((rows, self.model.latents.noise), self.model.normal_noise)
        self.state = self.model.rssm.observe_step(state, self.before * keep, embed, noise)
        action = self._choose(self.state.features, legal)
        self.before = as_tensor(self.actions.encode(action), self.device)
        return action

    def _choose(self, features: Tensor, legal: np.ndarray | None) -> np.ndarray:
        rows = len(features)
        if self.actor.gaussian:
            mean, std = tanh_gaussian(self.actor.head(features))
            if not self.greedy:
                mean = mean + std * self._noise((rows, self.actions.size), True)
            found = mean.tanh().cpu().numpy()
            if self.actions.discrete:
                found = found if legal is None else np.where(legal, found, -2.0)
            elif self.exploration > 0:
                wide = np.sqrt(self.exploration)
                found = found + wide * self.rng.standard_normal(found.shape, dtype=np.float32)
                found = found.clip(-1, 1)
            action = self.actions.decode(found)
        else:
            mask = None if legal is None else as_tensor(legal, self.device)
            policy = Categorical(self.actor.log_probs(features), mask)
            action = (policy.mode() if self.greedy else policy.sample(self.rng)).cpu().numpy()
        if self.actions.discrete and self.exploration > 0:
            random = self.actions.random(self.rng, rows, legal)
            action = np.where(self.rng.random(rows) < self.exploration, random, action)
        return action

    def _noise(self, shape: tuple[int, ...], normal: bool) -> Tensor:
        draw = self.rng.standard_normal if normal else self.rng.random
        return as_tensor(draw(shape, dtype=np.float32), self.device)

    def state_dict(self) -> State:
        memory = {"h": self.state.h, "z": self.state.z, "before": self.before}
        return memory | {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.state = ModelState(state["h"].to(self.device), state["z"].to(self.device))
        self.before = state["before"].to(self.device)
        self.rng.bit_generator.state = state["rng"]
