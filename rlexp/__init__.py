"""rlexp: a config-driven reinforcement-learning experiment runner.

    import rlexp
    score = rlexp.train(["env=cartpole", "agent=dqn", "seed=1"])
    agent = rlexp.load("outputs/cartpole-dqn/…")
    env = rlexp.gym_env(["env=catcher"])  # a gymnasium.Env
    env = rlexp.aec_env(["env=signaling"])  # a pettingzoo.AECEnv: seats move in turn
    env = rlexp.parallel_env(["env=bomberman"])  # a pettingzoo.ParallelEnv: seats move at once

Nothing heavy is imported here: what is called imports what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlexp.api import aec_env, compose, gym_env, load, parallel_env, train

__version__ = "0.1.0"
__all__ = ["__version__", "aec_env", "compose", "gym_env", "load", "parallel_env", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from rlexp import api

        return getattr(api, name)
    raise AttributeError(f"module 'rlexp' has no attribute {name!r}")
