"""The world model of a Dreamer and what it is trained on (Hafner et al. 2020, eq. 10; 2023, eq. 4).

L = recon + reward + continue + mask
    + beta_dyn max(KL(sg(q) || p), free) + beta_rep max(KL(q || sg(p)), free)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Space
from torch import Tensor, nn
from torch.nn import functional

from rlexp.buffers.sequence import Chunks
from rlexp.envs.base import is_image
from rlexp.errors import UserError
from rlexp.networks.dreamer.decoder import ConvDecoder, VectorDecoder
from rlexp.networks.dreamer.distributions import (
    CategoricalLatents,
    GaussianLatents,
    Latents,
    symlog,
)
from rlexp.networks.dreamer.encoder import ConvEncoder, VectorEncoder, to_floats
from rlexp.networks.dreamer.heads import MaskHead, NumberHead
from rlexp.networks.dreamer.layers import Style
from rlexp.networks.dreamer.rssm import RSSM, ModelState, Observed, kl_losses
from rlexp.networks.initial import initialise


@dataclass(frozen=True)
class Sizes:
    """Of a world model; the keys of conf/agent/dreamer.yaml of the same names."""

    encoder: str
    padding: str
    depth: int
    conv_layers: int
    vector_layers: int
    latent: str
    stoch: int
    classes: int
    local_latents: bool
    local_prior: bool
    subtract_mean: bool
    unimix: float
    min_std: float
    deter: int
    hidden: int
    units: int
    head_layers: int
    critic_layers: int
    activation: str
    conv_activation: str
    norm: bool
    init: str
    bins: int | None
    squash: bool

    @property
    def style(self) -> Style:
        return Style(self.activation, self.norm)

    def latents(self) -> Latents:
        if self.latent == "categorical":
            return CategoricalLatents(self.stoch, self.classes, self.unimix)
        return GaussianLatents(self.stoch, self.min_std)


@dataclass(frozen=True)
class LossScales:
    """Weights of the parts of the loss; `swapped` and `resets` are for what mistakes cost."""

    recon: float
    reward: float
    goes_on: float
    dynamics: float
    representation: float
    free_nats: float
    swapped: bool = False
    resets: bool = True


class Tensors(NamedTuple):
    """Chunks on the device: obs as the encoder takes them [T * B, …], the rest [T, B, …]."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    first: Tensor
    terminated: Tensor
    action_mask: Tensor | None = None


class WorldModel(nn.Module):
    """Encoder, RSSM, decoder, and heads for reward, whether the game goes on, and legal actions."""

    def __init__(
        self,
        space: Space[Any],
        actions: int,
        sizes: Sizes,
        continue_head: bool,
        mask_head: bool = False,
    ) -> None:
        super().__init__()
        style, self.latents = sizes.style, sizes.latents()
        assert space.shape is not None
        self.pixels = is_image(space)
        check_encoder(sizes.encoder, self.pixels, space)
        self.squash = sizes.squash and not self.pixels
        self.encoder: ConvEncoder | VectorEncoder
        self.decoder: ConvDecoder | VectorDecoder
        size = int(np.prod(space.shape))
        self.features = sizes.deter + self.latents.size
        self.normal_noise = sizes.latent == "gaussian"
        if self.pixels:
            shape = (space.shape[0], space.shape[1], space.shape[2])
            look = Style(sizes.conv_activation, sizes.norm)
            self.encoder = ConvEncoder(shape, sizes.depth, sizes.padding, look, sizes.conv_layers)
            local = self.latents.size if sizes.local_latents else 0
            self.decoder = ConvDecoder(
                self.features, shape, sizes.depth, sizes.padding, look, local, sizes.conv_layers
            )
        else:
            units, layers = sizes.units, sizes.vector_layers
            self.encoder = VectorEncoder(size, units, layers, self.squash, style)
            self.decoder = VectorDecoder(self.features, size, units, layers, style)
        self.rssm = RSSM(
            self.encoder.out_features, actions, self.latents, sizes.deter, sizes.hidden, style,
            check_local(sizes, self.encoder), sizes.local_prior,
        )  # fmt: skip
        units, layers = sizes.units, sizes.head_layers
        # Of the pictures, as the encoder takes them; zeros until `look_at` has seen some.
        self.mean_picture: Tensor | None
        centred = self.pixels and sizes.subtract_mean
        self.register_buffer("mean_picture", torch.zeros(space.shape) if centred else None)
        self.reward = NumberHead(self.features, units, layers, sizes.bins, style)
        self.goes_on = None
        if continue_head:
            self.goes_on = NumberHead(self.features, units, layers, None, style)
        # The last part: the optimizer of a run that was saved without it then still fits.
        self.mask_head = (
            MaskHead(self.features, units, layers, actions, style) if mask_head else None
        )
        initialise(self, sizes.init)
        if self.mask_head is not None:
            self.mask_head.zero()
        if sizes.bins is not None:
            self.reward.zero()

    def prepare(self, obs: Tensor) -> Tensor:
        """Observations [B, …] as the environment gives them → as the encoder takes them."""
        return to_floats(obs) if self.pixels else obs.float().flatten(1)

    def target(self, prepared: Tensor) -> Tensor:
        """What the decoder should give: where pictures hardly differ, it has nothing to learn."""
        if self.mean_picture is not None:
            return prepared - self.mean_picture
        return symlog(prepared) if self.squash else prepared

    def decode(self, features: Tensor) -> Tensor:
        """Features [B, F] → observations [B, …] as `prepare` gives them, or their symlog."""
        found: Tensor = self.decoder(features)
        return found if self.mean_picture is None else found + self.mean_picture

    @torch.no_grad()
    def look_at(self, prepared: Tensor) -> None:
        """The first observations that are learnt from, [B, …]: their mean stays what it is."""
        if self.mean_picture is not None and not self.mean_picture.any():
            self.mean_picture.copy_(prepared.mean(0))

    def observe(self, data: Tensors, noise: Tensor, resets: bool = True) -> Observed:
        """States of the chunks [T, B, …]."""
        embed = self.encoder(data.obs).unflatten(0, data.first.shape)
        first = data.first if resets else torch.zeros_like(data.first)
        return self.rssm.observe(embed, data.action, first, noise)

    def continues(self, features: Tensor) -> Tensor:
        """The probability that the game goes on after a state, [...]; 1 without that head."""
        if self.goes_on is None:
            return features.new_ones(features.shape[:-1])
        return self.goes_on(features).squeeze(-1).sigmoid()

    @torch.no_grad()
    def legal_actions(self, features: Tensor) -> Tensor | None:
        """Predict the action mask of states, bool [..., A]; None without that head."""
        return None if self.mask_head is None else self.mask_head.predict(features)


def check_encoder(kind: str, pixels: bool, space: Space[Any]) -> None:
    """UserError where the encoder that the config asks for does not fit the observations."""
    if kind == "cnn" and not pixels:
        raise UserError(
            f"agent.encoder=cnn sees pictures; the environment gives {space}: "
            "write agent=dreamer or agent.encoder=auto"
        )
    if kind == "mlp" and pixels:
        raise UserError(
            f"agent.encoder=mlp sees vectors; the environment gives pictures {space.shape}: "
            "write agent.encoder=auto"
        )


def check_local(sizes: Sizes, encoder: nn.Module) -> tuple[int, int] | None:
    """The grid of cells among which the latents are shared out; UserError where they can't be."""
    if not sizes.local_latents:
        if sizes.local_prior:
            raise UserError("agent.local_prior needs agent.local_latents=true")
        return None
    if not isinstance(encoder, ConvEncoder) or sizes.padding != "same":
        raise UserError(
            "agent.local_latents needs pictures and agent.padding=same: write "
            "agent.local_latents=false"
        )
    cells = encoder.grid[0] * encoder.grid[1]
    if sizes.latent != "categorical" or sizes.stoch % cells:
        near = max(1, round(sizes.stoch / cells)) * cells
        raise UserError(
            f"agent.local_latents shares categorical latents out among {cells} cells: "
            f"write agent.latent=categorical agent.stoch={near}"
        )
    return encoder.grid


def to_tensors(model: WorldModel, chunks: Chunks, device: torch.device) -> Tensors:
    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(device)

    return Tensors(
        model.prepare(tensor(chunks.obs.reshape(-1, *chunks.obs.shape[2:]))),
        tensor(chunks.action),
        tensor(chunks.reward),
        tensor(chunks.first),
        tensor(chunks.terminated),
        None if chunks.action_mask is None else tensor(chunks.action_mask),
    )


def model_loss(
    model: WorldModel, data: Tensors, noise: Tensor, scales: LossScales
) -> tuple[Tensor, ModelState, dict[str, Tensor]]:
    """(loss, posterior states [T, B, …] without gradients, numbers to log), means over all steps.

    The picture's error is summed over its pixels, the KL over the latents.
    """
    seen = model.observe(data, noise, scales.resets)
    features = seen.states.features
    flat = features.flatten(0, 1)
    steps = len(flat)
    pictures = model.decoder(flat)
    recon = squared_error(pictures, model.target(data.obs)) / steps
    outputs = model.reward(features)
    reward = model.reward.loss(outputs, data.reward).mean()
    dynamics, representation = kl_losses(
        model.latents, seen.posterior, seen.prior, scales.free_nats, scales.swapped
    )
    loss = (
        scales.recon * recon
        + scales.reward * reward
        + scales.dynamics * dynamics.mean()
        + scales.representation * representation.mean()
    )
    told = {
        "loss/recon": recon.detach(),
        "loss/reward": reward.detach(),
        "loss/kl_dynamics": dynamics.detach().mean(),
        "loss/kl_representation": representation.detach().mean(),
    }
    if model.goes_on is not None:
        logits = model.goes_on(features).squeeze(-1)
        target = (~data.terminated).to(logits)
        goes_on = functional.binary_cross_entropy_with_logits(logits, target)
        loss = loss + scales.goes_on * goes_on
        told["loss/continue"] = goes_on.detach()
        told["train/continue_accuracy"] = ((logits > 0) == (target > 0)).float().mean()
    if model.mask_head is not None and data.action_mask is not None:
        mask_loss, told["train/mask_accuracy"] = model.mask_head.loss(
            features, data.action_mask, ~data.terminated
        )
        loss = loss + mask_loss
        told["loss/mask"] = mask_loss.detach()
    with torch.no_grad():
        told["loss/model"] = loss.detach()
        told["train/latent_kl"] = model.latents.kl(seen.posterior, seen.prior).mean()
        told["train/prior_entropy"] = model.latents.entropy(seen.prior).mean()
        told["train/posterior_entropy"] = model.latents.entropy(seen.posterior).mean()
        told["train/reward_accuracy"] = accuracy(model.reward.mean(outputs), data.reward)
    states = ModelState(seen.states.h.detach(), seen.states.z.detach())
    return loss, states, told


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Summed over everything. (mse_loss takes three times as long over channels-last pictures.)"""
    gap = a - b
    if gap.ndim == 4:
        gap = gap.permute(0, 2, 3, 1)
    flat = gap.reshape(-1)
    return flat.dot(flat)


def accuracy(predicted: Tensor, reward: Tensor) -> Tensor:
    """Share of rewards that are predicted to within a tenth of max(1, |reward|)."""
    return ((predicted - reward).abs() <= 0.1 * reward.abs().clamp_min(1)).float().mean()
