"""What a world model sees with its eyes shut: prediction from actions alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rlexp.agents.dreamer.world_model import WorldModel
from rlexp.networks.dreamer.distributions import symexp
from rlexp.networks.dreamer.rssm import ModelState


@dataclass(frozen=True)
class Played:
    """T steps of B games, none of which ends before its last: obs [T, B, …] as the environment
    gives them, action float32 [T, B, A] that led to them, first bool [T, B]."""

    obs: np.ndarray
    action: np.ndarray
    first: np.ndarray


@torch.inference_mode()
def open_loop(model: WorldModel, played: Played, context: int) -> np.ndarray:
    """What the model shows for the T steps, float32 [T, B, …]: pictures in 0..1, vectors as given.

    The first `context` steps are seen and shown as the posterior reconstructs them; the others are
    predicted from the actions, each latent the most likely of the prior.
    """
    device = next(model.parameters()).device
    steps, rows = played.first.shape
    flat = torch.from_numpy(played.obs[:context].reshape(-1, *played.obs.shape[2:])).to(device)
    embed = model.encoder(model.prepare(flat)).unflatten(0, (context, rows))
    action = torch.from_numpy(played.action).to(device)
    first = torch.from_numpy(played.first).to(device)
    # The middle of the noise: the same prediction every time.
    middle = 0.0 if model.normal_noise else 0.5
    noise = torch.full((context, rows, model.latents.noise), middle, device=device)
    seen = model.rssm.observe(embed, action[:context], first[:context], noise)
    features = list(seen.states.features.unbind(0))
    state = ModelState(seen.states.h[-1], seen.states.z[-1])
    for t in range(context, steps):
        state = model.rssm.imagine_step(state, action[t], None)
        features.append(state.features)
    shown = model.decode(torch.cat(features)).unflatten(0, (steps, rows))
    if model.pixels:
        shown = (shown + 0.5).clamp(0, 1)
    elif model.squash:
        shown = symexp(shown)
    found: np.ndarray = shown.cpu().numpy().reshape(played.obs.shape)
    return found


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
