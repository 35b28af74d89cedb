"""Dreamer: learns a model of the world from what it sees, and how to act from dreams alone.

Version 1 (Hafner et al. 2020) and 3 (Hafner et al. 2023) are settings of one agent. An update:
chunks of play teach the world model (world_model.py); from their states games are imagined, which
teach actor and critic (behaviour.py).
"""

from __future__ import annotations

import copy
import dataclasses
import time
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Space
from torch import Tensor

from rlexp.agents.common import clip_gradients, copy_weights
from rlexp.agents.dreamer import behaviour
from rlexp.agents.dreamer.behaviour import Chooser, Discount
from rlexp.agents.dreamer.player import Actions, Player
from rlexp.agents.dreamer.returns import ReturnRange
from rlexp.agents.dreamer.settings import Settings
from rlexp.agents.dreamer.world_model import (
    LossScales,
    Sizes,
    Tensors,
    WorldModel,
    model_loss,
    to_tensors,
)  # fmt: skip
from rlexp.buffers.sequence import SequenceBuffer
from rlexp.clock import Clock
from rlexp.errors import UserError
from rlexp.guard import require_finite
from rlexp.networks.dreamer.heads import ActorHead, NumberHead
from rlexp.networks.dreamer.rssm import ModelState
from rlexp.networks.initial import initialise
from rlexp.networks.optimizers import Adam
from rlexp.types import Metrics, Needs, State, Transition, Tree


class Dreamer:
    """One learner for all rows. Settings are the keys of conf/agent/dreamer.yaml."""

    needs: ClassVar[Needs] = Needs(
        actions=("discrete", "continuous"),
        observations=("vector", "pixels"),
        buffers=("sequence",),
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
        self.buffer, self.device = buffer, device
        _check(s, buffer)
        self.actions = Actions(action_space)
        self.continue_head = not s.makes("no_continue")
        self.model = WorldModel(observation_space, self.actions.size, sizes, self.continue_head)
        self.gaussian = not self.actions.discrete or s.makes("gaussian_argmax")
        head = ActorHead(self.model.features, sizes.units, s.actor_layers, self.actions.size,
                         self.gaussian, sizes.style)  # fmt: skip
        self.critic = NumberHead(self.model.features, sizes.units, sizes.critic_layers, sizes.bins,
                                 sizes.style)  # fmt: skip
        initialise(head, sizes.init)
        initialise(self.critic, sizes.init)
        if sizes.bins is not None:
            head.shrink(0.01)
            self.critic.zero()
        self.actor = Chooser(head, self.gaussian, sizes.unimix)
        for part in (self.model, self.actor, self.critic):
            part.to(device)
        self.slow = copy.deepcopy(self.critic).requires_grad_(False)
        self.parameters = {
            "model": list(self.model.parameters()),
            "actor": list(self.actor.parameters()),
            "critic": list(self.critic.parameters()),
        }
        rates = {"model": s.model_lr, "actor": s.actor_lr, "critic": s.critic_lr}
        self.optimizers = {
            name: Adam(parameters, rates[name], s.adam_eps)
            for name, parameters in self.parameters.items()
        }
        self.scales = LossScales(
            s.recon_scale, s.reward_scale, s.continue_scale, s.kl_dynamics, s.kl_representation,
            s.free_nats, s.makes("swapped_kl"), not s.makes("no_resets"),
        )  # fmt: skip
        self.discount = Discount(s.gamma, s.return_lambda)
        self.range = ReturnRange(s.return_decay)
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.player = Player(
            self.model, self.actor, self.actions, False, s.exploration, self.rng, device
        )
        self.started = False
        self.owed = 0.0  # steps to replay that do not fill an update yet
        self.update_count = self.told_updates = 0
        self.seconds = 0.0  # spent on updates since the last log

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree:
        if not self.started:
            return self.actions.random(self.rng, len(first), legal)
        return self.player.act(obs, first, legal)

    def observe(self, t: Transition) -> None:
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
            return None
        self.owed += (clock.steps - clock.previous_steps) * s.train_ratio
        metrics, began = None, time.perf_counter()
        while self.owed >= s.batch_size * s.chunk:
            self.owed -= s.batch_size * s.chunk
            metrics = self.update()
        self.seconds += time.perf_counter() - began
        return metrics

    def update(self) -> Metrics:
        """One gradient step of model, actor and critic."""
        s = self.settings
        chunks = self.buffer.sample(s.batch_size, s.chunk, self.rng)
        data = to_tensors(self.model, chunks, self.device)
        noise = self.model.latents.draw((s.chunk, s.batch_size), self.generator).to(self.device)
        loss, states, told = model_loss(self.model, data, noise, self.scales)
        norm = self._step("model", loss, s.clip_norm, chunks)
        told |= {"train/grad_norm": norm} | self._learn_behaviour(states, data)
        self.update_count += 1
        return told

    def _step(self, part: str, loss: Tensor, clip: float | None, batch: Any = None) -> Tensor:
        """A gradient step of one of the three; gives the gradient's norm."""
        behaviour.gradients(loss, self.parameters[part])
        norm = clip_gradients(self.parameters[part], clip, None)
        require_finite({f"loss/{part}": loss, f"train/{part}_grad_norm": norm}, batch)
        self.optimizers[part].step()
        return norm

    def _learn_behaviour(self, states: ModelState, data: Tensors) -> Metrics:
        """Imagine from the last states of every chunk, and learn from that."""
        s = self.settings
        newest = slice(-(s.imagine_last or s.chunk), None)
        start = ModelState(*(part[newest].flatten(0, 1) for part in states))
        ends = data.terminated[newest].flatten().to(torch.float32)
        goes_on = 1 - ends if self.continue_head else torch.ones_like(ends)
        shape = (s.horizon, len(ends))
        noise = self.model.latents.draw(shape, self.generator).to(self.device)
        if self.gaussian:
            own = torch.randn((*shape, self.actions.size), generator=self.generator)
            return self._learn_pathwise(start, goes_on, noise, own.to(self.device))
        own = torch.rand(shape, generator=self.generator)
        return self._learn_reinforce(start, goes_on, noise, own.to(self.device))

    def _learn_reinforce(
        self, start: ModelState, goes_on: Tensor, noise: Tensor, own: Tensor
    ) -> Metrics:
        with torch.no_grad():
            features, action = behaviour.imagine(self.model, self.actor, start, noise, own)
        outputs = self.critic(features[:-1])
        with torch.no_grad():
            value = self.critic.mean(outputs)
            last = self.critic.mean(self.critic(features[-1]))
            value = torch.cat([value, last.unsqueeze(0)])
            rated = behaviour.rate(self.model, features, value, goes_on, self.discount)
            advantage = (rated.returns - value[:-1]) / self._scale(rated.returns)
        log_probs = self.actor.log_probs(features[:-1])
        loss, entropy = behaviour.reinforce_loss(
            log_probs, action, advantage, rated.weight, self.settings.entropy_coef
        )
        return self._finish(loss, entropy, outputs, features, rated)

    def _learn_pathwise(
        self, start: ModelState, goes_on: Tensor, noise: Tensor, own: Tensor
    ) -> Metrics:
        features, drawn = behaviour.imagine(self.model, self.actor, start, noise, own)
        value = self.critic.mean(self.critic(features))
        rated = behaviour.rate(self.model, features, value, goes_on, self.discount)
        entropy = behaviour.gaussian_entropy(self.actor, features[:-1].detach(), drawn)
        loss = behaviour.pathwise_loss(
            rated.returns, entropy, rated.weight, self._scale(rated.returns.detach()),
            self.settings.entropy_coef,
        )  # fmt: skip
        features = features.detach()
        rated = rated._replace(returns=rated.returns.detach(), reward=rated.reward.detach())
        outputs = self.critic(features[:-1])
        return self._finish(loss, entropy.detach().mean(), outputs, features, rated)

    def _scale(self, returns: Tensor) -> float:
        """What advantages are divided by."""
        if not self.settings.normalise_returns:
            return 1.0
        self.range.update(returns)
        return self.range.scale

    def _finish(
        self, actor_loss: Tensor, entropy: Tensor, outputs: Tensor, features: Tensor, rated: Any
    ) -> Metrics:
        s = self.settings
        slow = None
        if s.slow_critic is not None:
            with torch.no_grad():
                slow = self.slow.mean(self.slow(features[:-1]))
        critic_loss = behaviour.critic_loss(
            self.critic, outputs, rated.returns, rated.weight, slow, s.slow_coef
        )
        norms = (
            self._step("actor", actor_loss, s.behaviour_clip_norm),
            self._step("critic", critic_loss, s.behaviour_clip_norm),
        )
        if s.slow_critic is not None:
            copy_weights(self.critic, self.slow, s.slow_critic)
        return {
            "loss/policy": actor_loss.detach(),
            "loss/value": critic_loss.detach(),
            "train/entropy": entropy,
            "train/imagined_reward": rated.reward.mean(),
            "train/imagined_return": rated.returns.mean(),
            "train/return_range": self.range.size,
            "train/actor_grad_norm": norms[0],
            "train/critic_grad_norm": norms[1],
        }

    def policy(self, greedy: bool, seed: int) -> Player:
        rng = np.random.default_rng(seed)
        return Player(self.model, self.actor, self.actions, greedy, 0.0, rng, self.device)

    def metrics(self) -> Metrics:
        found: Metrics = {"train/buffer": len(self.buffer), "train/updates": self.update_count}
        if self.seconds > 0:
            found["time/updates_per_s"] = (self.update_count - self.told_updates) / self.seconds
        self.told_updates, self.seconds = self.update_count, 0.0
        return found

    def state_dict(self) -> State:
        return {
            "weights": {
                "model": self.model.state_dict(),
                "actor": self.actor.state_dict(),
                "critic": self.critic.state_dict(),
            },
            "slow": self.slow.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "range": self.range.state_dict(),
            "player": self.player.state_dict(),
            "buffer": self.buffer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "generator": self.generator.get_state(),
            "counts": [self.started, self.owed, self.update_count],
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state["weights"])
        self.slow.load_state_dict(state["slow"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.range.load_state_dict(state["range"])
        self.player.load_state_dict(state["player"])
        self.buffer.load_state_dict(state["buffer"])
        self.rng.bit_generator.state = state["rng"]
        self.generator.set_state(state["generator"])
        self.started, self.owed, self.update_count = state["counts"]
        self.told_updates = self.update_count

    def load_weights(self, weights: State) -> None:
        self.model.load_state_dict(weights["model"])
        self.actor.load_state_dict(weights["actor"])
        self.critic.load_state_dict(weights["critic"])
        self.slow.load_state_dict(weights["critic"])


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
