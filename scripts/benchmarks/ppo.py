"""PPO's steps a second on CartPole-v1, learning included, against Stable-Baselines3.

    uv run --with stable-baselines3 python scripts/benchmarks/ppo.py

The same setting on both sides: 8 environments, 32 steps, 20 epochs, batches of 256, two nets of
64-64. Stable-Baselines3 runs with one torch thread and with two; its better figure counts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from race import Contender, ours, race

ROLLOUT = 8 * 32


def theirs(threads: int) -> Iterator[int]:
    """Stable-Baselines3's learn(), a rollout at a time; yields the steps done."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(threads)
    model: Any = PPO(
        "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8), n_steps=32, batch_size=256, n_epochs=20,
        gamma=0.98, gae_lambda=0.8, learning_rate=1e-3, device="cpu",
    )  # fmt: skip
    # What learn() does, so that it can pause between two rollouts.
    _, callback = model._setup_learn(10**9, None)
    assert isinstance(callback, BaseCallback)
    callback.on_training_start(locals(), globals())
    yield 0
    done = 0
    while True:
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        model.train()
        done += ROLLOUT
        yield done


def main() -> None:
    try:
        import stable_baselines3  # noqa: F401
    except ImportError:
        sys.exit("run it with: uv run --with stable-baselines3 python scripts/benchmarks/ppo.py")
    contenders: dict[str, Contender] = {"rlexp": (ours, ["experiment=cartpole_ppo"])}
    for threads in (1, 2):
        contenders[f"Stable-Baselines3, {threads} threads"] = (theirs, threads)
    race(contenders, blocks=7, steps=20 * ROLLOUT, warm_up=10 * ROLLOUT)


if __name__ == "__main__":
    main()
