"""DQN's losses against numbers worked out by hand, its schedules, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from rlexp import codec
from rlexp.agents.common import clip_gradients, random_actions
from rlexp.agents.dqn import td_loss, td_target
from rlexp.agents.q_policy import QPolicy
from rlexp.clock import Clock
from rlexp.evaluate import evaluate
from rlexp.loop import train
from rlexp.networks.optimizers import Adam
from rlexp.networks.q import QNetwork
from rlexp.networks.trunks import PixelTrunk
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, Transition
from tiny import Corridor, epsilon
from tiny import dqn as make

TARGET_Q = torch.tensor([[1.0, 3.0], [5.0, 2.0], [4.0, 0.0]])
ONLINE_Q = torch.tensor([[9.0, 0.0], [0.0, 9.0], [0.0, 9.0]])
REWARD = torch.tensor([1.0, -1.0, 2.0])
DISCOUNT = torch.tensor([0.5, 0.5, 0.0])  # the third game terminated


def test_target_of_dqn() -> None:
    # 1 + .5*3, -1 + .5*5, and the reward alone where the game ended.
    y = td_target(REWARD, DISCOUNT, TARGET_Q)
    assert y.tolist() == [2.5, 1.5, 2.0]


def test_target_of_double_dqn() -> None:
    # The online net picks actions 0 and 1, the target net rates them 1 and 2.
    y = td_target(REWARD, DISCOUNT, TARGET_Q, ONLINE_Q)
    assert y.tolist() == [1.5, 0.0, 2.0]


@pytest.mark.parametrize(("kind", "expected"), [("huber", (0.125 + 1.5) / 2), ("squared", 2.125)])
def test_loss(kind: str, expected: float) -> None:
    q = torch.tensor([[1.0, 7.0], [7.0, 3.0]], requires_grad=True)
    losses, error = td_loss(q, torch.tensor([0, 1]), torch.tensor([1.5, 1.0]), kind)
    loss = losses.mean()
    assert error.tolist() == [0.5, -2.0]
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    # Only the actions taken get a gradient; Huber's is clipped at 1.
    slope = {"huber": [-0.25, 0.5], "squared": [-0.5, 2.0]}[kind]
    assert q.grad is not None
    assert q.grad.tolist() == [[slope[0], 0.0], [0.0, slope[1]]]


def test_schedules() -> None:
    mario = epsilon(kind="exponential", decay=0.99999975)
    assert mario.value(0, 0) == 1.0
    assert mario.value(1_000_000, 0) == pytest.approx(0.7788, abs=1e-4)
    assert mario.value(20_000_000, 0) == 0.1
    linear = epsilon(start=0.5, end=0.001, unit="episode", delay=200, length=1000)
    assert linear.value(10**6, 100) == 0.5
    assert linear.value(0, 700) == pytest.approx(0.2505)
    assert linear.value(0, 5000) == pytest.approx(0.001)
    assert epsilon(kind="constant", start=0.3).value(9, 9) == 0.3


def test_target_follows() -> None:
    env = Corridor()
    agent = make(env, target_every=10, learning_starts=0)
    weight = agent.online.head.weight
    with torch.no_grad():
        weight.add_(1.0)
    clock = Clock(steps=9, previous_steps=8)
    agent.learn(clock)
    assert not torch.equal(agent.target.head.weight, weight)
    agent.learn(Clock(steps=10, previous_steps=9))
    assert torch.equal(agent.target.head.weight, weight)

    soft = make(env, target_every=1, target_tau=0.25)
    before = soft.target.head.weight.clone()
    with torch.no_grad():
        soft.online.head.weight.add_(1.0)
    soft.learn(Clock(steps=1, previous_steps=0))
    torch.testing.assert_close(soft.target.head.weight, before + 0.25)


def test_updates_owed_with_many_rows() -> None:
    """Eight steps at once owe as many updates as eight single steps."""
    env = Corridor(num_envs=8)
    agent = make(env, train_every=3, learning_starts=0)
    clock = Clock(total_steps=240)
    for turn in train(Solo(agent, SOLO, overlap=False), env, clock, 0):
        assert agent.update_count == turn.clock.steps // 3


def test_learning_starts() -> None:
    env = Corridor(num_envs=4)
    agent = make(env, learning_starts=100)
    counts = [
        (turn.clock.steps, agent.update_count)
        for turn in train(Solo(agent, SOLO, overlap=False), env, Clock(total_steps=120), 0)
    ]
    assert all((count == 0) == (steps < 100) for steps, count in counts)


def test_a_truncated_game_is_bootstrapped_a_terminated_one_is_not() -> None:
    env = Corridor()
    agent = make(env, batch_size=64, gamma=0.5, lr=1e-2, target_every=20)
    obs = np.eye(5, dtype=np.float32)[None, 0]
    for terminated in (True, False):
        agent.buffer.add(
            Transition(
                rows=np.array([0]),
                obs=obs if terminated else np.eye(5, dtype=np.float32)[None, 1],
                action=np.array([0]),
                reward=np.array([1.0], dtype=np.float32),
                next_obs=np.eye(5, dtype=np.float32)[None, 1],
                terminated=np.array([terminated]),
                truncated=np.array([not terminated]),
            )
        )
    for step in range(100, 1600):
        agent.learn(Clock(steps=step, previous_steps=step - 1))
    with torch.no_grad():
        q = agent.online(torch.eye(5)[:2])
    assert q[0, 0].item() == pytest.approx(1.0, abs=0.1)  # ended: the reward alone
    best = q[1].max().item()  # cut by a limit: 1 + 0.5 max Q
    assert q[1, 0].item() == pytest.approx(1 + 0.5 * best, abs=0.15)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("double", [False, True])
def test_learns_the_corridor(double: bool, overlap: bool) -> None:
    env = Corridor(num_envs=2)
    agent = make(env, double=double)
    team = Solo(agent, SOLO, overlap)
    for _ in train(team, env, Clock(total_steps=1500), 0):
        pass
    result = evaluate(Corridor(), team.policy(greedy=True, seed=0), 1, seed=0)
    assert result.games[0].length == 4 and result.games[0].success
    with torch.no_grad():
        q = agent.online(torch.eye(5)[:4]).max(1).values
    # Backwards from the end: 1, .9*1-.1, …
    np.testing.assert_allclose(q, [0.458, 0.62, 0.8, 1.0], atol=0.08)


def test_policy_leaves_training_alone() -> None:
    env = Corridor()
    agent = make(env)
    state = agent.rng.bit_generator.state
    torch_state = torch.get_rng_state()
    policy = agent.policy(greedy=False, seed=3)
    for _ in range(20):
        policy.act(np.eye(5, dtype=np.float32), np.ones(5, dtype=bool))
    assert agent.rng.bit_generator.state == state
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_legal_actions_only() -> None:
    rng = np.random.default_rng(0)
    legal = np.array([[True, False, True], [False, True, False]] * 50)
    actions = random_actions(rng, 100, 3, legal)
    assert legal[np.arange(100), actions].all()
    assert set(actions[::2]) == {0, 2}
    net = QNetwork(Box(-1, 1, (2,)), 3, [4])
    policy = QPolicy(net, 3, 0.5, 0, torch.device("cpu"))
    obs = np.zeros((100, 2), dtype=np.float32)
    chosen = policy.act(obs, np.zeros(100, dtype=bool), legal)
    assert legal[np.arange(100), chosen].all()


def test_clipping() -> None:
    weight = torch.zeros(2, requires_grad=True)
    weight.grad = torch.tensor([3.0, 4.0])
    assert clip_gradients([weight], None, None).item() == 5.0
    assert weight.grad.tolist() == [3.0, 4.0]
    assert clip_gradients([weight], 1.0, None).item() == 5.0
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, 0.8]))
    weight.grad = torch.tensor([3.0, -0.5])
    clip_gradients([weight], None, 1.0)
    assert weight.grad.tolist() == [1.0, -0.5]


def test_adam_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    a = Adam(ours.parameters(), 1e-2, 1e-5)
    b = torch.optim.Adam(theirs.parameters(), lr=1e-2, eps=1e-5)
    for step in range(5):
        x = torch.full((2, 4), float(step))
        for net, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_adam_comes_back_for_channels_last_weights() -> None:
    """Convolution weights lie in memory otherwise than a loaded state does."""

    def make() -> tuple[torch.nn.Module, Adam]:
        torch.manual_seed(0)
        net = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return net, Adam(net.parameters(), 1e-2)

    def step(net: torch.nn.Module, optimizer: Adam, seed: int) -> None:
        torch.manual_seed(seed)
        optimizer.zero_grad()
        net(torch.randn(2, 3, 6, 6)).square().sum().backward()
        optimizer.step()

    straight, stopped = make(), make()
    for net, optimizer in (straight, stopped):
        step(net, optimizer, 1)
    structure, arrays, _ = codec.flatten(stopped[1].state_dict())
    arrays = {name: array.copy() for name, array in arrays.items()}
    again = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    again.load_state_dict(stopped[0].state_dict())
    optimizer = Adam(again.parameters(), 1e-2)
    optimizer.load_state_dict(codec.unflatten(structure, arrays, {}))
    step(*straight, seed=2)
    step(again, optimizer, seed=2)
    assert torch.equal(straight[0].weight, again.weight)


def test_pixels_have_the_sources_shapes() -> None:
    net = QNetwork(Box(0, 255, (4, 84, 84), np.uint8), 2, None)
    assert isinstance(net.trunk, PixelTrunk)
    shapes = [tuple(p.shape) for p in net.parameters() if p.ndim > 1]
    assert shapes == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 3136), (2, 512)]
    obs = torch.full((1, 4, 84, 84), 255, dtype=torch.uint8)
    half = net(torch.full((1, 4, 84, 84), 128, dtype=torch.uint8))
    assert not torch.equal(net(obs), half)
    assert Discrete(2).n == net(obs).shape[1]


def test_the_target_begins_as_a_copy_or_on_demand_as_another_net() -> None:
    copied, random = make(Corridor()), make(Corridor(), random_target=True)
    assert torch.equal(copied.target.head.weight, copied.online.head.weight)
    assert not torch.equal(random.target.head.weight, random.online.head.weight)
    assert torch.equal(copied.online.head.weight, random.online.head.weight)
