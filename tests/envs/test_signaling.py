"""The signaling game: its protocol, its rewards, what is seen and heard, and going on with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Discrete, MultiDiscrete

import rlexp
from rlexp import build
from rlexp.clock import Clock
from rlexp.codec import flatten, unflatten
from rlexp.config.compose import compose
from rlexp.envs import signaling
from rlexp.envs.signaling import RECEIVER, SENDER, Signaling
from rlexp.errors import UserError
from rlexp.evaluate import evaluate
from rlexp.types import Tick


def make(*overrides: str, evaluation: bool = False) -> Signaling:
    config = compose(["env=signaling", "agent=random", *overrides]).config
    env = build.env(config.env, evaluation=evaluation)
    assert isinstance(env, Signaling)
    return env


def game(env: Signaling, tick: Tick, rng: np.random.Generator) -> tuple[Tick, Tick]:
    """Random messages and answers: (the receiver's Tick, the one that ends the games)."""
    count = env.spec.num_envs
    assert set(tick.obs) == {SENDER}
    env.send({SENDER: rng.integers(env.vocabulary, size=(count, env.length))})
    heard = env.recv()
    env.send({RECEIVER: rng.integers(len(env.names), size=count)})
    return heard, env.recv()


def test_one_game() -> None:
    env = make("env.num_envs=6", "env.classes=3", "env.length=2", "env.vocabulary=4")
    tick = env.start(0)
    sent, first = tick.obs[SENDER], tick.first
    assert set(tick.obs) == {SENDER} and first.all() and not tick.done and tick.steps == 0
    assert env.spec.action_spaces[SENDER] == MultiDiscrete([4, 4])
    assert env.spec.action_spaces[RECEIVER] == Discrete(3)
    messages = np.array([[0, 0], [0, 1], [1, 0], [3, 3], [2, 1], [3, 0]])
    env.send({SENDER: messages})
    tick = env.recv()
    assert set(tick.obs) == {RECEIVER} and not tick.first.any()
    assert tick.done == {} and tick.steps == 0 and tick.episodes == []
    heard = tick.obs[RECEIVER]
    assert heard.dtype == np.float32
    assert heard[3].tolist() == [0, 0, 0, 1, 0, 0, 0, 1]
    assert heard[4].tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    image = env.image.copy()
    target = env.pictures.training.classes[image]
    guesses = target.copy()
    guesses[[1, 4]] = (target[[1, 4]] + 1) % 3
    env.send({RECEIVER: guesses})
    tick = env.recv()
    right = [1, 0, 1, 1, 0, 1]
    assert set(tick.obs) == {SENDER} and tick.first.all() and tick.steps == 6
    assert set(tick.done) == {SENDER, RECEIVER}
    for seat, obs, action in ((SENDER, sent, messages), (RECEIVER, heard, guesses)):
        t = tick.done[seat]
        np.testing.assert_array_equal(t.obs, obs)
        np.testing.assert_array_equal(t.action, action)
        assert t.reward.dtype == np.float32 and t.reward.tolist() == right
        assert t.terminated.all() and not t.truncated.any() and t.rows.tolist() == list(range(6))
        assert t.next_obs.shape == t.obs.shape
        np.testing.assert_array_equal(t.info["target"], target)
        np.testing.assert_array_equal(t.info["image"], image)
        assert t.info["is_success"].tolist() == right
    assert tick.done[SENDER].reward is not tick.done[RECEIVER].reward
    for row, episode in enumerate(tick.episodes):
        assert (episode.row, episode.length) == (row, 1)
        assert episode.returns == {SENDER: right[row], RECEIVER: right[row]}
        assert episode.info == {
            "target": target[row], "image": image[row], "is_success": right[row],
        }  # fmt: skip
    assert not np.array_equal(env.image, image)  # the next games


def test_the_clock_counts_a_game_as_one_step() -> None:
    env, clock, rng = make("env.num_envs=5"), Clock(total_steps=20), np.random.default_rng(0)
    tick = env.start(0)
    turns = 0
    while clock.running:
        heard, tick = game(env, tick, rng)
        for part in (heard, tick):
            clock.advance(part)
            turns += clock.crossed(5)
    assert (clock.steps, clock.episodes, turns) == (20, 20, 4)


def test_the_sender_sees_its_picture_standardised() -> None:
    env = make("env.num_envs=64", "env.classes=5")
    tick = env.start(3)
    images = env.pictures.training.images.astype(np.float64)
    mean, deviation = images.mean((0, 2, 3)), images.std((0, 2, 3))
    expected = (images[env.image] - mean[:, None, None]) / deviation[:, None, None]
    np.testing.assert_allclose(tick.obs[SENDER], expected, atol=1e-5)
    obs, classes, attributes = env.split("training")
    assert obs.dtype == np.float32 and attributes.shape == (500, 0)
    np.testing.assert_allclose(obs.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(obs.std((0, 2, 3)), 1, atol=1e-4)
    space = env.spec.observation_spaces[SENDER]
    assert all(picture in space for picture in tick.obs[SENDER])
    np.testing.assert_allclose(space.high[:, 0, 0], (255 - mean) / deviation, rtol=1e-5)


def test_evaluation_plays_held_out_pictures() -> None:
    """Standardised as the training pictures are: by their mean and deviation."""
    seen = make("env.classes=4")
    held = make("env.classes=4", "env.num_envs=300", evaluation=True)
    np.testing.assert_array_equal(seen.mean, held.mean)
    np.testing.assert_array_equal(seen.split("held_out")[0], held.split("held_out")[0])
    shown = {o.tobytes() for o in held.start(0).obs[SENDER]}
    assert shown <= {o.tobytes() for o in held.split("held_out")[0]}
    assert shown.isdisjoint({o.tobytes() for o in held.split("training")[0]})
    _, tick = game(held, held.start(0), np.random.default_rng(0))
    info = tick.done[RECEIVER].info
    np.testing.assert_array_equal(held.split("held_out")[1][info["image"]], info["target"])
    with pytest.raises(ValueError, match="'training' or 'held_out'"):
        held.split("test")


def test_classes_and_pictures_are_drawn_evenly() -> None:
    env, rng = make("env.num_envs=1000", "env.classes=4"), np.random.default_rng(0)
    tick, images = env.start(1), []
    for _ in range(20):
        _, tick = game(env, tick, rng)
        images.append(tick.done[SENDER].info["image"])
    counts = np.bincount(np.concatenate(images), minlength=400)
    assert counts.sum() == 20_000 and counts.min() > 20 and counts.max() < 90
    # Four classes of 5,000 +- 61.
    assert abs(counts.reshape(4, 100).sum(1) - 5000).max() < 250


def test_random_play_and_the_perfect_pair() -> None:
    env, rng = make("env.num_envs=1000", "env.classes=4"), np.random.default_rng(0)
    _, tick = game(env, env.start(1), rng)
    assert tick.done[SENDER].reward.mean() == pytest.approx(0.25, abs=0.05)
    classes = env.pictures.training.classes[env.image]
    messages = np.zeros((1000, 5), dtype=np.int64)
    messages[:, 0], messages[:, 4] = classes // 2, classes % 2
    env.send({SENDER: messages})
    heard = env.recv().obs[RECEIVER]
    env.send({RECEIVER: (2 * heard[:, 1] + heard[:, 9]).astype(np.int64)})
    assert env.recv().done[RECEIVER].reward.all()


def test_given_arrays_are_not_kept() -> None:
    env = make("env.num_envs=4")
    env.start(0)
    messages = np.zeros((4, 5), dtype=np.int64)
    env.send({SENDER: messages})
    env.recv()
    messages[:] = 1
    env.send({RECEIVER: np.zeros(4, dtype=np.int64)})
    assert not env.recv().done[SENDER].action.any()
    with pytest.raises(AssertionError):
        env.send({SENDER: np.zeros(4, dtype=np.int64)})
        env.recv()


def same(one: Tick, other: Tick) -> None:
    np.testing.assert_array_equal(one.first, other.first)
    assert one.episodes == other.episodes and one.steps == other.steps
    assert one.obs.keys() == other.obs.keys() and one.done.keys() == other.done.keys()
    for seat, obs in one.obs.items():
        np.testing.assert_array_equal(obs, other.obs[seat])
    for seat, t in one.done.items():
        for name in ("obs", "action", "reward", "next_obs", "terminated"):
            np.testing.assert_array_equal(getattr(t, name), getattr(other.done[seat], name))


@pytest.mark.parametrize("turn", [SENDER, RECEIVER])
def test_saved_and_restored_at_either_turn(turn: str) -> None:
    env, rng = make("env.num_envs=8", "env.classes=3"), np.random.default_rng(0)
    tick = env.start(0)
    for _ in range(3):
        _, tick = game(env, tick, rng)
    if turn == RECEIVER:
        env.send({SENDER: rng.integers(2, size=(8, 5))})
        tick = env.recv()
    tree, arrays, _ = flatten(env.state_dict())  # as a checkpoint holds it
    other = make("env.num_envs=8", "env.classes=3")
    other.load_state_dict(unflatten(tree, arrays, {}))
    loaded = other.start(99)
    assert loaded.steps == 0 and loaded.done == {}
    np.testing.assert_array_equal(loaded.obs[turn], tick.obs[turn])
    np.testing.assert_array_equal(loaded.first, tick.first)
    np.testing.assert_array_equal(other.render(2), env.render(2))
    if turn == RECEIVER:
        for one in (env, other):
            one.send({RECEIVER: np.zeros(8, dtype=np.int64)})
        tick, loaded = env.recv(), other.recv()
        same(tick, loaded)
    for seed in range(3):
        pairs = [
            game(one, t, np.random.default_rng(seed)) for one, t in ((env, tick), (other, loaded))
        ]
        for a, b in zip(*pairs, strict=True):
            same(a, b)
        tick, loaded = pairs[0][1], pairs[1][1]
    assert env.start(5).obs[SENDER].tobytes() == other.start(5).obs[SENDER].tobytes()


def test_pictures_show_message_and_answer() -> None:
    env, rng = make("env.num_envs=4", "env.classes=2"), np.random.default_rng(0)
    tick = env.start(0)
    before = env.render(1)
    assert before.shape == (224, 160, 3) and before.dtype == np.uint8
    picture = env.pictures.training.images[env.image[1]]
    np.testing.assert_array_equal(before[2:160:5, 2:160:5], picture.transpose(1, 2, 0))
    assert (before[165:195] == 255).all()  # no message yet
    env.watch([1, 2])
    env.send({SENDER: rng.integers(2, size=(4, 5))})
    env.recv()
    said = env.render(1)
    assert not (said[165:195] == 255).all()
    target = env.pictures.training.classes[env.image]
    guesses = target.copy()
    guesses[2] = 1 - target[2]
    env.send({RECEIVER: guesses})
    tick = env.recv()
    assert set(tick.pictures) == {1, 2}
    np.testing.assert_array_equal(tick.pictures[1][:195], said[:195])

    def colours(shown: np.ndarray) -> set[tuple[int, ...]]:
        return {tuple(int(v) for v in p) for p in shown[200:].reshape(-1, 3)}

    blue, orange = (0, 114, 178), (213, 94, 0)
    assert blue in colours(tick.pictures[1]) and orange not in colours(tick.pictures[1])
    assert orange in colours(tick.pictures[2]) and blue not in colours(tick.pictures[2])
    long = signaling.draw(picture, "1." * 60, 0, 0, ["a" * 60])
    assert (long[162:, :3] == 255).all() and (long[162:, -3:] == 255).all()  # it fits


def test_messages_as_text() -> None:
    assert signaling.text(np.array([1, 0, 9]), 10) == "109"
    assert signaling.text(np.array([1, 0, 11]), 12) == "1.0.11"


def test_a_channel_that_never_changes() -> None:
    flat = np.zeros((2, 3, 4, 4), dtype=np.uint8)
    flat[:, 0] = 7
    flat[0, 1] = 2
    mean, deviation = signaling.channels(flat)
    assert mean.ravel().tolist() == [7, 1, 0] and deviation.ravel().tolist() == [1, 1, 1]


def test_the_generic_evaluation_plays_it() -> None:
    """With players seeded as the environment is: they must not know what it draws."""
    env = make("env.num_envs=10", "env.classes=2", evaluation=True)

    def act(tick: Tick) -> dict[str, Any]:
        return {
            seat: np.array([env.spec.action_spaces[seat].sample() for _ in range(10)])
            for seat in tick.obs
        }

    for space in env.spec.action_spaces.values():
        space.seed(0)
    result = evaluate(env, act, 25, seed=0, watch=[(0, 0), (3, 1)])
    summary = result.summary()
    assert (summary["episodes"], summary["length_mean"]) == (25, 1.0)
    assert 0.2 < summary["success_rate"] < 0.8
    assert summary["success_rate"] == pytest.approx(summary["return_mean"])
    assert [len(frames) for frames in result.frames.values()] == [3, 3]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("env.classes=1", "env.classes=1 must be two classes or more"),
        ("env.classes=[lion]", r"env.classes=\['lion'\] must be two classes or more"),
        ("env.classes=lion", "env.classes=lion must be a number of classes or a list"),
        ("env.classes=true", "must be a number of classes or a list"),
        ("env.classes=[lion,zebra]", "env.images=emoji has no class 'zebra'"),
        ("env.classes=13", "2 to 12 classes"),
        ("env.vocabulary=1", "env.vocabulary=1 must be at least 2"),
        ("env.length=0", "env.length=0 must be at least 1"),
        ("env.train_images=0", "env.train_images=0 must be at least 1"),
        ("env.held_out_images=0", "env.held_out_images=0 must be at least 1"),
        ("env.images=emojis", "is not one of emoji, .* Did you mean 'emoji'"),
        ("env.brightness=2", "env.brightness=2.0 must be at most 1"),
    ],
)
def test_mistakes_are_one_line(override: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        make(override)
    assert "\n" not in str(error.value)


def test_the_source_can_be_had() -> None:
    """Two classes, five symbols of two: 32 messages."""
    env = rlexp.compose(["env=signaling", "env.classes=[lion,rabbit]", "agent=random"]).config.env
    assert (env.length, env.vocabulary) == (5, 2)
    assert (env.train_images, env.held_out_images) == (100, None)
