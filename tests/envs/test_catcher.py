"""Catcher against traces worked out by hand, its pictures against OpenCV's."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from rlexp.buffers.base import Storage
from rlexp.buffers.frames import FrameBuffer
from rlexp.envs.catcher import Catcher, rnd
from rlexp.errors import UserError
from rlexp.types import SOLO, Tick

LEFT, RIGHT, STAY = 0, 1, 2


def make(num_envs: int = 1, **changes: Any) -> Catcher:
    values: dict[str, Any] = {
        "size": 64, "lives": 3, "fps": 30, "observation": "state", "resize": [80, 80],
        "gray": True, "stack": 4, "carry_stack": False, "max_steps": 10_000,
    }  # fmt: skip
    return Catcher(num_envs, **(values | changes))


def place(env: Catcher, x: int = 26, fruit: tuple[int, int] = (24, 0), lives: int = 3) -> None:
    """Every row: a resting paddle and a falling fruit."""
    env.x[:], env.fruit_x[:], env.fruit_y[:] = x, *fruit
    env.velocity[:], env.lives[:] = 0.0, lives


def step(env: Catcher, *actions: int) -> Tick:
    env.send({SOLO: np.array(actions)})
    return env.recv()


def test_sizes_and_start() -> None:
    env = make()
    env.start(0)
    assert (env.fruit, env.paddle, env.thick, env.top) == (4, 13, 3, 58)
    assert env.x[0] == 26 and env.velocity[0] == 0 and env.lives[0] == 3
    np.testing.assert_array_equal(rnd(np.array([25.5, -7.5, 0.5, 2.4, -2.6])), [26, -8, 1, 2, -3])


def test_a_catch() -> None:
    """The paddle's rectangle is 57..60 high, the fruit's reaches 2 below its y: caught at 56."""
    env = make()
    env.start(0)
    place(env, fruit=(24, 52))
    assert [step(env, STAY).done[SOLO].reward[0] for _ in range(2)] == [0, 0]
    assert env.fruit_y[0] == 56
    assert step(env, STAY).done[SOLO].reward[0] == 1
    assert -28 <= env.fruit_y[0] - 2 <= -4 and env.fruit_x[0] in range(8, 56, 4)
    assert env.lives[0] == 3


def test_a_miss_and_the_last_one() -> None:
    """The fruit reaches 64, and the step after that pays -1; without a life left -6."""
    env = make(2)
    env.start(0)
    place(env, fruit=(8, 60))
    env.lives[1] = 1
    for _ in range(2):
        t = step(env, STAY, STAY).done[SOLO]
        np.testing.assert_array_equal(t.reward, [0, 0])
    np.testing.assert_array_equal(env.fruit_y, [64, 64])
    tick = step(env, STAY, STAY)
    np.testing.assert_array_equal(tick.done[SOLO].reward, [-1, -6])
    np.testing.assert_array_equal(tick.done[SOLO].terminated, [False, True])
    assert env.lives[0] == 2 and env.lives[1] == 3 and len(tick.episodes) == 1


@pytest.mark.parametrize(("x", "caught"), [(18, 0), (19, 1), (34, 1), (35, 0)])
def test_overlap_is_strict(x: int, caught: int) -> None:
    """Paddle at 26: its rectangle is 20..33; the fruit's x - 2..x + 2."""
    env = make()
    env.start(0)
    place(env, fruit=(x, 58))
    assert step(env, STAY).done[SOLO].reward[0] == caught


@pytest.mark.parametrize(("y", "caught"), [(55, 0), (56, 1), (61, 1), (62, 0)])
def test_overlap_is_strict_in_height(y: int, caught: int) -> None:
    env = make()
    env.start(0)
    place(env, fruit=(26, y))
    assert step(env, STAY).done[SOLO].reward[0] == caught


def test_motion_and_walls() -> None:
    """v = 0.9 (v ± 1.344), x rounded after each step."""
    env = make()
    env.start(0)
    place(env)
    found = []
    for action in (RIGHT, RIGHT, RIGHT, STAY, LEFT):
        step(env, action)
        found.append((int(env.x[0]), round(float(env.velocity[0]), 6)))
    assert found == [(27, 1.2096), (29, 2.29824), (32, 3.278016), (35, 2.950214), (36, 1.445593)]
    place(env, x=1)
    step(env, LEFT)
    assert env.x[0] == 0 and env.velocity[0] == 0
    place(env, x=50)
    step(env, RIGHT)
    assert env.x[0] == 51 and env.velocity[0] == 0


def full_games(env: Catcher, games: int, seed: int) -> np.ndarray:
    """Returns of the first game of every row: the first ones to end would be the short ones."""
    rng = np.random.default_rng(seed)
    env.start(seed)
    returns: dict[int, float] = {}
    while len(returns) < games:
        for e in step(env, *rng.integers(3, size=games)).episodes:
            returns.setdefault(e.row, e.returns[SOLO])
    return np.array(list(returns.values()))


def test_random_play_scores_as_the_original() -> None:
    """-6.67 ± 1.26 there; 300 games have a standard error of 0.08."""
    returns = full_games(make(300), 300, seed=1)
    assert abs(returns.mean() + 6.7) < 0.3
    assert 1.0 < returns.std() < 1.8


def tracker(obs: np.ndarray) -> np.ndarray:
    """Steers to where braking from now on would stop the paddle under the fruit."""
    x, fruit, velocity = obs[:, 0], obs[:, 1], obs[:, 2]
    highest = 0.021 * 9 * 2  # in widths of -1..1
    error = fruit - (x + 9 * velocity * highest)
    return np.where(error > 0.04, RIGHT, np.where(error < -0.04, LEFT, STAY))


def test_a_tracker_never_misses() -> None:
    env = make(4)
    tick = env.start(0)
    total = np.zeros(4)
    for _ in range(10_000):
        tick = step(env, *tracker(tick.obs[SOLO]))
        total += tick.done[SOLO].reward
        assert not tick.done[SOLO].terminated.any()
    assert (total > 250).all()
    assert tick.done[SOLO].truncated.all()


def test_states_are_within_their_space() -> None:
    env = make(8, max_steps=300)
    space = env.spec.observation_spaces[SOLO]
    rng = np.random.default_rng(0)
    tick = env.start(0)
    for _ in range(1000):
        t = step(env, *rng.integers(3, size=8)).done[SOLO]
        assert all(space.contains(row) for row in t.next_obs)
    assert tick.obs[SOLO].dtype == np.float32


def by_opencv(env: Catcher, row: int, size: list[int] | None, gray: bool) -> np.ndarray:
    """[C, H, W], drawn, made gray and resized by OpenCV."""
    picture = np.zeros((env.size, env.size, 3), dtype=np.uint8)
    x, fx, fy = (int(a[row]) for a in (env.x, env.fruit_x, env.fruit_y))
    cv2.rectangle(
        picture, (x, env.top), (x + env.paddle - 1, env.top + env.thick - 1), (255, 255, 255), -1
    )
    low = fy + env.fruit - 1
    if low >= 0 and fy < env.size:
        cv2.rectangle(picture, (fx, fy), (fx + env.fruit - 1, low), (255, 120, 120), -1)
    if gray:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if size is not None:
        how = cv2.INTER_LINEAR if size[0] >= env.size else cv2.INTER_AREA
        picture = cv2.resize(picture, (size[1], size[0]), interpolation=how)
    return picture[None] if gray else picture.transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("resize", "gray", "size"),
    [([80, 80], True, 64), ([84, 96], True, 64), ([40, 40], True, 64), (None, True, 64),
     ([80, 80], False, 64), ([80, 80], True, 48)],
)  # fmt: skip
def test_pictures_are_opencvs(resize: list[int] | None, gray: bool, size: int) -> None:
    env = make(8, observation="pixels", resize=resize, gray=gray, size=size)
    depth = 1 if gray else 3
    rng = np.random.default_rng(0)
    tick = env.start(0)
    assert tick.obs[SOLO].shape == (8, *env.spec.observation_spaces[SOLO].shape)
    covered = 0
    for _ in range(200):
        tick = step(env, *rng.integers(3, size=8))
        covered += int((env.fruit_y > env.top - env.fruit).sum())
        for row in range(8):
            newest = tick.obs[SOLO][row, -depth:].astype(int)
            wanted = by_opencv(env, row, resize, gray)
            assert np.abs(newest - wanted).max() <= 1
    assert covered > 20


def test_the_fruit_is_drawn_over_the_paddle() -> None:
    env = make(1, observation="pixels", resize=None)
    env.start(0)
    place(env, fruit=(36, 57))  # right of the paddle by the rules, over it in the picture
    assert step(env, STAY).done[SOLO].reward[0] == 0
    picture = env.observe_rows()[0, -1]
    assert picture[59, 35] == 255 and picture[59, 36] == 160 and picture[62, 36] == 160
    shown = env.render(0)
    assert shown.shape == (256, 256, 3)
    np.testing.assert_array_equal(shown[59 * 4, 36 * 4], (255, 120, 120))


def test_a_stack_is_the_last_four_and_cleared_at_resets() -> None:
    env = make(3, observation="pixels", max_steps=6)
    tick = env.start(0)
    history = [tick.obs[SOLO][:, -1]] * 4
    for number in range(1, 13):
        tick = step(env, STAY, LEFT, RIGHT)
        t = tick.done[SOLO]
        history = [*history[1:], t.next_obs[:, -1]]
        np.testing.assert_array_equal(t.next_obs, np.stack(history, axis=1))
        if number % 6 == 0:
            assert t.truncated.all()
            history = [tick.obs[SOLO][:, -1]] * 4
            np.testing.assert_array_equal(tick.obs[SOLO], np.stack(history, axis=1))
            assert not np.array_equal(tick.obs[SOLO], t.next_obs)


def test_a_stack_may_be_carried_over() -> None:
    env = make(2, observation="pixels", max_steps=6, carry_stack=True)
    assert env.spec.frame_stack == 1
    begins = env.start(0).obs[SOLO]
    for _ in range(6):
        tick = step(env, LEFT, RIGHT)
    last = tick.done[SOLO].next_obs
    np.testing.assert_array_equal(tick.obs[SOLO][:, :3], last[:, 1:])
    np.testing.assert_array_equal(env.start(0).obs[SOLO], begins)


def test_the_frame_buffer_rebuilds_its_stacks() -> None:
    env = make(3, observation="pixels", max_steps=17, lives=1)
    buffer = FrameBuffer(3000, env.spec, SOLO, Storage())
    rng = np.random.default_rng(0)
    env.start(0)
    true = set()
    for _ in range(150):
        t = step(env, *rng.integers(3, size=3)).done[SOLO]
        buffer.add(t)
        for row in range(3):
            true.add((t.obs[row].tobytes(), t.action[row], t.next_obs[row].tobytes()))
    batch = buffer.sample(500, rng)
    for obs, action, next_obs in zip(batch.obs, batch.action, batch.next_obs, strict=True):
        assert (obs.tobytes(), action, next_obs.tobytes()) in true


@pytest.mark.parametrize("observation", ["pixels", "state"])
def test_state_comes_back(observation: str) -> None:
    env = make(3, observation=observation, max_steps=40)
    tick = env.start(0)
    rng = np.random.default_rng(1)
    for _ in range(60):
        tick = step(env, *rng.integers(3, size=3))
    again = make(3, observation=observation, max_steps=40)
    again.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(again.start(99).obs[SOLO], tick.obs[SOLO])
    for _ in range(200):
        actions = rng.integers(3, size=3)
        a, b = step(env, *actions), step(again, *actions)
        np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])
        assert a.episodes == b.episodes


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"size": 9}, "env.size=9 is too small"), ({"fps": 200}, "env.fps=200: the fruit would")],
)
def test_what_cannot_be_played_is_said(changes: dict[str, int], says: str) -> None:
    with pytest.raises(UserError, match=says):
        make(**changes)
