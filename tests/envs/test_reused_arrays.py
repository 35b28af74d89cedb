"""Environments that write into the arrays they have handed over: nothing that was seen changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

import odd_envs  # noqa: F401 — registers Odd-v0
import rlexp
from rlexp import build
from rlexp.envs import gym
from rlexp.envs.base import BatchEnv
from rlexp.evaluate import evaluate
from rlexp.types import SOLO, EnvSpec, State, Tree
from tiny import Corridor


def make(**kwargs: Any) -> Any:
    changes = {key: kwargs.pop(key) for key in ("resize", "gray", "stack") if key in kwargs}
    seen = {"resize": None, "gray": False, "stack": 1} | changes
    return gym.make("Odd-v0", {"reuse": True, **kwargs}, [], 2, "thread", 1, None, False, **seen)


@pytest.mark.parametrize(
    ("shape", "kind", "changes"),
    [
        ((2,), np.float32, {}),
        ((), np.float32, {}),
        ((8, 9, 3), np.uint8, {}),
        ((8, 9, 1), np.uint8, {}),
        ((8, 9), np.uint8, {}),
        ((3, 8, 9), np.uint8, {}),
        ((8, 9, 3), np.uint8, {"gray": True}),
        ((8, 9), np.uint8, {"stack": 3}),
        ((4, 8, 9, 3), np.uint8, {}),
        ((4, 8, 9, 3), np.uint8, {"gray": True, "resize": [6, 6]}),
    ],
)
def test_every_observation_stays_what_it_was(shape: Any, kind: Any, changes: Any) -> None:
    env = make(obs=Box(0, 100, shape, kind), **changes)
    before = env.start(0).obs[SOLO]
    assert (before == 0).all()
    for move in range(1, 11):
        env.send({SOLO: np.zeros(2, np.int64)})
        tick = env.recv()
        done = tick.done[SOLO]
        newest = (slice(None), -1) if changes.get("stack") else ...
        step = (move - 1) % 5 + 1
        assert (done.obs[newest] == step - 1).all() and (done.next_obs[newest] == step).all()
        assert (tick.obs[SOLO][newest] == (0 if step == 5 else step)).all()
        assert (done.reward == step).all() and (done.info["moves"] == step).all()
    env.close()


def test_every_image_stays_what_it_was() -> None:
    env = make()
    result = evaluate(env, lambda _: {SOLO: np.zeros(2, np.int64)}, 2, 0, [(0, 0)])
    assert [int(image[0, 0, 0]) for image in result.frames[(0, 0)]] == [0, 1, 2, 3, 4, 5]
    env.close()


def test_an_environment_may_change_the_action_it_is_given() -> None:
    env = make(actions=Box(-1, 1, (2,), np.float32))
    env.start(0)
    given = np.full((2, 2), 0.5, np.float32)
    env.send({SOLO: given})
    tick = env.recv()
    assert (given == 0.5).all() and (tick.done[SOLO].action == 0.5).all()
    assert (env.state_dict()["rows"][0]["actions"] == 0.5).all()
    env.close()


def test_mario_s_last_picture_is_not_the_next_game_s_first() -> None:
    keys = ["env=mario", "env.stack=1", "env.resize=null", "env.max_steps=25", "env.noop_max=0"]
    env: Any = build.env(rlexp.compose(keys).config.env)
    game = env.groups[0].rows[0].game
    opening = env.start(0).obs[SOLO].copy()
    for _ in range(25):
        env.send({SOLO: np.ones(env.spec.num_envs, np.int64)})
        tick = env.recv()
    last = tick.done[SOLO].next_obs
    assert tick.done[SOLO].truncated.all() and not np.array_equal(last, opening)
    np.testing.assert_array_equal(tick.obs[SOLO], opening)
    images = [env.render(0)]
    game.env.step(0x80)
    images.append(env.render(0))
    assert not np.shares_memory(images[0], game.env.screen) and images[0].shape == (240, 256, 3)
    env.close()


class InPlace(Corridor):
    """The corridor, whose observation is the very array that it writes into."""

    def __init__(self) -> None:
        super().__init__(2)
        self.spec = EnvSpec({SOLO: Box(0, 4, (2, 1), np.int64)}, self.spec.action_spaces, 2)
        self.cell = np.zeros(2, np.int64)

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        self.cell += np.asarray(actions)
        return np.zeros(2), self.cell == 4, {}

    def observe_rows(self) -> Tree:
        return self.cell[:, None]


def test_a_batch_that_shows_its_own_array_is_copied() -> None:
    env: BatchEnv = InPlace()
    tick = env.start(0)
    for step in range(1, 9):
        env.send({SOLO: np.ones(2, np.int64)})
        tick = env.recv()
        done = tick.done[SOLO]
        assert (done.obs == (step - 1) % 4).all() and (done.next_obs == (step - 1) % 4 + 1).all()
        assert (tick.obs[SOLO] == step % 4).all()
    state: State = env.state_dict()
    assert state["game"]["cell"].tolist() == [0, 0]


def test_games_of_rlexp_s_own_are_not_copied() -> None:
    for name in ("catcher", "cartpole", "gridworld", "bandit", "digits"):
        env: Any = build.env(rlexp.compose([f"env={name}"]).config.env)
        env.start(0)
        assert not getattr(env, "reuses_obs", False), name
        env.close()
