"""SAC's losses against numbers worked out by hand, what an update moves, and that it learns."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

import rlexp
from rlexp import codec
from rlexp.agents.sac import (
    SAC,
    critic_loss,
    policy_loss,
    soft_target,
    temperature_loss,
)
from rlexp.buffers.base import Batch, Storage
from rlexp.buffers.replay import ReplayBuffer
from rlexp.clock import Clock
from rlexp.envs.base import BatchEnv
from rlexp.errors import UserError
from rlexp.evaluate import evaluate
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, EnvSpec, State, Transition, Tree


class Dial(BatchEnv):
    """One number to set, -3..5: what was asked for costs its squared distance, five moves."""

    def __init__(self, num_envs: int = 1) -> None:
        box = Box(-1.0, 1.0, (1,), np.float32)
        spec = EnvSpec({SOLO: box}, {SOLO: Box(-3.0, 5.0, (1,), np.float32)}, num_envs)
        super().__init__(spec, max_steps=5)
        self.wish = np.zeros(num_envs)

    def reset_rows(self, rows: np.ndarray) -> None:
        self.wish[rows] = self.rng.uniform(-1, 1, size=len(rows))

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        gap = (actions[:, 0] - (1 + 3 * self.wish)) / 4
        self.wish = self.rng.uniform(-1, 1, size=len(self.wish))
        return -np.square(gap), np.zeros(len(gap), dtype=bool), {}

    def observe_rows(self) -> Tree:
        return self.wish[:, None].astype(np.float32)

    def game_state(self) -> State:
        return {"wish": self.wish.copy()}

    def load_game_state(self, state: State) -> None:
        self.wish = np.array(state["wish"])


def make(env: BatchEnv, **changes: Any) -> SAC:
    torch.manual_seed(0)
    values: dict[str, Any] = {
        "hidden": [32, 32], "activation": "relu", "standardise": None, "normalise_reward": False,
        "gamma": 0.9, "lr": 3e-3, "lr_decay": None, "adam_eps": 1e-8, "batch_size": 64,
        "learning_starts": 100, "train_every": 1, "updates": 1, "target_tau": 0.02,
        "temperature": 0.2, "learn_temperature": True, "target_entropy": None,
    }  # fmt: skip
    space, actions = env.spec.observation_spaces[SOLO], env.spec.action_spaces[SOLO]
    buffer = ReplayBuffer(5000, env.spec, SOLO, Storage())
    return SAC(space, actions, buffer, torch.device("cpu"), 1, **(values | changes))


def batch(rng: np.random.Generator, size: int = 16) -> Batch:
    obs, next_obs = rng.uniform(-1, 1, (2, size, 1)).astype(np.float32)
    return Batch(
        obs=obs,
        action=rng.uniform(-3, 5, (size, 1)).astype(np.float32),
        reward=rng.normal(size=size).astype(np.float32),
        next_obs=next_obs,
        discount=np.where(np.arange(size) % 4 == 0, 0.0, 0.9).astype(np.float32),
    )


def test_target() -> None:
    """The smaller critic, plus what the entropy of the next move is worth; none after the end."""
    target_q = torch.tensor([[1.0, 5.0, 9.0], [2.0, 4.0, 9.0]])
    y = soft_target(
        torch.tensor([1.0, -1.0, 2.0]), torch.tensor([0.5, 0.5, 0.0]), target_q,
        torch.tensor([-1.0, 2.0, 3.0]), torch.tensor(0.2),
    )  # fmt: skip
    # 1 + .5 (1 + .2), -1 + .5 (4 - .4), 2
    torch.testing.assert_close(y, torch.tensor([1.6, 0.8, 2.0]))


def test_critic_loss() -> None:
    q = torch.tensor([[1.0, 2.0], [3.0, 2.0]], requires_grad=True)
    losses = critic_loss(q, torch.tensor([2.0, 0.0]))
    assert losses.tolist() == [0.5 + 0.5, 2.0 + 2.0]
    losses.sum().backward()
    assert q.grad is not None and q.grad.tolist() == [[-1.0, 2.0], [1.0, 2.0]]


def test_policy_loss() -> None:
    q = torch.tensor([[1.0, 2.0], [3.0, 0.5]], requires_grad=True)
    log_prob = torch.tensor([-1.0, 2.0], requires_grad=True)
    losses = policy_loss(q, log_prob, torch.tensor(0.5))
    assert losses.tolist() == [-1.5, 0.5]
    losses.sum().backward()
    assert q.grad is not None and q.grad.tolist() == [[-1.0, 0.0], [0.0, -1.0]]
    assert log_prob.grad is not None and log_prob.grad.tolist() == [0.5, 0.5]


def test_temperature_loss() -> None:
    """Entropies of 3 and 0 where 1 is wanted: alpha falls by the first, rises by the second."""
    log_alpha = torch.tensor(math.log(0.5), requires_grad=True)
    log_prob = torch.tensor([-3.0, 0.0], requires_grad=True)
    losses = temperature_loss(log_alpha, log_prob, 1.0)
    torch.testing.assert_close(losses.detach(), torch.tensor([1.0, -0.5]))
    slopes = [torch.autograd.grad(x, log_alpha, retain_graph=True)[0].item() for x in losses]
    assert slopes == pytest.approx([1.0, -0.5])
    losses.sum().backward()
    assert log_prob.grad is None  # the policy is not moved by it


def test_an_update_against_one_written_out() -> None:
    """Separate weights and optimizers, the same draws: the same numbers."""
    agent = make(Dial(), normalise_reward=False, target_entropy=-0.5)
    net, target = copy.deepcopy(agent.net), copy.deepcopy(agent.target)
    log_alpha = agent.log_alpha.detach().clone().requires_grad_()
    actor_adam = torch.optim.Adam([*net.actor.parameters(), log_alpha], lr=3e-3)
    critic_adam = torch.optim.Adam(net.critics.parameters(), lr=3e-3)
    data, noise = np.random.default_rng(3), copy.deepcopy(agent.rng)
    for _ in range(3):
        found = batch(data)
        told = agent.update(found)
        now, then = torch.from_numpy(noise.standard_normal((2, 16, 1), dtype=np.float32))
        obs, next_obs = torch.from_numpy(found.obs), torch.from_numpy(found.next_obs)
        action = torch.from_numpy((found.action - 1) / 4)
        alpha = log_alpha.exp().item()
        with torch.no_grad():
            a, log_prob = net.policy(next_obs).draw(then)
            q = target(torch.cat([next_obs, a], 1)).min(0).values - alpha * log_prob
            y = torch.from_numpy(found.reward) + torch.from_numpy(found.discount) * q
        q = net.critics(torch.cat([obs, action], 1))
        loss = sum(0.5 * ((q[k] - y) ** 2).mean() for k in range(2))
        critic_adam.zero_grad()
        loss.backward()
        critic_adam.step()
        a, log_prob = net.policy(obs).draw(now)
        q = net.critics(torch.cat([obs, a], 1))
        actor = (alpha * log_prob - torch.min(q[0], q[1])).mean()
        temperature = -(log_alpha.exp() * (log_prob - 0.5).detach()).mean()
        actor_adam.zero_grad()
        (actor + temperature).backward()
        actor_adam.step()
        with torch.no_grad():
            for ours, theirs in zip(target.parameters(), net.critics.parameters(), strict=True):
                ours.mul_(0.98).add_(0.02 * theirs)
        assert told["loss/td"] == pytest.approx(float(loss.detach()), rel=1e-4)
        assert told["loss/policy"] == pytest.approx(float(actor.detach()), rel=1e-4)
        assert told["train/temperature"] == pytest.approx(alpha, rel=1e-5)
    for mine, other in ((agent.net, net), (agent.target, target)):
        for ours, theirs in zip(mine.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(agent.log_alpha, log_alpha, rtol=1e-4, atol=1e-6)


def test_a_truncated_game_is_bootstrapped_a_terminated_one_is_not() -> None:
    agent = make(Dial(), gamma=0.5, learn_temperature=False, temperature=1e-6, lr=1e-2)
    for terminated in (True, False):
        agent.buffer.add(
            Transition(
                rows=np.array([0]),
                obs=np.full((1, 1), -1.0 if terminated else 1.0, dtype=np.float32),
                action=np.full((1, 1), 1.0, dtype=np.float32),
                reward=np.array([1.0], dtype=np.float32),
                next_obs=np.full((1, 1), 1.0, dtype=np.float32),
                terminated=np.array([terminated]),
                truncated=np.array([not terminated]),
            )
        )
    sample = agent.buffer.sample(64, np.random.default_rng(0), 1, 0.5)
    assert set(sample.discount[sample.obs[:, 0] < 0]) == {0.0}
    assert set(sample.discount[sample.obs[:, 0] > 0]) == {0.5}


def test_actions_fill_the_spaces_bounds() -> None:
    env = Dial(num_envs=500)
    agent = make(env)
    obs, first = np.zeros((500, 1), dtype=np.float32), np.ones(500, dtype=bool)
    drawn = agent.act(obs, first, None)  # before the first update: uniform
    assert drawn.shape == (500, 1) and drawn.dtype == np.float32
    assert -3 <= drawn.min() < -2.9 and 4.9 < drawn.max() <= 5 and abs(drawn.mean() - 1) < 0.4
    with torch.no_grad():
        agent.net.actor[-1].weight.zero_()
        agent.net.actor[-1].bias[:] = torch.tensor([20.0, 0.0])
    assert agent.policy(True, 0).act(obs, first).max() == 5.0
    inside = agent.bounds.inside(np.array([[-3.0], [1.0], [5.0]]))
    assert inside.flatten().tolist() == [-1, 0, 1]


def test_a_policy_goes_on_where_it_was() -> None:
    agent = make(Dial(num_envs=20))
    obs, first = np.zeros((20, 1), dtype=np.float32), np.zeros(20, dtype=bool)
    straight, again = agent.policy(False, 3), agent.policy(False, 4)
    straight.act(obs, first)
    again.load_state_dict(straight.state_dict())
    assert np.array_equal(straight.act(obs, first), again.act(obs, first))


def test_it_learns_the_dial() -> None:
    """Greedy play costs next to nothing; the best constant costs 0.19 a move."""
    env = Dial(num_envs=2)
    agent = make(env)
    team = Solo(agent, SOLO, overlap=True)
    for _ in train(team, env, Clock(total_steps=1500), 0):
        pass
    result = evaluate(Dial(), team.policy(greedy=True, seed=0), 20, seed=0)
    mean = np.mean([game.returns[SOLO] / game.length for game in result.games])
    assert mean > -0.01
    # The entropy is held near its target, minus one nat.
    assert agent.update_count == 1400
    noise = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))
    log_prob = agent.net.policy(torch.rand(2000, 1) * 2 - 1).draw(noise)[1]
    assert -log_prob.mean().item() == pytest.approx(-1.0, abs=0.5)


def test_state_comes_back() -> None:
    env = Dial(num_envs=2)
    agent = make(env, standardise="running", normalise_reward=True)
    for _ in train(Solo(agent, SOLO, overlap=True), env, Clock(total_steps=160), 0):
        pass
    again = make(env, standardise="running", normalise_reward=True)
    again.load_state_dict(codec.unflatten(*copy.deepcopy(codec.flatten(agent.state_dict()))))
    obs, first = np.zeros((2, 1), dtype=np.float32), np.ones(2, dtype=bool)
    for _ in range(3):
        told, repeated = agent.update(agent._sample()), again.update(again._sample())
        assert told == repeated
        np.testing.assert_array_equal(agent.act(obs, first, None), again.act(obs, first, None))


def test_actions_without_bounds_are_refused() -> None:
    env = Dial()
    env.spec.action_spaces[SOLO] = Box(-np.inf, np.inf, (1,), np.float32)
    with pytest.raises(UserError, match="needs actions with bounds"):
        make(env)


def test_discrete_actions_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="the agent's continuous"):
        rlexp.train(["env=cartpole", "agent=sac"])
