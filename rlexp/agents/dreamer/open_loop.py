"""What a world model sees with its eyes shut: prediction from actions alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rlexp.agents.dreamer.world_model import WorldModel
from rlexp.networks.dreamer.distributions import CategoricalLatents, Latents, symexp
from rlexp.networks.dreamer.rssm import ModelState

DREAMS = 16
"""Samples of the future of which the mean is what the model predicts."""


@dataclass(frozen=True)
class Played:
    """T steps of B games, none of which ends before its last: obs [T, B, …] as the environment
    gives them, action float32 [T, B, A] that led to them, first bool [T, B]."""

    obs: np.ndarray
    action: np.ndarray
    first: np.ndarray


@torch.inference_mode()
def open_loop(
    model: WorldModel, played: Played, context: int, dreams: int = DREAMS, min_p: float = 0.0
) -> np.ndarray:
    """What the model shows for the T steps, float32 [T, B, …]: pictures in 0..1, vectors as given.

    The first `context` steps are seen and shown as the posterior reconstructs them; the others are
    dreamt from the actions. The mean of `dreams` samples is given: where the model is not sure, it
    has the least squared error. `min_p`: see `likely`.
    """
    device = next(model.parameters()).device
    steps, rows = played.first.shape
    flat = torch.from_numpy(played.obs[:context].reshape(-1, *played.obs.shape[2:])).to(device)
    embed = model.encoder(model.prepare(flat)).unflatten(0, (context, rows))
    action = torch.from_numpy(played.action).to(device)
    first = torch.from_numpy(played.first).to(device)
    generator = torch.Generator().manual_seed(0)  # the same prediction every time
    total = torch.zeros((steps, *played.obs.shape[1:]))
    for _ in range(dreams):
        noise = model.latents.draw((steps, rows), generator).to(device)
        seen = model.rssm.observe(embed, action[:context], first[:context], noise[:context])
        features = list(seen.states.features.unbind(0))
        state = ModelState(seen.states.h[-1], seen.states.z[-1])
        for t in range(context, steps):
            h, prior = model.rssm.foretell(state, action[t])
            state = ModelState(
                h, model.latents.sample(likely(model.latents, prior, min_p), noise[t])
            )
            features.append(state.features)
        total += _observations(model, torch.cat(features)).cpu().view_as(total)
    found: np.ndarray = (total / dreams).numpy()
    return found


def likely(latents: Latents, stats: Tensor, min_p: float) -> Tensor:
    """Of categorical `stats` [..., outputs], without classes less than `min_p` times as likely as
    their likeliest (min-p sampling, Nguyen et al. 2024). What a model never unlearns to hold for
    barely possible, of hundreds of latents, happens to one of them at every step, and stays."""
    if min_p == 0 or not isinstance(latents, CategoricalLatents):
        return stats
    probs = stats.unflatten(-1, (latents.count, latents.classes))
    probs = probs * (probs >= min_p * probs.amax(-1, keepdim=True))
    return (probs / probs.sum(-1, keepdim=True)).flatten(-2)


def _observations(model: WorldModel, features: Tensor) -> Tensor:
    """Features [B, F] → observations [B, …]: pictures in 0..1, vectors as the game gives them."""
    shown = model.decode(features)
    if model.pixels:
        return (shown + 0.5).clamp(0, 1)
    return symexp(shown) if model.squash else shown


def errors(played: Played, shown: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared errors [T - context, B] of the prediction, and of the last observation that was
    seen, copied; of pictures in 0..1."""
    scale = 255 if played.obs.dtype == np.uint8 else 1
    true = played.obs.astype(np.float32) / np.float32(scale)
    axes = tuple(range(2, true.ndim))
    ours = np.square(shown[context:] - true[context:]).mean(axes)
    copied = np.square(true[context - 1] - true[context:]).mean(axes)
    return ours, copied


def psnr(error: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of mean squared errors of pictures in 0..1."""
    return np.asarray(-10 * np.log10(np.maximum(error, 1e-10)))
