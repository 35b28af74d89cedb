"""Sender and receiver as one network with a discrete middle: the straight-through Gumbel-softmax
(Jang, Gu and Poole 2017; Maddison, Mnih and Teh 2017), as in referential games (Havrylov and Titov
2017).

The loss is the receiver's cross-entropy, minus `entropy_coef` times the sender's entropy: without
it senders settle on a few messages before they have tried the others. The gradient reaches the
sender through the message, which is one-hot on the way forward and a softmax at `temperature` on
the way back. So, unlike an agent a seat, this needs both seats' moves and the right answer
(info["target"]); it is a team by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Discrete, MultiDiscrete, Space
from torch import Tensor, nn
from torch.nn import functional as F

from rlexp.agents.common import as_tensor, clip_gradients
from rlexp.clock import Clock
from rlexp.guard import require_finite
from rlexp.networks.optimizers import Adam
from rlexp.networks.trunks import make_trunk
from rlexp.types import Metrics, Needs, Seat, State, Tick, Tree


def straight_through(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """One-hot of argmax(logits + noise) over the last axis; its gradient is the softmax's.

    With Gumbel noise the one-hot is a draw from softmax(logits), whatever the temperature.
    """
    soft = ((logits + noise) / temperature).softmax(-1)
    hard = F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft)
    return soft + (hard - soft).detach()


class Speaker(nn.Module):
    """Observations [B, …] → logits of every symbol [B, length, vocabulary]."""

    def __init__(
        self, space: Space[Any], actions: MultiDiscrete, hidden: list[int], vision: str
    ) -> None:
        super().__init__()
        self.length, self.vocabulary = len(actions.nvec), int(actions.nvec[0])
        self.trunk = make_trunk(space, hidden, vision=vision)
        features: int = self.trunk.out_features  # type: ignore[assignment]
        self.head = nn.Linear(features, self.length * self.vocabulary)

    def forward(self, obs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(obs)).unflatten(1, (self.length, self.vocabulary))
        return logits


class Gumbel:
    """A gradient step on every batch of games, one game a row."""

    needs: ClassVar[Needs] = Needs(actions=("multidiscrete", "discrete"), seats="all")
    overlap, finished = False, False

    def __init__(
        self,
        observation_spaces: dict[Seat, Space[Any]],
        action_spaces: dict[Seat, Space[Any]],
        device: torch.device,
        seed: int,
        *,
        hidden: list[int],
        vision: str,
        temperature: float,
        lr: float,
        entropy_coef: float,
        clip_norm: float | None,
    ) -> None:
        self.sender, self.receiver = action_spaces
        symbols, answers = action_spaces.values()
        assert isinstance(symbols, MultiDiscrete) and isinstance(answers, Discrete)
        seen, heard = observation_spaces.values()
        self.speaker = Speaker(seen, symbols, hidden, vision).to(device)
        trunk = make_trunk(heard, hidden)
        last: int = trunk.out_features  # type: ignore[assignment]
        self.listener = nn.Sequential(trunk, nn.Linear(last, int(answers.n))).to(device)
        self.parameters = [*self.speaker.parameters(), *self.listener.parameters()]
        self.optimizer = Adam(self.parameters, lr)
        self.device, self.temperature, self.clip_norm = device, temperature, clip_norm
        self.entropy_coef = entropy_coef
        self.rng = np.random.default_rng(seed)
        self.batch: dict[str, np.ndarray] = {}
        self.update_count = 0

    def act(self, tick: Tick) -> dict[Seat, Tree]:
        return self._play(tick, self.rng)

    @torch.inference_mode()
    def _play(self, tick: Tick, rng: np.random.Generator | None) -> dict[Seat, Tree]:
        """Messages are drawn (without `rng`: the most probable), answers the most probable."""
        if self.sender in tick.obs:
            logits = self.speaker(as_tensor(tick.obs[self.sender], self.device))
            if rng is not None:
                logits = logits + self._noise(logits, rng)
            return {self.sender: logits.argmax(-1).cpu().numpy()}
        answer = self.listener(as_tensor(tick.obs[self.receiver], self.device)).argmax(-1)
        return {self.receiver: answer.cpu().numpy()}

    def _noise(self, logits: Tensor, rng: np.random.Generator) -> Tensor:
        return torch.from_numpy(rng.gumbel(size=tuple(logits.shape))).to(logits)

    def observe(self, tick: Tick) -> None:
        if self.sender in tick.done:
            moves = tick.done[self.sender]
            assert isinstance(moves.obs, np.ndarray)
            self.batch = {"obs": moves.obs, "target": moves.info["target"]}

    def learn(self, clock: Clock) -> Metrics | None:
        if not self.batch:
            return None
        obs = as_tensor(self.batch["obs"], self.device)
        target = as_tensor(self.batch["target"], self.device).long()
        logits = self.speaker(obs)
        message = straight_through(logits, self._noise(logits, self.rng), self.temperature)
        loss = F.cross_entropy(self.listener(message.flatten(1)), target)
        log_probs = logits.log_softmax(-1)
        entropy = -(log_probs.exp() * log_probs).sum((1, 2)).mean()
        self.optimizer.zero_grad()
        (loss - self.entropy_coef * entropy).backward()
        norm = clip_gradients(self.parameters, self.clip_norm, None)
        metrics = {"loss/cross_entropy": loss.detach(), "train/entropy": entropy.detach()}
        metrics["train/grad_norm"] = norm
        require_finite(metrics, self.batch)
        self.optimizer.step()
        self.batch, self.update_count = {}, self.update_count + 1
        return metrics

    def policy(self, greedy: bool, seed: int) -> Callable[[Tick], dict[Seat, Tree]]:
        rng = None if greedy else np.random.default_rng(seed)
        return lambda tick: self._play(tick, rng)

    def metrics(self) -> Metrics:
        return {"train/updates": self.update_count}

    def state_dict(self) -> State:
        nets = {"speaker": self.speaker.state_dict(), "listener": self.listener.state_dict()}
        return {
            "weights": nets,
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "batch": dict(self.batch),
            "updates": self.update_count,
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
        self.batch, self.update_count = dict(state["batch"]), state["updates"]

    def load_weights(self, weights: State) -> None:
        """Takes the state's branch "weights", as teams do."""
        self.speaker.load_state_dict(weights["weights"]["speaker"])
        self.listener.load_state_dict(weights["weights"]["listener"])
