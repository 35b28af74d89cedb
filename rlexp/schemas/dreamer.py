"""Schema of Dreamer. Meanings stand in conf/agent/dreamer.yaml, above each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlexp.errors import did_you_mean
from rlexp.registry import register
from rlexp.schemas.agent import AgentConfig
from rlexp.schemas.fields import MISSING, cadence, choice, fixed, key, number


def _positive(value: Any) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


def _bins(value: Any) -> None:
    if value is not None and (value < 3 or value % 2 == 0):
        raise ValueError("must be null or an odd number, at least 3")


MISTAKES = (
    "swapped_kl",
    "gaussian_argmax",
    "misstored_actions",
    "no_last_step",
    "no_resets",
    "no_continue",
)
"""What is easily got wrong in a Dreamer, each a switch that shows what it costs."""


def _mistakes(value: Any) -> None:
    for name in value:
        if name not in MISTAKES:
            raise ValueError(
                f"{name!r} is none of {', '.join(MISTAKES)}.{did_you_mean(str(name), MISTAKES)}"
            )


@register("agent", "dreamer", "dreamer_v1", impl="rlexp.agents.dreamer.agent:Dreamer")
@dataclass
class DreamerConfig(AgentConfig):
    encoder: str = choice("auto", "cnn", "mlp", fixed=True, sees={"cnn": "pixels"})
    padding: str = choice("valid", "same", fixed=True)
    depth: int = key(_positive, fixed=True)
    conv_layers: int = key(_positive, fixed=True)
    vector_layers: int = key(_positive, fixed=True)
    latent: str = choice("categorical", "gaussian", fixed=True)
    stoch: int = key(_positive, fixed=True)
    classes: int = key(_positive, fixed=True)
    local_latents: bool = fixed()
    local_prior: bool = fixed()
    subtract_mean: bool = fixed()
    unimix: float = number(low=0, high=1)
    min_std: float = number(above=0)
    deter: int = key(_positive, fixed=True)
    hidden: int = key(_positive, fixed=True)
    units: int = key(_positive, fixed=True)
    head_layers: int = key(_positive, fixed=True)
    critic_layers: int = key(_positive, fixed=True)
    actor_layers: int = key(_positive, fixed=True)
    activation: str = choice("silu", "elu", "relu")
    conv_activation: str = choice("silu", "elu", "relu")
    norm: bool = fixed()
    init: str = choice("default", "glorot_normal", "glorot_uniform", "orthogonal")
    bins: int | None = key(_bins, fixed=True)
    squash: bool = MISSING
    recon_scale: float = number(low=0)
    recon_boost: float = number(above=0)
    recon_boost_decay: int | None = number(low=1)
    reward_scale: float = number(low=0)
    continue_scale: float = number(low=0)
    kl_dynamics: float = number(low=0)
    kl_representation: float = number(low=0)
    free_nats: float = number(low=0)
    gamma: float = number(low=0, high=1)
    return_lambda: float = number(low=0, high=1)
    horizon: int = number(low=1)
    imagine_last: int | None = number(low=1)
    entropy_coef: float = number(low=0)
    normalise_returns: bool = MISSING
    return_decay: float = number(low=0, high=1)
    slow_critic: float | None = number(above=0, high=1)
    slow_coef: float = number(low=0)
    batch_size: int = number(low=1)
    chunk: int = number(low=2)
    train_ratio: float = number(above=0)
    learning_starts: int | str = cadence(zero=True)
    model_lr: float = number(above=0)
    actor_lr: float = number(above=0)
    critic_lr: float = number(above=0)
    adam_eps: float = number(above=0)
    clip_norm: float | None = number(above=0)
    behaviour_clip_norm: float | None = number(above=0)
    exploration: float = number(low=0, high=1)
    mistakes: list[str] = key(_mistakes)
