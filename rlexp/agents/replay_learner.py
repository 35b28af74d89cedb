"""What agents that learn from a replay buffer share: when updates are owed, and from what."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from rlexp import trees
from rlexp.agents.background import Background
from rlexp.agents.common import as_tensor, remaining
from rlexp.agents.reward_scale import RewardScale
from rlexp.buffers.base import Batch, Buffer
from rlexp.clock import Clock
from rlexp.types import Metrics, State, Transition, Tree


def in_order(gradient_steps: list[float], target_updates: list[float]) -> list[bool]:
    """Merge both by their position in the tick: False is a gradient step, True a target update.

    At the same position gradient steps come first, as in an environment of one row.
    """
    events = [(position, False) for position in gradient_steps]
    events += [(position, True) for position in target_updates]
    return [is_target_update for _, is_target_update in sorted(events)]


class ReplayLearner(ABC):
    """Stores what was played; every `train_every` steps it owes `updates` updates.

    `threaded`: updates run in a thread until the next ones are due (background.py). The target
    follows every `target_every` steps; None leaves it to the updates themselves. A tick of many
    rows owes the sequence of gradient steps and target updates that as many single steps owe.
    """

    def __init__(
        self,
        buffer: Buffer,
        device: torch.device,
        seed: int,
        *,
        threaded: bool,
        gamma: float,
        n_step: int,
        lr: float,
        lr_decay: int | None,
        normalise_reward: bool,
        batch_size: int,
        learning_starts: int | str,
        train_every: int | str,
        updates: int,
        target_every: int | str | None,
    ) -> None:
        self.buffer, self.device, self.batch_size = buffer, device, batch_size
        self.gamma, self.n_step = gamma, n_step
        self.learning_starts, self.train_every, self.updates = learning_starts, train_every, updates
        self.target_every = target_every
        self.lr, self.lr_decay = lr, lr_decay
        self.reward_scale = RewardScale(gamma) if normalise_reward else None
        self.background = Background(threaded)
        self.rng = np.random.default_rng(seed)
        self.steps = self.episodes = self.update_count = 0
        # Moves that were learnt from, and their TD errors, until the buffer is told.
        self.surprises: list[tuple[np.ndarray, Tensor]] = []

    def observe(self, t: Transition) -> None:
        self.store(t)
        if self.reward_scale is not None:
            self.reward_scale.update(t.rows, t.reward, t.ended)
        self.steps += len(t.rows)
        self.episodes += int(t.ended.sum())

    def truncate(self, rows: np.ndarray) -> None:
        """Close the games in progress in these rows, which were cut."""
        self.buffer.truncate(rows)
        if self.reward_scale is not None:
            self.reward_scale.truncate(rows)

    def store(self, t: Transition) -> None:
        """Into the buffer: one's own moves, or (`self_play.both_views`) the rival's."""
        self.buffer.add(t)

    def learn(self, clock: Clock) -> Metrics | None:
        full = len(self.buffer) >= self.buffer.capacity
        ready = len(self.buffer) > 0 and (full or clock.reached(self.learning_starts))
        gradient_steps = clock.crossings(self.train_every) * self.updates if ready else []
        sequence = in_order(gradient_steps, clock.crossings(self.target_every))
        if not sequence:
            return None
        finished = self.background.take()
        self.prepare()
        # Counted at the start: a log must not ask how far a thread is.
        self.update_count += len(gradient_steps)
        batches: Iterable[Batch] = (self._sample() for _ in gradient_steps)
        if self.background.pool:
            batches = list(batches)  # drawn now, since the buffer goes on changing
        self.background.start(partial(self._job, iter(batches), sequence))
        return finished if self.background.pool else self.background.take()

    def _sample(self) -> Batch:
        """Priorities follow here alone, before a batch is drawn, and never in the thread."""
        for index, error in self.surprises:
            self.buffer.update_priorities(index, error.cpu().numpy())
        self.surprises.clear()
        batch = self.buffer.sample(self.batch_size, self.rng, self.n_step, self.gamma)
        if self.reward_scale is None:
            return batch
        return dataclasses.replace(batch, reward=self.reward_scale(batch.reward))

    def _job(self, batches: Iterator[Batch], sequence: list[bool]) -> Metrics | None:
        """Carry out what `in_order` gave; return the metrics of the last gradient step."""
        metrics = None
        for is_target_update in sequence:
            if is_target_update:
                self.follow()
            else:
                metrics = self.update(next(batches))
        return metrics

    @abstractmethod
    def prepare(self) -> None:
        """Before updates begin; no job is in flight."""

    @abstractmethod
    def update(self, batch: Batch) -> Metrics:
        """One gradient step. Of an agent with `Needs.priorities` it also calls `surprised`."""

    def surprised(self, index: np.ndarray, error: Tensor) -> None:
        """TD errors [B] of a batch that was drawn by priorities: they change what is drawn next."""
        self.surprises.append((index, error))

    def follow(self) -> None:
        """The target moves towards the online net, every `target_every` steps."""

    def learning_rate(self) -> float:
        """Falls linearly to zero within `lr_decay` steps, or stays."""
        return self.lr * remaining(self.lr_decay, self.steps)

    def tensor(self, array: Tree, rows: slice) -> Tensor:
        return as_tensor(trees.take(array, rows), self.device)

    def metrics(self) -> Metrics:
        return {
            "train/lr": self.learning_rate(),
            "train/buffer": len(self.buffer),
            "train/updates": self.update_count,
        }

    def state_dict(self) -> State:
        self.background.join()
        result = self.background.result
        found: State = {
            "finished": {k: float(v) for k, v in result.items()} if result else None,
            "buffer": self.buffer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "counts": [self.steps, self.episodes, self.update_count],
        }
        if self.reward_scale is not None:
            found["reward_scale"] = self.reward_scale.state_dict()
        if self.surprises:
            found["surprises"] = list(self.surprises)
        return found

    def load_state_dict(self, state: State) -> None:
        self.background.result = state["finished"]
        self.buffer.load_state_dict(state["buffer"])
        self.rng.bit_generator.state = state["rng"]
        self.steps, self.episodes, self.update_count = state["counts"]
        if self.reward_scale is not None:
            self.reward_scale.load_state_dict(state["reward_scale"])
        self.surprises = list(state.get("surprises", []))
