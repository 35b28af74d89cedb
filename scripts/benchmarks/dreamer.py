"""Updates a second of Dreamer 1 at its own size, against a straightforward rendering of the same
mathematics; and updates an hour of the small version 3.

    uv run python scripts/benchmarks/dreamer.py

Pictures of 64x64x3, six actions, 40 chunks of 15 steps, 560 imagined games of 15 steps. An update
is one gradient step of world model, actor (REINFORCE) and critic. Both run on all cores.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from race import cores, race
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal, kl_divergence
from torch.nn import functional

BATCH, CHUNK, HORIZON, ACTIONS = 40, 15, 15, 6
GAMMA, LAMBDA, ENTROPY = 0.9, 0.95, 3e-4


def played(buffer: Any) -> None:
    """Fills a buffer with 2,000 steps of noise; a game ends in one step of 50."""
    from rlexp.types import Transition

    rng, row = np.random.default_rng(0), np.array([0])
    obs = rng.integers(256, size=(1, 3, 64, 64), dtype=np.uint8)
    for _ in range(2000):
        following = rng.integers(256, size=(1, 3, 64, 64), dtype=np.uint8)
        action, end = rng.integers(ACTIONS, size=1), rng.random(1) < 0.02
        reward = rng.normal(size=1).astype(np.float32)
        t = Transition(row, obs, action, reward, following, end, np.zeros(1, bool))
        buffer.add(t, np.eye(ACTIONS, dtype=np.float32)[action])
        obs = following


def agent(name: str) -> Any:
    """Dreamer as its YAML has it, its buffer full of noise."""
    from rlexp import build
    from rlexp.agents.dreamer.agent import Dreamer
    from rlexp.api import compose
    from rlexp.buffers.base import Storage
    from rlexp.buffers.sequence import SequenceBuffer
    from rlexp.types import SOLO, EnvSpec

    torch.set_num_threads(cores())
    torch.manual_seed(0)
    config = compose([f"agent={name}"]).config
    pictures, actions = Box(0, 255, (3, 64, 64), np.uint8), Discrete(ACTIONS)
    buffer = SequenceBuffer(3000, EnvSpec({SOLO: pictures}, {SOLO: actions}, 1), SOLO, Storage())
    played(buffer)
    values = build.fields(config.agent)
    return Dreamer(pictures, actions, buffer, torch.device("cpu"), 0, **values)


def ours(name: str) -> Iterator[int]:
    """Yields the updates done."""
    learner = agent(name)
    while True:
        yield learner.update_count
        learner.update()


class PlainModel(nn.Module):
    """System and sizes of Dreamer 1, layer by layer and step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(),
            nn.Conv2d(64, 128, 4, 2), nn.ReLU(), nn.Conv2d(128, 256, 4, 2), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        self.before = nn.Linear(30 + ACTIONS, 200)
        self.cell = nn.GRUCell(200, 200)
        self.prior_layers = nn.Sequential(nn.Linear(200, 200), nn.ELU(), nn.Linear(200, 60))
        self.post_layers = nn.Sequential(nn.Linear(1224, 200), nn.ELU(), nn.Linear(200, 60))
        self.widen = nn.Linear(230, 1024)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(1024, 128, 5, 2), nn.ReLU(), nn.ConvTranspose2d(128, 64, 5, 2),
            nn.ReLU(), nn.ConvTranspose2d(64, 32, 6, 2), nn.ReLU(), nn.ConvTranspose2d(32, 3, 6, 2),
        )  # fmt: skip
        self.reward, self.goes_on = dense(3, 1), dense(3, 1)

    def normal(self, raw: Tensor) -> Independent:
        mean, std = raw.chunk(2, -1)
        return Independent(Normal(mean, functional.softplus(std) + 0.1), 1)

    def move(self, h: Tensor, z: Tensor, action: Tensor) -> tuple[Tensor, Independent]:
        h = self.cell(functional.elu(self.before(torch.cat([z, action], -1))), h)
        return h, self.normal(self.prior_layers(h))


def dense(layers: int, outputs: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for i in range(layers):
        parts += [nn.Linear(400 if i else 230, 400), nn.ELU()]
    return nn.Sequential(*parts, nn.Linear(400, outputs))


class Plain:
    """The update, written as one would write it first."""

    def __init__(self) -> None:
        self.model, self.actor, self.critic = PlainModel(), dense(4, ACTIONS), dense(3, 1)
        self.model_adam = torch.optim.Adam(self.model.parameters(), 6e-4, eps=1e-4)
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), 8e-5, eps=1e-4)
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), 8e-5, eps=1e-4)

    def update(self, chunks: Any) -> None:
        model = self.model
        obs = torch.from_numpy(chunks.obs).float() / 255 - 0.5
        action, reward = torch.from_numpy(chunks.action), torch.from_numpy(chunks.reward)
        first, ended = torch.from_numpy(chunks.first), torch.from_numpy(chunks.terminated)
        embed = model.encoder(obs.flatten(0, 1)).unflatten(0, (CHUNK, BATCH))
        h, z = torch.zeros(BATCH, 200), torch.zeros(BATCH, 30)
        hs, zs, kls = [], [], []
        for t in range(CHUNK):
            keep = (~first[t]).float().unsqueeze(-1)
            h, prior = model.move(h * keep, z * keep, action[t] * keep)
            posterior = model.normal(model.post_layers(torch.cat([h, embed[t]], -1)))
            z = posterior.rsample()
            hs.append(h)
            zs.append(z)
            kls.append(kl_divergence(posterior, prior))
        h, z = torch.stack(hs), torch.stack(zs)
        state = torch.cat([h, z], -1)
        shown = model.decoder(model.widen(state).reshape(-1, 1024, 1, 1))
        picture_loss = 0.5 * (shown - obs.flatten(0, 1)).square().sum((1, 2, 3)).mean()
        reward_loss = 0.5 * (model.reward(state).squeeze(-1) - reward).square().mean()
        logits = model.goes_on(state).squeeze(-1)
        end_loss = functional.binary_cross_entropy_with_logits(logits, (~ended).float())
        kl_loss = torch.stack(kls).clamp(min=3.0).mean()
        self.step(self.model_adam, self.model, picture_loss + reward_loss + end_loss + kl_loss)
        h, z = h.detach()[1:].flatten(0, 1), z.detach()[1:].flatten(0, 1)
        self.behave(h, z, ended[1:].flatten())

    def behave(self, h: Tensor, z: Tensor, ended: Tensor) -> None:
        model = self.model
        states, chosen, entropies = [torch.cat([h, z], -1)], [], []
        for _ in range(HORIZON):
            policy = Categorical(logits=self.actor(states[-1]))
            action = policy.sample()
            chosen.append(policy.log_prob(action))
            entropies.append(policy.entropy())
            with torch.no_grad():
                h, prior = model.move(h, z, functional.one_hot(action, ACTIONS).float())
                z = prior.sample()
            states.append(torch.cat([h, z], -1))
        state = torch.stack(states)
        value = self.critic(state[:-1]).squeeze(-1)
        with torch.no_grad():
            reward = model.reward(state[1:]).squeeze(-1)
            discount = GAMMA * model.goes_on(state[1:]).squeeze(-1).sigmoid()
            following = torch.cat([value[1:], self.critic(state[-1:]).squeeze(-1)])
            returns, last = [], following[-1]
            for t in reversed(range(HORIZON)):
                ahead = (1 - LAMBDA) * following[t] + LAMBDA * last
                last = reward[t] + discount[t] * ahead
                returns.insert(0, last)
            target = torch.stack(returns)
            weight = torch.cat([(~ended).float()[None], discount[:-1]]).cumprod(0)
            advantage = target - value
        gain = torch.stack(chosen) * advantage + ENTROPY * torch.stack(entropies)
        self.step(self.actor_adam, self.actor, -(weight * gain).mean())
        critic_loss = (weight * 0.5 * (value - target).square()).mean()
        self.step(self.critic_adam, self.critic, critic_loss)

    def step(self, adam: torch.optim.Optimizer, net: nn.Module, loss: Tensor) -> None:
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 100.0)
        adam.step()


def plain(_: None) -> Iterator[int]:
    """Yields the updates done; its chunks come from the same buffer."""
    buffer = agent("dreamer_v1").buffer
    learner, rng, done = Plain(), np.random.default_rng(0), 0
    while True:
        yield done
        learner.update(buffer.sample(BATCH, CHUNK, rng))
        done += 1


def small() -> None:
    """Version 3 as shipped: updates an hour, by wall clock and by processor time."""
    learner = agent("dreamer")
    for _ in range(3):
        learner.update()
    walls, processor = [], []
    for _ in range(5):
        wall, own = time.perf_counter(), time.process_time()
        for _ in range(4):
            learner.update()
        walls.append((time.perf_counter() - wall) / 4)
        processor.append((time.process_time() - own) / 4)
    wall, own = statistics.median(walls), statistics.median(processor)
    s = learner.settings
    print(
        f"agent=dreamer, {s.batch_size} chunks of {s.chunk}: {3600 / wall:,.0f} updates an hour "
        f"({own:.2f} seconds of processor time each)"
    )


def main() -> None:
    def count(net: nn.Module) -> int:
        return sum(p.numel() for p in net.parameters())

    learner, other = agent("dreamer_v1").learner, Plain()
    for name in ("model", "actor", "critic"):
        sizes = [count(getattr(contender, name)) for contender in (learner, other)]
        print(f"{name}: {sizes[0]:,} weights, plain {sizes[1]:,}")
    race(
        {"rlexp": (ours, "dreamer_v1"), "plain PyTorch": (plain, None)},
        blocks=7, steps=3, warm_up=2, unit="updates",
    )  # fmt: skip
    small()


if __name__ == "__main__":
    main()
