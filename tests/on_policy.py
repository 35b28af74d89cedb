"""On-policy agents as tests make them: small, and the same weights every time."""

from __future__ import annotations

from typing import Any

import torch

from rlexp.agents import a2c, ppo, reinforce
from rlexp.clock import Clock
from rlexp.envs.base import BatchEnv
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO

CPU = torch.device("cpu")
COMMON: dict[str, Any] = {
    "hidden": [32], "activation": "tanh", "shared": False, "init": "orthogonal", "padding": "valid",
    "standardise": None, "gamma": 0.9, "lr": 5e-3, "lr_decay": None, "adam_eps": 1e-8,
    "value_coef": 0.5, "entropy_coef": 0.0, "clip_norm": None,
    "vision": "mlp", "pixels": "scaled", "entropy_decay": None, "log_std": 0.0,
    "normalise_reward": False,
}  # fmt: skip
ROLLOUT = {"rollout_steps": 16, "gae_lambda": 0.95, "normalise_advantage": True}
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a2c": (a2c.A2C, ROLLOUT | {"normalise_advantage": False}),
    "ppo": (
        ppo.PPO,
        ROLLOUT
        | {"epochs": 4, "batch_size": 32, "clip": 0.2, "clip_decay": None}
        | {"clip_value_loss": None, "target_kl": None, "target_loss": "none"},
    ),
    "reinforce": (
        reinforce.Reinforce,
        {"episodes": 4, "baseline": "value", "normalise_returns": "both"},
    ),
}


def agent(kind: str, env: BatchEnv, **changes: Any) -> Any:
    torch.manual_seed(0)
    make, own = KINDS[kind]
    values = COMMON | own | changes
    if kind == "reinforce":
        values["num_envs"] = env.spec.num_envs
    space, actions = env.spec.observation_spaces[SOLO], env.spec.action_spaces[SOLO]
    shards = values.pop("shards", 1)
    return make(space, actions, device=CPU, shards=shards, seed=1, **values)


def run(player: Any, env: BatchEnv, steps: int) -> list[Any]:
    return list(train(Solo(player, SOLO, False), env, Clock(total_steps=steps), 0))
