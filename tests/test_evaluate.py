"""Evaluation: every row its share, identical games once, policies that repeat themselves."""

from __future__ import annotations

import numpy as np

from rlexp import build
from rlexp.api import compose
from rlexp.envs.vector import RowsEnv
from rlexp.evaluate import Evaluation, Played, evaluate
from rlexp.types import SOLO, Env, Seat, Tick, Tree
from tiny import Corridor, CountingGame, counting_spec


def rlexp_env(overrides: list[str]) -> Env:
    return build.env(compose(overrides).config.env, 1)


def right(tick: Tick) -> dict[Seat, Tree]:
    return {SOLO: np.ones(len(tick.first), dtype=int)}


def test_identical_games_count_once_and_give_no_interval() -> None:
    summary = evaluate(Corridor(3), right, 10, seed=0).summary()
    assert summary["episodes"] == 1 and summary["played"] == 10
    assert summary["return_mean"] == 0.7 and summary["return_ci"] is None
    assert summary["success_rate"] == 1.0 and summary["success_ci"] is None


def test_different_games_give_intervals() -> None:
    rng = np.random.default_rng(0)

    def stumble(tick: Tick) -> dict[Seat, Tree]:
        return {SOLO: rng.integers(2, size=len(tick.first))}

    summary = evaluate(Corridor(3), stumble, 50, seed=0).summary()
    assert 10 < summary["episodes"] <= 50
    low, high = summary["return_ci"]
    assert low < summary["return_mean"] < high
    low, high = summary["success_ci"]
    assert 0 <= low < summary["success_rate"] < high <= 1


def test_rows_play_their_share_also_when_games_differ_in_length() -> None:
    """Four rows, ten games: 3, 3, 2, 2, not the ten that ended first."""
    env = RowsEnv([CountingGame] * 4, counting_spec(4), 1)
    result = evaluate(env, right, 10, seed=1)
    env.close()
    assert sorted(game.place for game in result.games) == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0), (3, 1),
    ]  # fmt: skip
    assert result.games[0].success is None


def test_a_game_that_does_not_end_counts_as_it_stands() -> None:
    def left(tick: Tick) -> dict[Seat, Tree]:
        return {SOLO: np.zeros(len(tick.first), dtype=int)}

    result = evaluate(Corridor(2, max_steps=None), left, 6, seed=0, max_steps=20)
    assert [game.place for game in result.games] == [(0, 0), (1, 0)]
    assert all(g.cut and g.length == 20 and abs(g.returns[SOLO] + 2) < 1e-5 for g in result.games)
    assert result.summary()["success_rate"] == 0.0
    assert result.summary()["cut"] == 2


def test_a_cut_game_counts_what_is_reported_not_what_is_learnt_from() -> None:
    """Mario's rewards are scaled for the agent; a game that is cut must not be told scaled."""
    env = rlexp_env(["env=mario", "env.reward_scale=0.01", "env.num_envs=1"])
    result = evaluate(env, right, 1, seed=0, max_steps=20)
    env.close()
    assert result.games[0].cut and result.games[0].returns[SOLO] > 50


def test_games_of_one_move_are_draws() -> None:
    game = Played((0, 0), {SOLO: 1.0}, 1, True, b"same")
    assert Evaluation([game] * 5).summary()["episodes"] == 5
    long = Played((0, 0), {SOLO: 1.0}, 2, True, b"same")
    assert Evaluation([long] * 5).summary()["episodes"] == 1


def test_best_and_median() -> None:
    games = [Played((0, i), {SOLO: r}, 5, None, bytes([i])) for i, r in enumerate([3, 9, 5, 1, 7])]
    shown = Evaluation(games).best_and_median()
    assert shown["best"].returns[SOLO] == 9 and shown["median"].returns[SOLO] == 5


def test_watched_games_are_drawn_from_their_first_picture_to_their_last() -> None:
    class Drawn(Corridor):
        def render(self, row: int) -> np.ndarray:
            return np.full((2, 2, 3), self.cell[row], dtype=np.uint8)

    result = evaluate(Drawn(2), right, 4, seed=0, watch=[(1, 1)])
    assert [int(f[0, 0, 0]) for f in result.frames[(1, 1)]] == [0, 1, 2, 3, 4]
