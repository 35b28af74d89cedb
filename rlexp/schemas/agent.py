"""Schemas of agents. Meanings stand in conf/agent/*.yaml, above each key."""

from __future__ import annotations

from dataclasses import dataclass

from rlexp.registry import register
from rlexp.schedules import Schedule
from rlexp.schemas.fields import MISSING, cadence, choice, fixed, number


@dataclass
class AgentConfig:
    """What every agent has."""

    name: str = MISSING
    init_from: str | None = None


@register("agent", "random", impl="rlexp.agents.random:Random")
@dataclass
class RandomConfig(AgentConfig):
    pass


@register("agent", "dqn", "ddqn", impl="rlexp.agents.dqn:DQN")
@dataclass
class DQNConfig(AgentConfig):
    double: bool = MISSING
    hidden: list[int] | None = fixed()
    gamma: float = number(low=0, high=1)
    n_step: int = number(low=1)
    lr: float = number(above=0)
    lr_decay: int | None = number(low=1)
    adam_eps: float = number(above=0)
    loss: str = choice("huber", "squared")
    batch_size: int = number(low=1)
    learning_starts: int | str = cadence(zero=True)
    train_every: int | str = cadence()
    updates: int = number(low=1)
    target_every: int | str = cadence()
    target_tau: float = number(above=0, high=1)
    clip_norm: float | None = number(above=0)
    clip_value: float | None = number(above=0)
    epsilon: Schedule = MISSING
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
@register("agent", "sarsa", impl="rlexp.agents.td_control:Sarsa")
@dataclass
class TDControlConfig(AgentConfig):
    hidden: list[int] | None = fixed()
    init: float = MISSING
    gamma: float = number(low=0, high=1)
    lr: float = number(above=0)
    epsilon: Schedule = MISSING
    eval_epsilon: float = number(low=0, high=1)
