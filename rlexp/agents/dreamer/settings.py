"""The plain numbers that a Dreamer is built from: the keys of conf/agent/dreamer.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Everything but the world model's sizes (world_model.Sizes)."""

    recon_scale: float
    recon_boost: float
    recon_boost_decay: int | None
    reward_scale: float
    continue_scale: float
    kl_dynamics: float
    kl_representation: float
    free_nats: float
    actor_layers: int
    gamma: float
    return_lambda: float
    horizon: int
    imagine_last: int | None
    entropy_coef: float
    normalise_returns: bool
    return_decay: float
    slow_critic: float | None
    slow_coef: float
    batch_size: int
    chunk: int
    train_ratio: float
    learning_starts: int | str
    model_lr: float
    actor_lr: float
    critic_lr: float
    adam_eps: float
    clip_norm: float | None
    behaviour_clip_norm: float | None
    exploration: float
    mistakes: list[str]

    def makes(self, mistake: str) -> bool:
        """Is this to be got wrong, to see what it costs?"""
        return mistake in self.mistakes
