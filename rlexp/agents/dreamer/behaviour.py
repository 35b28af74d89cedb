"""Learning to act inside the world model: imagine, rate what was imagined, act better.

Discrete actions learn by REINFORCE (Williams 1992; Hafner et al. 2023, eq. 11), continuous ones by
the gradient of the return through the model (Hafner et al. 2020, eq. 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlexp.agents.dreamer.returns import lambda_returns, weights
from rlexp.agents.dreamer.world_model import WorldModel
from rlexp.networks.distributions import Categorical
from rlexp.networks.dreamer.distributions import (
    mix_uniform,
    pick,
    tanh_gaussian,
    tanh_gaussian_entropy,
)  # fmt: skip
from rlexp.networks.dreamer.heads import ActorHead, NumberHead
from rlexp.networks.dreamer.rssm import ModelState


@dataclass(frozen=True)
class Discount:
    gamma: float
    lam: float


class Rated(NamedTuple):
    """H steps of N imagined games, each [H, N].

    reward   of the states 1 … H
    returns  of the states 0 … H - 1
    weight   how much the states 0 … H - 1 count
    """

    reward: Tensor
    returns: Tensor
    weight: Tensor


class Chooser(nn.Module):
    """An actor and what its outputs mean. `gaussian`: a tanh-Gaussian, whatever the actions are."""

    def __init__(self, head: ActorHead, gaussian: bool, unimix: float) -> None:
        super().__init__()
        self.head, self.gaussian, self.unimix = head, gaussian, unimix

    def log_probs(self, features: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """Of every discrete action, [..., A]; finite, but next to nothing for illegal ones."""
        log_probs = mix_uniform(self.head(features).softmax(-1), self.unimix).log()
        return log_probs if action_mask is None else Categorical(log_probs, action_mask).log_probs

    def choose(
        self, features: Tensor, noise: Tensor, action_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(as the model sees it [..., A], what was drawn: index [...] or number [..., A]).

        Noise is uniform [...] for discrete actions, normal [..., A] for others. The mask, bool
        [..., A], is for discrete ones.
        """
        if self.gaussian:
            mean, std = tanh_gaussian(self.head(features))
            drawn = torch.addcmul(mean, std, noise)
            return drawn.tanh(), drawn
        probs = mix_uniform(self.head(features).softmax(-1), self.unimix)
        if action_mask is not None:
            probs = probs * action_mask
        index = pick(probs, noise)  # draws by shares of the sum
        if action_mask is not None:
            # A number that is rounded up to the sum takes the last action, legal or not.
            legal = action_mask.gather(-1, index.unsqueeze(-1)).squeeze(-1)
            index = torch.where(legal, index, probs.argmax(-1))
        return functional.one_hot(index, probs.shape[-1]).to(probs), index


class Imagined(NamedTuple):
    """H steps of N imagined games: features [H + 1, N, F], actions [H, N, …], and the masks under
    which these were drawn, bool [H, N, A], where the model predicts masks."""

    features: Tensor
    actions: Tensor
    action_mask: Tensor | None


def imagine(
    model: WorldModel,
    actor: Chooser,
    start: ModelState,
    noise: Tensor,
    action_noise: Tensor,
    first_mask: Tensor | None = None,
) -> Imagined:
    """Imagine H steps from `start` [N, …]; `first_mask` bool [N, A] is legal there, as was seen.

    Noise is [H, N, …]. Under `torch.no_grad` for REINFORCE, which needs no gradient of it.
    """
    state, mask = start, first_mask
    features, actions, masks = [state.features], [], []
    for latent_noise, own_noise in zip(noise.unbind(0), action_noise.unbind(0), strict=True):
        action, drawn = actor.choose(features[-1], own_noise, mask)
        masks.append(mask)
        state = model.rssm.imagine_step(state, action, latent_noise)
        features.append(state.features)
        actions.append(drawn)
        mask = model.legal_actions(features[-1])
    known = [mask for mask in masks if mask is not None]
    assert len(known) in (0, len(masks))
    return Imagined(
        torch.stack(features), torch.stack(actions), torch.stack(known) if known else None
    )


def rate(
    model: WorldModel, features: Tensor, value: Tensor, goes_on: Tensor, discount: Discount
) -> Rated:
    """What imagined states [H + 1, N, F] and their values [H + 1, N] are worth.

    `goes_on` [N]: 0 where the first state is a game's end, from which nothing should be learnt.
    """
    later = features[1:]
    reward = model.reward.mean(model.reward(later))
    going = discount.gamma * model.continues(later)
    returns = lambda_returns(reward, going, value[1:], discount.lam)
    return Rated(reward, returns, weights(goes_on, going).detach())


def reinforce_loss(
    log_probs: Tensor, action: Tensor, advantage: Tensor, weight: Tensor, entropy_coef: float
) -> tuple[Tensor, Tensor]:
    """(-w (A log pi(a) + eta entropy), averaged; the mean entropy): log_probs [H, N, A]."""
    chosen = log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    loss = -(weight * (chosen * advantage + entropy_coef * entropy)).mean()
    return loss, entropy.detach().mean()


def pathwise_loss(
    returns: Tensor, entropy: Tensor, weight: Tensor, scale: float, entropy_coef: float
) -> Tensor:
    """-w (G / scale + eta entropy), averaged: the gradient goes through the model."""
    return -(weight * (returns / scale + entropy_coef * entropy)).mean()


def critic_loss(
    critic: NumberHead, outputs: Tensor, returns: Tensor, weight: Tensor,
    slow: Tensor | None, slow_coef: float,
) -> Tensor:  # fmt: skip
    """Towards the returns and, `slow_coef` as much, towards the values of its slow copy."""
    loss = critic.loss(outputs, returns)
    if slow is not None:
        loss = loss + slow_coef * critic.loss(outputs, slow)
    return (weight * loss).mean()


def gaussian_entropy(actor: Chooser, features: Tensor, drawn: Tensor) -> Tensor:
    """[...] of a tanh-Gaussian, estimated by what it drew."""
    return tanh_gaussian_entropy(*tanh_gaussian(actor.head(features)), drawn)


def gradients(loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
    """Sets `.grad` of these parameters and of nothing else."""
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        # Optimizers may pair elements by their place in memory (channels-last weights!).
        if gradient.stride() != parameter.stride():
            gradient = torch.empty_like(parameter).copy_(gradient)
        parameter.grad = gradient
