"""Agent steps a second while learning on Mario: rlexp against the tutorial's way of doing it, and
against Stable-Baselines3's DQN where that is installed.

    uv run python scripts/benchmarks/mario_ddqn.py [--blocks 7] [--steps 150]
    uv run --with stable-baselines3 python scripts/benchmarks/mario_ddqn.py

All play the same game and learn alike: batch 32, an update every 3 steps, epsilon at its floor of
0.1; Double DQN, but for Stable-Baselines3, which has plain DQN, a forward pass less. Each contender
is a process of its own; blocks of steps alternate between them, so that a machine whose speed
drifts slows all of them, and ratios are taken pair by pair. The tutorial's loop runs with every
thread count from 1 to the number of cores; the best of all others counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

from race import Contender, cores, ours, race, tell

WARM_UP = 300  # steps before the first block: memories hold something, kernels are chosen


def tutorial(threads: int) -> Iterator[int]:
    """The usual notebook: one loop, float32 stacks in a deque, torchvision on every frame."""
    import random
    from collections import deque

    import gymnasium
    import numpy as np
    import torch
    from gym_super_mario_bros.smb_env import SuperMarioBrosEnv
    from nes_py.wrappers import JoypadSpace
    from torch import nn
    from torchvision import transforms

    torch.set_num_threads(threads)

    class Skip(gymnasium.Wrapper):
        def step(self, action: int) -> Any:
            total = 0.0
            for _ in range(4):
                obs, reward, terminated, truncated, info = self.env.step(action)
                total += float(reward)
                if terminated:
                    break
            return obs, total, terminated, truncated, info

    to_gray, resize = transforms.Grayscale(), transforms.Resize((84, 84), antialias=True)

    class Small(gymnasium.ObservationWrapper):
        def observation(self, obs: np.ndarray) -> np.ndarray:
            picture = torch.tensor(obs.copy(), dtype=torch.float).permute(2, 0, 1)
            return (resize(to_gray(picture)).squeeze(0) / 255).numpy()

    class Stack(gymnasium.Wrapper):
        def reset(self, **options: Any) -> Any:
            obs, info = self.env.reset(**options)
            self.frames = deque([obs] * 4, maxlen=4)
            return np.stack(self.frames), info

        def step(self, action: int) -> Any:
            obs, *rest = self.env.step(action)
            self.frames.append(obs)
            return np.stack(self.frames), *rest

    game = JoypadSpace(SuperMarioBrosEnv(target=(1, 1)), [["right"], ["right", "A"]])
    env = Stack(Small(Skip(game)))

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 2),
        )  # fmt: skip

    online, target = network(), network()
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.Adam(online.parameters(), lr=2.5e-4)
    loss_function = nn.SmoothL1Loss()
    memory: deque[Any] = deque(maxlen=2000)

    def learn() -> None:
        batch = random.sample(memory, 32)
        state, next_state, action, reward, done = map(torch.stack, zip(*batch, strict=True))
        action, reward, done = action.squeeze(), reward.squeeze(), done.squeeze()
        estimate = online(state)[torch.arange(32), action]
        with torch.no_grad():
            best = online(next_state).argmax(1)
            value = target(next_state)[torch.arange(32), best]
            wanted = (reward + (1 - done.float()) * 0.9 * value).float()
        loss = loss_function(estimate, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    steps = 0
    while True:
        state, _ = env.reset()
        done = False
        while not done:
            if random.random() < 0.1:
                action = random.randrange(2)
            else:
                with torch.no_grad():
                    action = int(online(torch.tensor(state).unsqueeze(0)).argmax(1).item())
            next_state, reward, terminated, truncated, info = env.step(action)
            done = terminated or truncated or info["flag_get"]
            memory.append(
                (torch.tensor(state), torch.tensor(next_state), torch.tensor([action]),
                 torch.tensor([reward]), torch.tensor([done]))
            )  # fmt: skip
            state = next_state
            steps += 1
            if steps % 3 == 0 and len(memory) >= 64:
                learn()
            yield steps


class Theirs(NamedTuple):
    """How Stable-Baselines3 runs: with three games, an update after each move of all of them."""

    envs: int
    threads: int


def theirs(how: Theirs) -> Iterator[int]:
    """Stable-Baselines3's learn(), from update to update; yields the steps done."""
    import torch
    from mario_ppo import make_game
    from stable_baselines3 import DQN
    from stable_baselines3.common.vec_env import (
        DummyVecEnv,
        SubprocVecEnv,
        VecFrameStack,
        VecMonitor,
    )

    torch.set_num_threads(how.threads)
    kind: Any = SubprocVecEnv if how.envs > 1 else DummyVecEnv
    games = VecFrameStack(VecMonitor(kind([make_game] * how.envs)), 4)
    model: Any = DQN(
        "CnnPolicy", games, buffer_size=10_000, learning_starts=64, batch_size=32,
        train_freq=3 // how.envs, gradient_steps=1, gamma=0.9, learning_rate=2.5e-4,
        exploration_fraction=1e-9, exploration_final_eps=0.1, target_update_interval=10_000,
        max_grad_norm=float("inf"), device="cpu",
    )  # fmt: skip
    # What learn() does, so that it can pause between two updates.
    _, callback = model._setup_learn(10**9, None)
    callback.on_training_start(locals(), globals())
    yield 0
    while True:
        model.collect_rollouts(
            model.env, callback, model.train_freq, model.replay_buffer, model.action_noise,
            model.learning_starts,
        )  # fmt: skip
        if model.num_timesteps > model.learning_starts:
            model.train(1, 32)
        yield model.num_timesteps


SETTING = [
    "experiment=mario_ddqn", "agent.learning_starts=64", "agent.epsilon.kind=constant",
    "agent.epsilon.start=0.1",
]  # fmt: skip
"""Of rlexp's side."""


def bytes_a_transition(steps: int = 6000) -> float:
    """Of the frames buffer, filled by random play on the real game."""
    import rlexp
    from rlexp import build
    from rlexp.clock import Clock
    from rlexp.loop import train

    config = rlexp.compose(
        ["experiment=mario_ddqn", "agent.epsilon.kind=constant", "agent.epsilon.start=1.0",
         f"agent.learning_starts={steps * 10}", f"buffer.capacity={steps // 2}"]
    ).config  # fmt: skip
    config.agent.learning_starts = steps * 10
    config.agent.train_every = steps * 10
    env = build.env(config.env)
    team = build.team(config, build.plan(config, env.spec))
    for _ in train(team, env, Clock(total_steps=steps), seed=0):
        pass
    env.close()
    buffer = team.agent.buffer
    return sum(a.nbytes for a in buffer.data.arrays.values()) / len(buffer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--overrides", nargs="*", default=[], help="for rlexp's side")
    arguments = parser.parse_args()
    contenders: dict[str, Contender] = {"rlexp": (ours, [*SETTING, *arguments.overrides])}
    for threads in range(1, min(4, cores()) + 1):
        contenders[f"tutorial, {threads} torch threads"] = (tutorial, threads)
    if find_spec("stable_baselines3") is not None:
        for envs, threads in ((1, 1), (1, min(4, cores())), (3, 1)):
            name = f"Stable-Baselines3, {envs} games, {threads} torch threads"
            contenders[name] = (theirs, Theirs(envs, threads))
    race(contenders, arguments.blocks, arguments.steps, WARM_UP)
    size = bytes_a_transition()
    print(f"bytes a stored transition: {size:.0f} (tutorial, float32 stacks: "
          f"{2 * 4 * 84 * 84 * 4:,} and more)")  # fmt: skip
    tell({"bytes a transition": [size]})


if __name__ == "__main__":
    main()
