"""Signaling games a second, learning included: rlexp's presets against one game at a time.

    uv run python scripts/benchmarks/signaling.py           # the race, and the ratios
    uv run python scripts/benchmarks/signaling.py --learn   # what the other side learns

The other side is the game as it is played where environments hold one game: `reset`, a message, an
answer, each asked of a network for a batch of one. It has a PPO a seat with Stable-Baselines3's
settings, as `signaling_ppo` has: two nets of 64-64 tanh, 2,048 games a rollout, 10 epochs, batches
of 64, Adam 3e-4. It runs with one torch thread and with two; its better figure counts. Both sides
play the same pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from race import Contender, cores, ours, race
from torch import Tensor, nn
from torch.distributions import Categorical

ROLLOUT, EPOCHS, BATCH, CLIP, LENGTH, VOCABULARY = 2048, 10, 64, 0.2, 5, 2
GAMES = 50_000


class Game:
    """One game: `reset` gives the sender's picture, `step(message)` the receiver's observation,
    `step(guess)` ends it."""

    def __init__(self, seed: int) -> None:
        from rlexp import build
        from rlexp.api import compose

        env: Any = build.env(compose(["experiment=signaling_ppo"]).config.env, 1)
        self.pictures, self.classes, _ = env.split("training")
        self.names = env.names
        self.rng = np.random.default_rng(seed)
        self.heard = False

    def reset(self) -> tuple[np.ndarray, dict[str, Any]]:
        self.place = int(self.rng.integers(len(self.classes)))
        self.heard = False
        return self.pictures[self.place], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray | None, float, bool, bool, dict]:
        if self.heard:
            return None, float(action == self.classes[self.place]), True, False, {}
        self.heard = True
        heard = np.zeros((LENGTH, VOCABULARY), dtype=np.float32)
        heard[np.arange(LENGTH), action] = 1
        return heard.ravel(), 0.0, False, False, {}


class ActorCritic(nn.Module):
    """Policy and value, each 64-64 tanh on the flat observation; one action of several parts."""

    def __init__(self, inputs: int, parts: list[int]) -> None:
        super().__init__()
        self.parts = parts
        self.policy = nn.Sequential(*_layers(inputs), _linear(64, sum(parts), 0.01))
        self.value = nn.Sequential(*_layers(inputs), _linear(64, 1, 1.0))

    def forward(self, obs: Tensor) -> tuple[list[Categorical], Tensor]:
        flat = obs.flatten(1)
        logits = self.policy(flat).split(self.parts, dim=1)
        return [Categorical(logits=part) for part in logits], self.value(flat).squeeze(1)


def _layers(inputs: int) -> list[nn.Module]:
    gain = 2**0.5
    return [_linear(inputs, 64, gain), nn.Tanh(), _linear(64, 64, gain), nn.Tanh()]


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def log_prob(parts: list[Categorical], actions: Tensor) -> Tensor:
    told = [part.log_prob(actions[:, k]) for k, part in enumerate(parts)]
    return torch.stack(told, dim=1).sum(1)


class Player:
    """A PPO that plays one game at a time and learns after every 2,048."""

    def __init__(self, shape: tuple[int, ...], parts: list[int]) -> None:
        self.net = ActorCritic(int(np.prod(shape)), parts)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=3e-4, eps=1e-5)
        self.obs = np.zeros((ROLLOUT, *shape), dtype=np.float32)
        self.actions = np.zeros((ROLLOUT, len(parts)), dtype=np.int64)
        self.rewards, self.values, self.log_probs = np.zeros((3, ROLLOUT), dtype=np.float32)
        self.games = 0

    @torch.no_grad()
    def act(self, obs: np.ndarray) -> np.ndarray:
        """The action for one observation; keeps what is learnt from."""
        parts, value = self.net(torch.as_tensor(obs).unsqueeze(0))
        actions = torch.stack([part.sample() for part in parts], dim=1)
        k = self.games
        self.obs[k], self.actions[k] = obs, actions[0].numpy()
        self.values[k], self.log_probs[k] = value.item(), log_prob(parts, actions).item()
        return self.actions[k].copy()

    def reward(self, reward: float) -> None:
        """A game is one move: its return is its reward, its advantage what is beyond the value."""
        self.rewards[self.games] = reward
        self.games += 1
        if self.games == ROLLOUT:
            self.learn()
            self.games = 0

    def learn(self) -> None:
        for _ in range(EPOCHS):
            order = np.random.permutation(ROLLOUT)
            for start in range(0, ROLLOUT, BATCH):
                rows = order[start : start + BATCH]
                self.optimizer.zero_grad()
                self.loss(rows).backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), 0.5)
                self.optimizer.step()

    def loss(self, rows: np.ndarray) -> Tensor:
        returns, old = torch.as_tensor(self.rewards[rows]), torch.as_tensor(self.log_probs[rows])
        advantage = returns - torch.as_tensor(self.values[rows])
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        parts, value = self.net(torch.as_tensor(self.obs[rows]))
        ratio = (log_prob(parts, torch.as_tensor(self.actions[rows])) - old).exp()
        gain = torch.min(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
        return -gain.mean() + 0.5 * (value - returns).square().mean()


def one_at_a_time(threads: int, told: list[float] | None = None) -> Iterator[int]:
    """Yields the games done; `told` gets the share of right answers of each rollout."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    np.random.seed(0)
    game = Game(0)
    sender = Player((3, 32, 32), [VOCABULARY] * LENGTH)
    receiver = Player((LENGTH * VOCABULARY,), [len(game.names)])
    yield 0
    done = 0
    while True:
        picture, _ = game.reset()
        heard, _, _, _, _ = game.step(sender.act(picture))
        assert heard is not None
        _, reward, _, _, _ = game.step(receiver.act(heard)[0])
        if told is not None and sender.games == ROLLOUT - 1:
            told.append(float((sender.rewards[:-1].sum() + reward) / ROLLOUT))
        sender.reward(reward)
        receiver.reward(reward)
        done += 1
        yield done


def learn() -> None:
    """What the other side comes to in 50,000 games, and how fast."""
    told: list[float] = []
    games, began = one_at_a_time(1, told), time.perf_counter()
    for done in games:
        if done and done % ROLLOUT == 0:
            rate = done / (time.perf_counter() - began)
            print(f"{done:6,} games  success {told[-1]:.1%}  {rate:.0f} games/s", flush=True)
        if done >= GAMES:
            break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--rollouts", type=int, default=2, help="of 2,048 games, in each block")
    parser.add_argument("--learn", action="store_true", help="what one game at a time learns")
    arguments = parser.parse_args()
    if arguments.learn:
        learn()
        return
    presets = ("signaling_ppo", "signaling_ppo_fast")
    contenders: dict[str, Contender] = {name: (ours, [f"experiment={name}"]) for name in presets}
    for threads in range(1, min(2, cores()) + 1):
        plural = "s" if threads > 1 else ""
        contenders[f"one game at a time, {threads} thread{plural}"] = (one_at_a_time, threads)
    steps = arguments.rollouts * ROLLOUT
    race(contenders, arguments.blocks, steps, ROLLOUT, favourites=presets, unit="games")


if __name__ == "__main__":
    main()
