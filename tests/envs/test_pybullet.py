"""PyBullet's tasks, where the extra is installed; one clear line where it is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlexp
from extras import needs_pybullet
from rlexp import build
from rlexp.errors import UserError
from rlexp.types import SOLO, Env


def make(*overrides: str) -> Env:
    return build.env(rlexp.compose(["env=pybullet", *overrides]).config.env)


def play(env: Env, moves: int, seed: int = 5) -> list[np.ndarray]:
    """Observations after each of some random moves; `env` must have been started."""
    rng, seen = np.random.default_rng(seed), []
    space: Any = env.spec.action_spaces[SOLO]
    for _ in range(moves):
        action = rng.uniform(-1, 1, (env.spec.num_envs, *space.shape)).astype(np.float32)
        env.send({SOLO: action})
        seen.append(env.recv().obs[SOLO])
    return seen


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pybullet" else find(name)
    )
    with pytest.raises(UserError, match=r"pip install 'rlexp\[pybullet\]'") as told:
        make()
    assert "\n" not in str(told.value)


@needs_pybullet
def test_ids_are_the_packages_own() -> None:
    with pytest.raises(UserError, match="Did you mean 'HalfCheetahBulletEnv-v0'"):
        make("env.id=HalfCheetah-v0")
    with pytest.raises(UserError, match=r"Gymnasium has AntBulletEnv-v0\."):
        make("env.id=AntBulletEnv")


@needs_pybullet
@pytest.mark.parametrize("id", ["InvertedPendulum", "HalfCheetah"])
def test_a_replay_reproduces_games_bit_for_bit(id: str) -> None:
    """Of rows in their second game or later, in an environment that has played nothing yet."""
    given = [f"env.id={id}BulletEnv-v0", "env.num_envs=2", "env.max_steps=30"]
    env, again = make(*given), make(*given)
    env.start(1)
    play(env, 75)
    again.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(again.start(0).obs[SOLO], env.ticks.obs)  # type: ignore[attr-defined]
    # Into the games after this one, too.
    for ours, theirs in zip(play(env, 40), play(again, 40), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    env.close(), again.close()


@needs_pybullet
def test_pictures() -> None:
    env = make("env.pixels=true", "env.gray=true", "env.stack=2")
    assert env.spec.observation_spaces[SOLO].shape == (2, 64, 64) and env.spec.frame_stack == 2
    env.start(0)
    seen = play(env, 3)
    assert seen[-1].std() > 5  # something is to be seen
    np.testing.assert_array_equal(seen[-1][0, 0], seen[-2][0, 1])
    assert env.render(0).shape == (240, 320, 3)
    assert play(env, 1)[0].shape == (1, 2, 64, 64)
    env.close()


@needs_pybullet
def test_a_near_camera_and_pictures_that_are_shrunk() -> None:
    """The pendulum fills more of the picture, its edges are smooth; a GIF stays as large."""
    found = []
    for keys in ([], ["env.camera=[1.8,0,0]"], ["env.camera=[1.8,0,0]", "env.oversample=2"]):
        env = make("env.pixels=true", *keys)
        found.append(env.start(0).obs[SOLO][0])
        drawn = env.render(0)
        assert drawn is not None and drawn.shape == (240, 320, 3)
        env.close()
    dark = [int((picture.min(0) < 200).sum()) for picture in found]
    assert dark[1] > 1.5 * dark[0]
    shades = [len(np.unique(picture.reshape(3, -1), axis=1).T) for picture in found]
    assert found[2].shape == (3, 64, 64) and shades[2] > shades[1]


@needs_pybullet
def test_a_run_and_its_gif() -> None:
    run = ["env=pybullet", "agent=ppo", "total_steps=300", "agent.rollout_steps=100"]
    rlexp.train([*run, "evaluation.episodes=1", "logger=csv", "run_dir=run"])
    assert list(Path("run/media").glob("eval_*.gif"))
