"""Data sets as environments: who sees which sample when, and what it pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlexp import build
from rlexp.config.compose import compose
from rlexp.envs.datasets import Samples
from rlexp.envs.supervised import Classification, Regression, digits, line, sine
from rlexp.evaluate import evaluate
from rlexp.types import SOLO, Seat, Tick, Tree


def numbers(count: int, start: int = 0) -> Samples:
    """Samples whose input is their own number, and the answer ten times that."""
    x = np.arange(start, start + count, dtype=np.float32)[:, None]
    return Samples(x, 10 * x[:, 0])


def zeros(env: Any) -> dict[Seat, Tree]:
    return {SOLO: np.zeros((env.spec.num_envs, 1), dtype=np.float32)}


def seen(env: Any, ticks: int, seed: int = 0) -> np.ndarray:
    """Numbers of the samples shown [ticks * rows]."""
    tick, shown = env.start(seed), []
    for _ in range(ticks):
        shown.append(tick.obs[SOLO][:, 0])
        env.send(zeros(env))
        tick = env.recv()
    return np.concatenate(shown).astype(int)


@pytest.mark.parametrize("rows", [1, 3, 10, 25])
def test_every_epoch_shows_every_sample_once_in_a_new_order(rows: int) -> None:
    """Ten samples; batches of 3 straddle epochs, batches of 25 hold two and a half."""
    env = Regression(numbers(10), numbers(5, 100), rows, held_out=False)
    epochs = seen(env, 150 // rows).reshape(-1, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)
    again = Regression(numbers(10), numbers(5, 100), rows, held_out=False)
    np.testing.assert_array_equal(seen(again, 150 // rows), epochs.ravel())
    assert (seen(again, 150 // rows, seed=1) != epochs.ravel()).any()


@pytest.mark.parametrize("rows", [1, 4, 7])
def test_evaluation_visits_each_held_out_sample_once_and_in_order(rows: int) -> None:
    env = Regression(numbers(10), numbers(7, 100), rows, held_out=True)
    shown: list[float] = []

    def predict(tick: Tick) -> dict[Seat, Tree]:
        obs = tick.obs[SOLO]
        assert isinstance(obs, np.ndarray)
        shown.extend(obs[:, 0].tolist())
        return {SOLO: 10 * obs + (obs == 103)}  # wrong by 1 in one of seven

    for _ in range(2):  # every evaluation begins anew
        shown.clear()
        result = evaluate(env, predict, 7, seed=0)
        assert shown[:7] == [100, 101, 102, 103, 104, 105, 106]
        assert [game.returns[SOLO] for game in result.games] == [0, 0, 0, -1, 0, 0, 0]
        assert result.summary()["episodes"] == 7


def test_squared_errors_by_hand() -> None:
    env = Regression(numbers(3), numbers(1), 3, held_out=False)
    tick = env.start(0)
    x = tick.obs[SOLO][:, 0]  # type: ignore[call-overload]
    env.send({SOLO: np.full((3, 1), 7.0, dtype=np.float32)})
    tick = env.recv()
    t = tick.done[SOLO]
    np.testing.assert_allclose(t.reward, -np.square(7 - 10 * x))
    np.testing.assert_array_equal(t.info["target"], 10 * x)
    assert t.terminated.all() and not t.truncated.any() and len(tick.episodes) == 3
    np.testing.assert_array_equal(t.obs, t.next_obs)


def test_classes_pay_one_or_nothing() -> None:
    env = digits(6, 0.3333, 0, held_out=True)
    tick = env.start(0)
    assert env.spec.action_spaces[SOLO].n == 10  # type: ignore[attr-defined]
    answers = env.test.y[:6].copy()
    answers[2] = (answers[2] + 1) % 10
    before = env.render(2)
    env.watch([2])
    env.send({SOLO: answers})
    tick = env.recv()
    assert tick.done[SOLO].reward.tolist() == [1, 1, 0, 1, 1, 1]
    assert [e.info["is_success"] for e in tick.episodes] == [1, 1, 0, 1, 1, 1]
    assert before is not None and before.shape == (192, 160, 3)
    # The picture that ends the game has the answer below it, in orange since it is wrong.
    below = tick.pictures[2][160:].astype(int)
    assert (below[..., 0] > below[..., 2] + 50).any()
    np.testing.assert_array_equal(tick.pictures[2][:160], before[:160])


def test_the_split_of_digits() -> None:
    training, test = digits(1, 0.3333, 0, False), digits(1, 0.3333, 0, True)
    assert (len(training.samples), len(test.samples)) == (1198, 599)
    np.testing.assert_array_equal(training.test.x, test.samples.x)
    assert training.spec.observation_spaces[SOLO].contains(test.samples.x[0])


def test_line_and_sine_are_what_they_say() -> None:
    env = line(1, 2000, 2.0, 5.0, 1.0, 0, held_out=False)
    x, y = env.training.x[:, 0], env.training.y
    noise = y - 5 - 2 * x
    assert x.min() >= 0 and x.max() <= 1 and noise.min() > -1e-5 and noise.max() < 1 + 1e-5
    assert noise.mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(env.test.y, 5.5 + 2 * env.test.x[:, 0], rtol=1e-6)
    wave = sine(1, 5, 1.0, 0.0, 3, held_out=True)
    np.testing.assert_allclose(wave.samples.x[:, 0], [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(wave.samples.y, [0, 1, 0, -1, 0], atol=1e-6)
    # Another seed of the data, other points; the same one, the same.
    same, other = line(1, 9, 2.0, 5.0, 1.0, 0, False), line(1, 9, 2.0, 5.0, 1.0, 1, True)
    np.testing.assert_array_equal(same.training.x, line(4, 9, 2.0, 5.0, 1.0, 0, True).training.x)
    assert (same.training.x != other.training.x).any()


def test_the_config_decides_which_part_is_played() -> None:
    config = compose(["env=housing", "agent=regressor", "env.data=diabetes"]).config
    training, evaluation = build.env(config.env), build.env(config.env, 4, evaluation=True)
    assert isinstance(training, Regression) and isinstance(evaluation, Regression)
    assert (len(training.samples), len(evaluation.samples)) == (295, 147)
    assert (training.spec.num_envs, evaluation.spec.num_envs) == (32, 4)


@pytest.mark.parametrize("kind", [Regression, Classification])
def test_state_comes_back(kind: Any) -> None:
    def make() -> Any:
        x = np.arange(10, dtype=np.float32)[:, None]
        return kind(Samples(x, np.arange(10) % 3), Samples(x, np.arange(10) % 3), 4, False)

    env = make()
    tick = env.start(5)
    answer = {SOLO: np.zeros((4, 1) if kind is Regression else 4)}
    for _ in range(7):
        env.send(answer)
        tick = env.recv()
    again = make()
    again.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(again.start(99).obs[SOLO], tick.obs[SOLO])
    for _ in range(20):
        env.send(answer)
        again.send(answer)
        a, b = env.recv(), again.recv()
        np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])
        assert a.episodes == b.episodes
