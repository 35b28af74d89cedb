"""Rows in threads and processes: no transition crosses a game, and a replay brings games back."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlexp import codec
from rlexp.envs import gym
from rlexp.envs.vector import RowsEnv, _slices
from rlexp.networks.trunks import make_trunk
from rlexp.types import SOLO, Env, Tick
from tiny import CountingGame, DrawnGame, counting_spec


def make(num_envs: int = 3, workers: int | None = 2, processes: bool = False) -> RowsEnv:
    return RowsEnv([CountingGame] * num_envs, counting_spec(num_envs), workers, processes)


def play(env: Env, steps: int, seed: int = 0, tick: Tick | None = None) -> list[Tick]:
    rng = np.random.default_rng(seed)
    ticks = [tick if tick is not None else env.start(seed)]
    for _ in range(steps):
        env.send({SOLO: rng.integers(2, size=env.spec.num_envs)})
        ticks.append(env.recv())
    return ticks


@pytest.mark.parametrize("processes", [False, True])
def test_no_transition_crosses_a_game(processes: bool) -> None:
    env = make(processes=processes)
    ticks = play(env, 60)
    env.close()
    for before, after in zip(ticks[:-1], ticks[1:], strict=True):
        t = after.done[SOLO]
        # The picture tells game and move: both pictures of a move are of the same game.
        np.testing.assert_array_equal(t.obs, before.obs[SOLO])
        np.testing.assert_array_equal(t.next_obs[:, 0], t.obs[:, 0])
        np.testing.assert_array_equal(t.next_obs[:, 1], t.obs[:, 1] + 1)
        np.testing.assert_array_equal(t.reward, t.next_obs[:, 1])
        # What follows a game's end is a new game's first picture, flagged as such.
        np.testing.assert_array_equal(after.first, t.ended)
        assert (after.obs[SOLO][t.ended, 1] == 0).all()
        same = ~t.ended
        np.testing.assert_array_equal(after.obs[SOLO][same], t.next_obs[same])
        assert not (t.terminated & t.truncated).any()
        assert after.steps == 3


def test_episodes_are_added_up() -> None:
    env = make()
    for tick in play(env, 60)[1:]:
        t = tick.done[SOLO]
        assert [e.row for e in tick.episodes] == list(np.flatnonzero(t.ended))
        for episode in tick.episodes:
            length = int(t.next_obs[episode.row, 1])
            assert episode.length == length
            assert episode.returns[SOLO] == length * (length + 1) / 2
    env.close()


def test_threads_and_processes_play_the_same_games() -> None:
    results = []
    for workers, processes in ((1, False), (3, False), (2, True)):
        env = gym.make("Acrobot-v1", {}, [], 3, "thread", workers, None, False, None, False, 1)
        if processes:
            env.close()
            env = gym.make("Acrobot-v1", {}, [], 3, "process", workers, None, False, None, False, 1)
        results.append(play(env, 40))
        env.close()
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])


@pytest.mark.parametrize("processes", [False, True])
def test_replay_brings_games_back(processes: bool) -> None:
    env = make(processes=processes)
    ticks = play(env, 25)
    structure, arrays, segments = codec.flatten(env.state_dict())
    straight = play(env, 25, seed=1, tick=ticks[-1])
    env.close()

    again = make(processes=processes)
    again.load_state_dict(codec.unflatten(structure, arrays, segments))
    pending = again.start(123)
    np.testing.assert_array_equal(pending.obs[SOLO], ticks[-1].obs[SOLO])
    np.testing.assert_array_equal(pending.first, ticks[-1].first)
    resumed = play(again, 25, seed=1, tick=pending)
    again.close()
    for a, b in zip(straight[1:], resumed[1:], strict=True):
        np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])
        assert a.episodes == b.episodes


def test_a_game_that_replays_differently_starts_anew() -> None:
    env = make()
    play(env, 7)
    state = env.state_dict()
    state["ticks"]["obs"] = state["ticks"]["obs"].copy()
    state["ticks"]["obs"][1, 0] += 1  # as if another game had been saved
    again = make()
    with pytest.warns(UserWarning, match="row 1 can't be replayed"):
        again.load_state_dict(state)
    tick = again.start(0)
    assert tick.first[1] and tick.obs[SOLO][1, 1] == 0
    env.close()
    again.close()


class Fails(CountingGame):
    def step(self, action: object) -> tuple[np.ndarray, float, bool, bool, dict[str, float]]:
        raise RuntimeError("the game broke")


@pytest.mark.parametrize("processes", [False, True])
def test_an_error_in_a_game_rises_at_recv(processes: bool) -> None:
    env = RowsEnv([Fails], counting_spec(1), 1, processes)
    env.start(0)
    env.send({SOLO: np.zeros(1, dtype=int)})
    with pytest.raises(RuntimeError, match="the game broke"):
        env.recv()
    env.close()


class Warns(CountingGame):
    def step(self, action: Any) -> Any:
        warnings.warn_explicit("the game can't be drawn", UserWarning, "rlexp/envs/a_game.py", 1)
        return super().step(action)


@pytest.mark.parametrize("processes", [False, True])
def test_warnings_of_a_game_are_the_run_s(processes: bool) -> None:
    env = RowsEnv([Warns], counting_spec(1), 1, processes)
    env.start(0)
    env.send({SOLO: np.zeros(1, dtype=int)})
    with pytest.warns(UserWarning, match="the game can't be drawn"):
        env.recv()
    env.close()


def test_rows_are_shared_out_evenly() -> None:
    assert [s.stop - s.start for s in _slices(7, 3)] in ([2, 3, 2], [2, 2, 3], [3, 2, 2])
    assert _slices(2, 2) == [slice(0, 1), slice(1, 2)]


def test_discrete_observations_are_numbers_that_networks_see_one_hot() -> None:
    env = gym.make("FrozenLake-v1", {}, [], 2, "thread", 1, None, False, None, False, 1)
    tick = env.start(0)
    space = env.spec.observation_spaces[SOLO]
    assert space == gymnasium.spaces.Discrete(16)
    np.testing.assert_array_equal(tick.obs[SOLO], [0, 0])
    trunk = make_trunk(space, [])
    np.testing.assert_array_equal(trunk(torch.tensor([0, 5])), np.eye(16)[[0, 5]])
    env.close()


@pytest.mark.parametrize("processes", [False, True])
def test_a_watched_game_shows_how_it_ended(processes: bool) -> None:
    env = RowsEnv([DrawnGame] * 3, counting_spec(3), 2, processes)
    env.watch([2])
    env.start(0)
    seen = []
    for _ in range(20):
        env.send({SOLO: np.zeros(3, dtype=int)})
        tick = env.recv()
        ended = bool(tick.done[SOLO].ended[2])
        assert list(tick.pictures) == ([2] if ended else [])
        if ended:
            seen.append(int(tick.pictures[2][0, 0, 0]))
            assert seen[-1] == tick.done[SOLO].next_obs[2, 1] > 0 == env.render(2)[0, 0, 0]
    assert len(seen) > 3
    env.close()


def test_a_limit_is_a_truncation() -> None:
    env = gym.make("CartPole-v1", {}, [], 1, "thread", 1, 5, False, None, False, 1)
    ticks = play(env, 5)
    t = ticks[-1].done[SOLO]
    assert t.truncated.all() and not t.terminated.any()
    env.close()


def test_gymnasium_ids_still_have_the_limits_we_rely_on() -> None:
    assert gymnasium.spec("CartPole-v1").max_episode_steps == 500
    assert gymnasium.spec("CartPole-v0").max_episode_steps == 200
