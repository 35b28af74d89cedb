"""PPO's agent steps a second on Mario, learning included, against Stable-Baselines3.

    uv run --with stable-baselines3 python scripts/benchmarks/mario_ppo.py [--envs 8]

"rlexp": the same game, pictures, network and updates on both sides: 8 games, 128 moves each between
updates, 4 epochs, batches of 256, 84x84 gray pictures, the last 4 of them; besides mario_ppo as it
is shipped, and with --emulator the first one on an emulator built by scripts/faster_emulator.py.
Stable-Baselines3 runs with both of its vector environments (all games in its own process, or one
process a game) and with one torch thread and as many as there are cores; its best figure counts.
Each contender is a process of its own, and blocks of steps alternate between them (race.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from race import Contender, cores, ours, race

MOVES, EPOCHS, BATCH = 128, 4, 256


class Theirs(NamedTuple):
    """How Stable-Baselines3 runs."""

    envs: int
    processes: bool
    threads: int


def rebuilt(how: tuple[str, list[str]]) -> Iterator[int]:
    """rlexp with the emulator that scripts/faster_emulator.py has built into a folder."""
    sys.path.insert(0, how[0])
    yield from ours(how[1])


def make_game() -> Any:
    """One game as its users wrap it: two actions, four frames a move, gray 84x84."""
    import cv2
    import gymnasium
    import numpy as np
    from gym_super_mario_bros.smb_env import SuperMarioBrosEnv
    from nes_py.wrappers import JoypadSpace

    cv2.setNumThreads(0)

    class Moves(gymnasium.Wrapper):  # type: ignore[type-arg]
        """Frame skip and pictures in one, as Stable-Baselines3's Atari wrappers do it."""

        def __init__(self, env: Any) -> None:
            super().__init__(env)
            self.observation_space = gymnasium.spaces.Box(0, 255, (84, 84, 1), np.uint8)

        def small(self, screen: np.ndarray) -> np.ndarray:
            gray = cv2.cvtColor(np.ascontiguousarray(screen), cv2.COLOR_RGB2GRAY)
            return cv2.resize(gray, (84, 84), interpolation=cv2.INTER_AREA)[:, :, None]

        def reset(self, **options: Any) -> Any:
            screen, info = self.env.reset(**options)
            return self.small(screen), info

        def step(self, action: Any) -> Any:
            total = 0.0
            for _ in range(4):
                screen, reward, terminated, truncated, info = self.env.step(int(action))
                total += float(reward)
                if terminated or truncated:
                    break
            return self.small(screen), total, terminated, truncated, info

    game = JoypadSpace(SuperMarioBrosEnv(target=(1, 1)), [["right"], ["right", "A"]])
    return Moves(game)


def theirs(how: Theirs) -> Iterator[int]:
    """Stable-Baselines3's learn(), a rollout at a time; yields the steps done."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import (
        DummyVecEnv,
        SubprocVecEnv,
        VecFrameStack,
        VecMonitor,
    )

    torch.set_num_threads(how.threads)
    kind: Any = SubprocVecEnv if how.processes else DummyVecEnv
    games = VecMonitor(kind([make_game] * how.envs))
    model: Any = PPO(
        "CnnPolicy", VecFrameStack(games, 4), n_steps=MOVES, batch_size=BATCH, n_epochs=EPOCHS,
        gamma=0.9, learning_rate=2.5e-4, ent_coef=0.01, device="cpu",
    )  # fmt: skip
    # What learn() does, so that it can pause between two rollouts.
    _, callback = model._setup_learn(10**9, None)
    callback.on_training_start(locals(), globals())
    yield 0
    done = 0
    while True:
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        model.train()
        done += MOVES * how.envs
        yield done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--emulator", help="a folder that scripts/faster_emulator.py has built")
    parser.add_argument("--overrides", nargs="*", default=[], help="for rlexp's side")
    arguments = parser.parse_args()
    try:
        import stable_baselines3  # noqa: F401
    except ImportError:
        sys.exit(
            "run it with: uv run --with stable-baselines3 python scripts/benchmarks/mario_ppo.py"
        )
    envs = arguments.envs
    setting = [
        "experiment=mario_ppo", f"env.num_envs={envs}", f"agent.rollout_steps={MOVES}",
        f"agent.epochs={EPOCHS}", f"agent.batch_size={BATCH}", "env.resize=[84,84]",
        "agent.hidden=[512]", "agent.pixels=scaled", "agent.target_kl=null", "env.crop=[0,0]",
        "env.show_action=false", "env.retry=0", *arguments.overrides,
    ]  # fmt: skip
    shipped = ["experiment=mario_ppo", *arguments.overrides]
    contenders: dict[str, Contender] = {
        "rlexp": (ours, setting),
        "rlexp, mario_ppo as shipped": (ours, shipped),
    }
    if arguments.emulator:
        contenders["rlexp, emulator rebuilt"] = (rebuilt, (arguments.emulator, setting))
    favourites = list(contenders)
    for threads in sorted({1, min(4, cores())}):
        for processes in (False, True):
            kind = "SubprocVecEnv" if processes else "DummyVecEnv"
            name = f"Stable-Baselines3, {kind}, {threads} torch thread{'s' if threads > 1 else ''}"
            contenders[name] = (theirs, Theirs(envs, processes, threads))
    rollout = envs * MOVES
    # As shipped, an update follows 4,096 moves: each block holds as many updates as moves.
    race(contenders, arguments.blocks, 4 * rollout, rollout, favourites)


if __name__ == "__main__":
    main()
