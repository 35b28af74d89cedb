"""One update of a Dreamer: the world model learns from chunks, actor and critic from its dreams."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from gymnasium.spaces import Space
from torch import Tensor

from rlexp.agents.common import clip_gradients, copy_weights
from rlexp.agents.dreamer import behaviour
from rlexp.agents.dreamer.behaviour import Chooser, Discount, Rated
from rlexp.agents.dreamer.returns import ReturnRange
from rlexp.agents.dreamer.settings import Settings
from rlexp.agents.dreamer.world_model import (
    LossScales,
    Sizes,
    Tensors,
    WorldModel,
    model_loss,
    to_tensors,
)
from rlexp.buffers.sequence import Chunks
from rlexp.guard import require_finite
from rlexp.networks.dreamer.heads import ActorHead, NumberHead
from rlexp.networks.dreamer.rssm import ModelState
from rlexp.networks.initial import initialise
from rlexp.networks.optimizers import Adam
from rlexp.types import Metrics, State


class Learner:
    """The networks and their optimizers. `actions`: numbers of an action; `gaussian`: the actor is
    a tanh-Gaussian, which learns through the model, else categorical, by REINFORCE."""

    def __init__(
        self,
        space: Space[Any],
        actions: int,
        gaussian: bool,
        sizes: Sizes,
        settings: Settings,
        device: torch.device,
        seed: int,
        action_masks: bool = False,
    ) -> None:
        s = self.settings = settings
        self.device, self.gaussian = device, gaussian
        self.actions = actions
        self.continue_head = not s.makes("no_continue")
        mask_head = action_masks and not gaussian
        self.model = WorldModel(space, actions, sizes, self.continue_head, mask_head)
        features, style = self.model.features, sizes.style
        head = ActorHead(features, sizes.units, s.actor_layers, actions, gaussian, style)
        self.critic = NumberHead(features, sizes.units, sizes.critic_layers, sizes.bins, style)
        initialise(head, sizes.init)
        initialise(self.critic, sizes.init)
        if sizes.bins is not None:
            head.shrink(0.01)
            self.critic.zero()
        self.actor = Chooser(head, gaussian, sizes.unimix)
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
            s.recon_scale,
            s.reward_scale,
            s.continue_scale,
            s.kl_dynamics,
            s.kl_representation,
            s.free_nats,
            swapped=s.makes("swapped_kl"),
            resets=not s.makes("no_resets"),
        )
        self.discount = Discount(s.gamma, s.return_lambda)
        self.range = ReturnRange(s.return_decay)
        self.generator = torch.Generator().manual_seed(seed)

    def update(self, chunks: Chunks, boost: float = 1.0) -> Metrics:
        """One gradient step of model, actor and critic; `boost`: of the observations' weight."""
        data = to_tensors(self.model, chunks, self.device)
        scales = dataclasses.replace(self.scales, recon=self.scales.recon * boost)
        loss, states, told = model_loss(
            self.model, data, self.latent_noise(data.first.shape), scales
        )
        norm = self._step("model", loss, self.settings.clip_norm, chunks)
        return told | {"train/grad_norm": norm} | self.learn_behaviour(states, data)

    def look_at(self, chunks: Chunks) -> None:
        """Before the first update."""
        self.model.look_at(to_tensors(self.model, chunks, self.device).obs)

    def latent_noise(self, shape: tuple[int, ...]) -> Tensor:
        return self.model.latents.draw(tuple(shape), self.generator).to(self.device)

    def _step(self, part: str, loss: Tensor, clip: float | None, batch: Any = None) -> Tensor:
        """A gradient step of one of the three; gives the gradient's norm."""
        behaviour.gradients(loss, self.parameters[part])
        norm = clip_gradients(self.parameters[part], clip, None)
        require_finite({f"loss/{part}": loss.detach(), f"train/{part}_grad_norm": norm}, batch)
        self.optimizers[part].step()
        return norm

    def learn_behaviour(self, states: ModelState, data: Tensors) -> Metrics:
        """Imagine from the last states of every chunk [T, B, …], and learn from that."""
        s = self.settings
        newest = slice(-(s.imagine_last or s.chunk), None)
        start = ModelState(*(part[newest].flatten(0, 1) for part in states))
        ends = data.terminated[newest].flatten().to(torch.float32)
        goes_on = 1 - ends if self.continue_head else torch.ones_like(ends)
        shape = (s.horizon, len(ends))
        noise = self.latent_noise(shape)
        if self.gaussian:
            own = torch.randn((*shape, self.actions), generator=self.generator)
            return self._learn_pathwise(start, goes_on, noise, own.to(self.device))
        own = torch.rand(shape, generator=self.generator).to(self.device)
        mask = None
        if self.model.mask_head is not None and data.action_mask is not None:
            mask = data.action_mask[newest].flatten(0, 1)
        return self._learn_reinforce(start, goes_on, noise, own, mask)

    def _learn_reinforce(
        self, start: ModelState, goes_on: Tensor, noise: Tensor, own: Tensor, mask: Tensor | None
    ) -> Metrics:
        with torch.no_grad():
            features, action, action_mask = behaviour.imagine(
                self.model, self.actor, start, noise, own, mask
            )
        outputs = self.critic(features[:-1])
        with torch.no_grad():
            last = self.critic.mean(self.critic(features[-1:]))
            value = torch.cat([self.critic.mean(outputs), last])
            rated = behaviour.rate(self.model, features, value, goes_on, self.discount)
            advantage = (rated.returns - value[:-1]) / self._scale(rated.returns)
        log_probs = self.actor.log_probs(features[:-1], action_mask)
        loss, entropy = behaviour.reinforce_loss(
            log_probs, action, advantage, rated.weight, self.settings.entropy_coef
        )
        return self._finish(loss, entropy, outputs, features, rated)

    def _learn_pathwise(
        self, start: ModelState, goes_on: Tensor, noise: Tensor, own: Tensor
    ) -> Metrics:
        features, drawn, _ = behaviour.imagine(self.model, self.actor, start, noise, own)
        value = self.critic.mean(self.critic(features))
        rated = behaviour.rate(self.model, features, value, goes_on, self.discount)
        entropy = behaviour.gaussian_entropy(self.actor, features[:-1].detach(), drawn)
        scale = self._scale(rated.returns.detach())
        loss = behaviour.pathwise_loss(
            rated.returns, entropy, rated.weight, scale, self.settings.entropy_coef
        )
        features = features.detach()
        rated = Rated(*(part.detach() for part in rated))
        return self._finish(
            loss, entropy.detach().mean(), self.critic(features[:-1]), features, rated
        )

    def _scale(self, returns: Tensor) -> float:
        """What advantages are divided by."""
        if not self.settings.normalise_returns:
            return 1.0
        self.range.update(returns)
        return self.range.scale

    def _finish(
        self, actor_loss: Tensor, entropy: Tensor, outputs: Tensor, features: Tensor, rated: Rated
    ) -> Metrics:
        """The steps of actor and critic; `outputs`: the critic's, of all features but the last."""
        s, slow = self.settings, None
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

    def weights(self) -> State:
        """All that plays."""
        return {
            "model": self.model.state_dict(),
            "actor": self.actor.state_dict(),
            "critic": self.critic.state_dict(),
        }

    def load_weights(self, weights: State) -> None:
        self.model.load_state_dict(self._with_mask_head(weights["model"]))
        self.actor.load_state_dict(weights["actor"])
        self.critic.load_state_dict(weights["critic"])
        self.slow.load_state_dict(weights["critic"])

    def _with_mask_head(self, model: State) -> State:
        """Complete weights that were saved before masks were predicted: that head begins anew."""
        own = self.model.state_dict()
        head = {name: own[name] for name in own if name.startswith("mask_head.")}
        return head | model

    def state_dict(self) -> State:
        """The rest."""
        return {
            "slow": self.slow.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "range": self.range.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        self.slow.load_state_dict(state["slow"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(_for_all(optimizer, state["optimizers"][name]))
        self.range.load_state_dict(state["range"])
        self.generator.set_state(state["generator"])


def _for_all(optimizer: Adam, state: State) -> State:
    """Complete an optimizer's state that was saved before the mask head, the last part, was there.

    Adam begins with weights that it has no state of as with new ones.
    """
    groups = [
        saved | {"params": own["params"]}
        for saved, own in zip(
            state["param_groups"], optimizer.state_dict()["param_groups"], strict=True
        )
    ]
    return state | {"param_groups": groups}
