"""SAC's updates a second against the same update written plainly, layer by layer.

    uv run python scripts/benchmarks/sac.py [UNITS] [BATCH]

Both learn from one batch of Pendulum-v1's shape, on one thread: two layers of UNITS (64), BATCH
(128) transitions. Plain means two critics one after the other, torch's own Adam for policy,
critics and temperature, and a target that follows weight by weight.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from race import Contender, race
from torch import Tensor, nn

OBS, ACTIONS, LR = 3, 1, 3e-4


def batch(size: int) -> Any:
    from rlexp.buffers.base import Batch

    rng = np.random.default_rng(0)
    return Batch(
        obs=rng.normal(size=(size, OBS)).astype(np.float32),
        action=rng.uniform(-2, 2, (size, ACTIONS)).astype(np.float32),
        reward=rng.normal(size=size).astype(np.float32),
        next_obs=rng.normal(size=(size, OBS)).astype(np.float32),
        discount=np.full(size, 0.99, dtype=np.float32),
    )


def ours(sizes: tuple[int, int]) -> Iterator[int]:
    """rlexp's update; yields how many were made."""
    from gymnasium.spaces import Box

    from rlexp.agents.sac import SAC
    from rlexp.buffers.base import Storage
    from rlexp.buffers.replay import ReplayBuffer
    from rlexp.types import SOLO, EnvSpec

    torch.set_num_threads(1)
    units, size = sizes
    spec = EnvSpec({SOLO: Box(-1, 1, (OBS,))}, {SOLO: Box(-2, 2, (ACTIONS,))}, 1)
    agent = SAC(
        spec.observation_spaces[SOLO], spec.action_spaces[SOLO],
        ReplayBuffer(10, spec, SOLO, Storage()), torch.device("cpu"), 0,
        hidden=[units, units], activation="relu", standardise=None, normalise_reward=False,
        gamma=0.99, lr=LR, lr_decay=None, adam_eps=1e-8, batch_size=size, learning_starts=0,
        train_every=1, updates=1, target_tau=0.005, temperature=1.0, learn_temperature=True,
        target_entropy=None,
    )  # fmt: skip
    data, done = batch(size), 0
    while True:
        yield done
        agent.update(data)
        done += 1


def mlp(inputs: int, units: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(),
        nn.Linear(units, outputs),
    )  # fmt: skip


def plain(sizes: tuple[int, int]) -> Iterator[int]:
    """The same losses, one network after the other; yields how many updates were made."""
    torch.set_num_threads(1)
    units, size = sizes
    actor = mlp(OBS, units, 2 * ACTIONS)
    critics = [mlp(OBS + ACTIONS, units, 1) for _ in range(2)]
    targets = copy.deepcopy(critics)
    log_alpha = torch.zeros(1, requires_grad=True)
    critic_adam = torch.optim.Adam([p for q in critics for p in q.parameters()], LR)
    actor_adam = torch.optim.Adam(actor.parameters(), LR)
    alpha_adam = torch.optim.Adam([log_alpha], LR)

    def draw(obs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = actor(obs).chunk(2, -1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
        u = normal.rsample()
        squashed = u.tanh()
        return squashed, (normal.log_prob(u) - (1 - squashed**2 + 1e-6).log()).sum(-1)

    def smallest(nets: list[nn.Module], x: Tensor) -> Tensor:
        return torch.min(nets[0](x), nets[1](x)).squeeze(1)

    def step(adam: torch.optim.Optimizer, loss: Tensor) -> None:
        adam.zero_grad()
        loss.backward()
        adam.step()

    data, done = batch(size), 0
    while True:
        yield done
        obs, next_obs = torch.from_numpy(data.obs), torch.from_numpy(data.next_obs)
        action, reward = torch.from_numpy(data.action / 2), torch.from_numpy(data.reward)
        alpha = log_alpha.exp().detach()
        with torch.no_grad():
            then, log_prob = draw(next_obs)
            value = smallest(targets, torch.cat([next_obs, then], 1)) - alpha * log_prob
            y = reward + torch.from_numpy(data.discount) * value
        x = torch.cat([obs, action], 1)
        losses = [0.5 * (q(x).squeeze(1) - y).square().mean() for q in critics]
        step(critic_adam, losses[0] + losses[1])
        drawn, log_prob = draw(obs)
        policy = (alpha * log_prob - smallest(critics, torch.cat([obs, drawn], 1))).mean()
        step(actor_adam, policy)
        step(alpha_adam, -(log_alpha.exp() * (log_prob.detach() - ACTIONS)).mean())
        with torch.no_grad():
            for net, target in zip(critics, targets, strict=True):
                for p, t in zip(net.parameters(), target.parameters(), strict=True):
                    t.mul_(0.995).add_(0.005 * p)
        losses[0].item(), policy.item()
        done += 1


def main() -> None:
    units = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 128
    contenders: dict[str, Contender] = {
        "rlexp": (ours, (units, size)),
        "plainly": (plain, (units, size)),
    }
    race(contenders, blocks=7, steps=100, warm_up=50)


if __name__ == "__main__":
    main()
