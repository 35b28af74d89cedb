"""Our CartPole against Gymnasium's, step for step."""

from __future__ import annotations

import gymnasium
import numpy as np

from rlexp.envs.cartpole import CartPole, draw
from rlexp.types import SOLO


def test_same_states_rewards_and_ends_as_gymnasium() -> None:
    env = CartPole(4, max_steps=500)
    tick = env.start(3)
    theirs = [gymnasium.make("CartPole-v1").unwrapped for _ in range(4)]
    for game, state in zip(theirs, env.state, strict=True):
        game.reset()
        game.state = tuple(state)
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(200):
        actions = rng.integers(2, size=4)
        env.send({SOLO: actions})
        tick = env.recv()
        t = tick.done[SOLO]
        for row, game in enumerate(theirs):
            obs, reward, terminated, _, _ = game.step(int(actions[row]))
            np.testing.assert_allclose(t.next_obs[row], obs, rtol=1e-5, atol=1e-6)
            assert t.reward[row] == reward
            assert t.terminated[row] == terminated
            if terminated:
                ends += 1
                game.reset()
                game.state = tuple(env.state[row])
    assert ends > 10


def test_limit_truncates() -> None:
    env = CartPole(1, max_steps=3)
    env.start(0)
    for _ in range(3):
        env.send({SOLO: np.array([1])})
        t = env.recv().done[SOLO]
    assert t.truncated[0] and not t.terminated[0]


def test_state_comes_back() -> None:
    env = CartPole(3, max_steps=20)
    tick = env.start(0)
    rng = np.random.default_rng(1)
    for _ in range(30):
        env.send({SOLO: rng.integers(2, size=3)})
        tick = env.recv()
    again = CartPole(3, max_steps=20)
    again.load_state_dict(env.state_dict())
    pending = again.start(99)
    np.testing.assert_array_equal(pending.obs[SOLO], tick.obs[SOLO])
    for _ in range(30):
        actions = {SOLO: rng.integers(2, size=3)}
        env.send(actions)
        again.send(actions)
        a, b = env.recv(), again.recv()
        np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])
        assert a.episodes == b.episodes


def test_picture_shows_the_pole_leaning() -> None:
    right = draw(np.array([0.0, 0.0, 0.2, 0.0]))
    pole = np.argwhere((right == (202, 152, 101)).all(-1))
    assert pole[:, 1].mean() > right.shape[1] / 2
