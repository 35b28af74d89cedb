"""Schemas of agents. Meanings stand in conf/agent/*.yaml, above each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlexp.registry import register
from rlexp.schedules import Schedule
from rlexp.schemas.fields import MISSING, cadence, choice, fixed, key, number, units


def _standardise(value: Any) -> None:
    if value in (None, "running") or (isinstance(value, int) and value > 0):
        return
    raise ValueError("must be null, running, or a number of observations such as 1024")


def _convolutions(value: Any) -> None:
    if any(len(c) != 2 or min(c) < 1 for c in value or []):
        raise ValueError("must be null or a list of [channels, kernel]")


def _epsilon(value: Any) -> None:
    for name in ("start", "end"):
        if not 0 <= getattr(value, name) <= 1:
            raise ValueError(f"{name}={getattr(value, name):g} must be in 0..1")


@dataclass
class AgentConfig:
    """What every agent has."""

    name: str = MISSING
    init_from: str | None = None

    def problem(self, num_envs: int) -> str | None:
        """Say what a new run with so many rows could never do; None where there is nothing."""
        return None


@register("agent", "random", impl="rlexp.agents.random:Random")
@dataclass
class RandomConfig(AgentConfig):
    pass


@dataclass
class ReplayConfig(AgentConfig):
    """What agents that learn from a replay buffer have in common."""

    standardise: int | str | None = key(_standardise, fixed=True)
    normalise_reward: bool = fixed()
    gamma: float = number(low=0, high=1)
    lr: float = number(above=0)
    lr_decay: int | None = number(low=1)
    adam_eps: float = number(above=0)
    batch_size: int = number(low=1)
    learning_starts: int | str = cadence(zero=True)
    train_every: int | str = cadence()
    updates: int = number(low=1)
    target_tau: float = number(above=0, high=1)


@register("agent", "dqn", "ddqn", "value_function", impl="rlexp.agents.dqn:DQN")
@dataclass
class DQNConfig(ReplayConfig):
    double: bool = MISSING
    dueling: bool = fixed()
    hidden: list[int] | None = units()
    padding: str = choice("valid", "same", fixed=True)
    pixels: str = choice("scaled", "changes", fixed=True)
    init: str = choice("default", "glorot_normal", "orthogonal")
    n_step: int = number(low=1)
    weight_decay: float = number(low=0)
    loss: str = choice("huber", "squared")
    target_every: int | str = cadence()
    random_target: bool = MISSING
    clip_norm: float | None = number(above=0)
    clip_value: float | None = number(above=0)
    epsilon: Schedule = key(_epsilon)
    eval_epsilon: float = number(low=0, high=1)


@dataclass
class BanditAgentConfig(AgentConfig):
    ties: str = choice("first", "random")


@register("agent", "epsilon_greedy", impl="rlexp.agents.bandits:EpsilonGreedy")
@dataclass
class EpsilonGreedyConfig(BanditAgentConfig):
    epsilon: float = number(low=0, high=1)


@register("agent", "ucb1", impl="rlexp.agents.bandits:UCB1")
@dataclass
class UCB1Config(BanditAgentConfig):
    c: float = number(low=0)


@register("agent", "kl_ucb", impl="rlexp.agents.bandits:KLUCB")
@register("agent", "thompson", impl="rlexp.agents.bandits:Thompson")
@dataclass
class PlainBanditConfig(BanditAgentConfig):
    pass


@register("agent", "gradient_bandit", impl="rlexp.agents.bandits:GradientBandit")
@dataclass
class GradientBanditConfig(BanditAgentConfig):
    lr: float = number(above=0)


@dataclass
class OnPolicyConfig(AgentConfig):
    """What reinforce, a2c and ppo have in common."""

    hidden: list[int] | None = units()
    activation: str = choice("relu", "tanh")
    shared: bool = fixed()
    padding: str = choice("valid", "same", fixed=True)
    vision: str = choice("mlp", "cnn", "board", fixed=True)
    pixels: str = choice("scaled", "changes", fixed=True)
    init: str = choice("orthogonal", "glorot_normal", "default")
    log_std: float = number()
    standardise: int | str | None = key(_standardise, fixed=True)
    normalise_reward: bool = fixed()
    gamma: float = number(low=0, high=1)
    lr: float = number(above=0)
    lr_decay: int | None = number(low=1)
    adam_eps: float = number(above=0)
    value_coef: float = number(low=0)
    entropy_coef: float = number(low=0)
    entropy_decay: int | None = number(low=1)
    clip_norm: float | None = number(above=0)


@register("agent", "reinforce", impl="rlexp.agents.reinforce:Reinforce")
@dataclass
class ReinforceConfig(OnPolicyConfig):
    episodes: int = number(low=1)
    baseline: str = choice("none", "value", "leave_one_out")
    normalise_returns: str = choice("none", "deviation", "both")

    def problem(self, num_envs: int) -> str | None:
        if self.baseline == "leave_one_out" and self.episodes == num_envs == 1:
            return (
                "agent.baseline=leave_one_out needs other games in an update, and "
                "agent.episodes=1 with env.num_envs=1 has one: write agent.episodes=2 or more"
            )
        return None


@dataclass
class RolloutConfig(OnPolicyConfig):
    rollout_steps: int = number(low=1)
    gae_lambda: float = number(low=0, high=1)
    normalise_advantage: bool = MISSING

    def batch(self, num_envs: int) -> tuple[int, str]:
        """Give the steps whose advantages are normalised together, and the keys that say so."""
        keys = f"agent.rollout_steps={self.rollout_steps} with env.num_envs={num_envs}"
        return self.rollout_steps * num_envs, keys

    def problem(self, num_envs: int) -> str | None:
        size, keys = self.batch(num_envs)
        if self.normalise_advantage and size == 1:
            return (
                "agent.normalise_advantage=true needs batches of several steps, and "
                f"{keys} makes batches of one: write agent.normalise_advantage=false"
            )
        return None


@register("agent", "a2c", impl="rlexp.agents.a2c:A2C")
@dataclass
class A2CConfig(RolloutConfig):
    pass


@register("agent", "ppo", impl="rlexp.agents.ppo:PPO")
@dataclass
class PPOConfig(RolloutConfig):
    epochs: int = number(low=1)
    batch_size: int = number(low=1)
    clip: float = number(above=0)
    clip_decay: int | None = number(low=1)
    clip_value_loss: float | None = number(above=0)
    target_kl: float | None = number(above=0)
    target_loss: str = choice("none", "cross_entropy", asks={"cross_entropy": "answers"})

    def batch(self, num_envs: int) -> tuple[int, str]:
        size, keys = super().batch(num_envs)
        if self.batch_size < size:
            return self.batch_size, f"agent.batch_size={self.batch_size}"
        return size, keys


@register("agent", "sac", impl="rlexp.agents.sac:SAC")
@dataclass
class SACConfig(ReplayConfig):
    hidden: list[int] = units()
    activation: str = choice("relu", "tanh")
    temperature: float = number(above=0)
    learn_temperature: bool = fixed()
    target_entropy: float | None = number()


@register("agent", "regressor", impl="rlexp.agents.supervised:Regressor")
@register("agent", "classifier", impl="rlexp.agents.supervised:Classifier")
@dataclass
class SupervisedConfig(AgentConfig):
    hidden: list[int] | None = units()
    convolutions: list[list[int]] | None = key(_convolutions, fixed=True)
    activation: str = choice("relu", "sigmoid", "softplus", "tanh")
    batch_norm: bool = fixed()
    standardise: int | str | None = key(_standardise, fixed=True)
    pixel_scale: float = number(above=0)
    init: str = choice("default", "glorot_uniform", "glorot_normal", "orthogonal", "zeros")
    l1: float = number(low=0)
    weight_decay: float = number(low=0)
    optimizer: str = choice("sgd", "adam", fixed=True)
    lr: float = number(above=0)
    momentum: float = number(low=0, high=1)


@register("agent", "gradient_descent", impl="rlexp.agents.gradient_descent:GradientDescent")
@dataclass
class GradientDescentConfig(AgentConfig):
    lr: float = number(above=0)
    momentum: float = number(low=0, high=1)


@register("agent", "tabular_policy_gradient",
          impl="rlexp.agents.tabular_policy_gradient:TabularPolicyGradient")  # fmt: skip
@dataclass
class TabularPolicyGradientConfig(AgentConfig):
    lr: float = number(above=0)
    lr_decay: int | None = number(low=1)
    sign: str = choice("minus", "plus")
    stop_change: float | None = number(above=0)
    max_episodes: int | None = number(low=1)


@register("agent", "q_learning", impl="rlexp.agents.td_control:QLearning")
@register("agent", "sarsa", impl="rlexp.agents.sarsa:Sarsa")
@dataclass
class TDControlConfig(AgentConfig):
    hidden: list[int] | None = units()
    init: float = number()
    gamma: float = number(low=0, high=1)
    lr: float = number(above=0)
    epsilon: Schedule = key(_epsilon)
    eval_epsilon: float = number(low=0, high=1)


@register("agent", "gumbel", impl="rlexp.agents.gumbel:Gumbel")
@dataclass
class GumbelConfig(AgentConfig):
    hidden: list[int] = units()
    vision: str = choice("mlp", "cnn", fixed=True)
    temperature: float = number(above=0)
    lr: float = number(above=0)
    entropy_coef: float = number(low=0)
    clip_norm: float | None = number(above=0)
