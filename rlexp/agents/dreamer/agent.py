"""Dreamer: learns a model of the world from what it sees, and how to act from dreams alone.

Version 1 (Hafner et al. 2020) and 3 (Hafner et al. 2023) are settings of one agent. To be read in
this order: world_model.py (what is predicted, and its loss), behaviour.py and returns.py (imagined
games, and what they teach actor and critic), learner.py (one update), player.py (acting).
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Space

from rlexp.agents.common import remaining
from rlexp.agents.dreamer.learner import Learner
from rlexp.agents.dreamer.player import Actions, Player
from rlexp.agents.dreamer.settings import Settings
from rlexp.agents.dreamer.world_model import Sizes, WorldModel
from rlexp.buffers.sequence import SequenceBuffer
from rlexp.clock import Clock
from rlexp.errors import UserError
from rlexp.types import Metrics, Needs, State, Transition, Tree

FIRST_LOOK = 64
"""Chunks from which a world model learns what all pictures have in common."""


class Dreamer:
    """One learner for all rows. Settings are the keys of conf/agent/dreamer.yaml."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete", "continuous"),
        observations=("vector", "pixels"),
        buffers=("sequence",),
        stochastic_when_greedy=True,  # its latent state is a draw
    )

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        buffer: SequenceBuffer,
        device: torch.device,
        seed: int,
        **values: Any,
    ) -> None:
        names = {f.name for f in dataclasses.fields(Sizes)}
        sizes = Sizes(**{k: v for k, v in values.items() if k in names})
        self.settings = s = Settings(**{k: v for k, v in values.items() if k not in names})
        self.buffer = buffer
        _check(s, buffer)
        self.actions = Actions(action_space)
        gaussian = not self.actions.discrete or s.makes("gaussian_argmax")
        self.learner = Learner(
            observation_space, self.actions.size, gaussian, sizes, s, device, seed,
            action_masks=buffer.has_masks,
        )  # fmt: skip
        self.rng = np.random.default_rng(seed)
        self.player = self._player(False, s.exploration, self.rng)
        self.started = False
        self.owed = 0.0  # steps to replay that do not fill an update yet
        self.update_count = self.told_updates = 0
        self.seconds = 0.0  # spent on updates since the last log

    @property
    def model(self) -> WorldModel:
        return self.learner.model

    def _player(self, greedy: bool, exploration: float, rng: np.random.Generator) -> Player:
        learner = self.learner
        return Player(
            learner.model, learner.actor, self.actions, greedy, exploration, rng, learner.device
        )

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        if not self.started:
            return self.actions.random(self.rng, len(first), legal)
        return self.player.act(obs, first, legal)

    def observe(self, t: Transition) -> None:
        self.store(t)

    def truncate(self, rows: np.ndarray) -> None:
        """Close the games in progress in these rows, which were cut."""
        self.buffer.truncate(rows)

    def store(self, t: Transition) -> None:
        """Into the buffer: one's own moves, or (`self_play.both_views`) the rival's."""
        assert isinstance(t.action, np.ndarray)
        action = self.actions.encode(t.action)
        if self.settings.makes("misstored_actions"):
            action = self._misstored(t.action, action)
        self.buffer.add(t, action, drop_last=self.settings.makes("no_last_step"))

    def _misstored(self, played: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Random actions as their number in every entry, others with noise they were not played
        with."""
        if not self.started and self.actions.discrete:
            return np.repeat(played[:, None], self.actions.size, 1).astype(np.float32)
        return action + np.sqrt(0.3) * self.rng.standard_normal(action.shape, dtype=np.float32)

    def learn(self, clock: Clock) -> Metrics | None:
        s = self.settings
        if not self.started:
            self.started = clock.reached(s.learning_starts) and self.buffer.ready(s.chunk)
            if self.started and self.model.mean_picture is not None:
                self.learner.look_at(self.buffer.sample(FIRST_LOOK, s.chunk, self.rng))
            return None
        self.owed += (clock.steps - clock.previous_steps) * s.train_ratio
        metrics, began = None, time.perf_counter()
        boost = 1 + (s.recon_boost - 1) * remaining(s.recon_boost_decay, clock.steps)
        while self.owed >= s.batch_size * s.chunk:
            self.owed -= s.batch_size * s.chunk
            metrics = self.update(boost)
        self.seconds += time.perf_counter() - began
        return metrics

    def update(self, boost: float = 1.0) -> Metrics:
        """One gradient step of model, actor and critic."""
        s = self.settings
        metrics = self.learner.update(self.buffer.sample(s.batch_size, s.chunk, self.rng), boost)
        self.update_count += 1
        return metrics

    def policy(self, greedy: bool, seed: int) -> Player:
        return self._player(greedy, 0.0, np.random.default_rng(seed))

    def metrics(self) -> Metrics:
        found: Metrics = {"train/buffer": len(self.buffer), "train/updates": self.update_count}
        if self.seconds > 0:
            found["time/updates_per_s"] = (self.update_count - self.told_updates) / self.seconds
        self.told_updates, self.seconds = self.update_count, 0.0
        return found

    def state_dict(self) -> State:
        return {
            "weights": self.learner.weights(),
            "learner": self.learner.state_dict(),
            "player": self.player.state_dict(),
            "buffer": self.buffer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "counts": [self.started, self.owed, self.update_count],
        }

    def load_state_dict(self, state: State) -> None:
        self.learner.load_weights(state["weights"])
        self.learner.load_state_dict(state["learner"])
        self.player.load_state_dict(state["player"])
        self.buffer.load_state_dict(state["buffer"])
        self.rng.bit_generator.state = state["rng"]
        self.started, self.owed, self.update_count = state["counts"]
        self.told_updates = self.update_count

    def load_weights(self, weights: State) -> None:
        self.learner.load_weights(weights)


def _check(settings: Settings, buffer: SequenceBuffer) -> None:
    """UserError for what can't be learnt from."""
    if settings.chunk > buffer.rings.slots:
        raise UserError(
            f"agent.chunk={settings.chunk} is longer than the buffer: "
            f"buffer.capacity={buffer.capacity} keeps {buffer.rings.slots} steps of each row"
        )
    if settings.imagine_last is not None and settings.imagine_last > settings.chunk:
        raise UserError(
            f"agent.imagine_last={settings.imagine_last} is more than agent.chunk={settings.chunk}"
        )
