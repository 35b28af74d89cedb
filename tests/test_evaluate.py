"""Evaluation: every row its share, every episode counted, intervals by what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlexp import build, matches
from rlexp.agents.dreamer.agent import Dreamer
from rlexp.agents.random import Random
from rlexp.api import compose
from rlexp.envs.vector import RowsEnv
from rlexp.evaluate import INDEPENDENT, Act, Evaluation, Played, Repetition, evaluate
from rlexp.statistics import rate_interval
from rlexp.types import SOLO, Env, Needs, Seat, Tick, Tree
from tiny import Corridor, CountingGame, counting_spec

NEEDS = Needs(("discrete",))


def rlexp_env(overrides: list[str]) -> Env:
    return build.env(compose(overrides).config.env, 1)


def right(tick: Tick) -> dict[Seat, Tree]:
    return {SOLO: np.ones(len(tick.first), dtype=int)}


def gym(id: str, rows: int = 4, **kwargs: object) -> Env:
    overrides = [f"env.kwargs={{{', '.join(f'{k}: {v}' for k, v in kwargs.items())}}}"]
    return rlexp_env(["env=gym", f"env.id={id}", f"env.num_envs={rows}", *overrides])


def always(action: int) -> Act:
    return lambda tick: {SOLO: np.full(len(tick.first), action)}


@pytest.mark.parametrize(
    ("id", "action", "true"), [("FrozenLake-v1", 1, 0.0495), ("Blackjack-v1", 0, -0.177)]
)
def test_all_episodes_count_where_the_game_itself_draws(id: str, action: int, true: float) -> None:
    """Many of these are equal, move for move: leaving out the repeated ones moves the mean."""
    env = gym(id)
    result = evaluate(
        env, always(action), 400, 3, repetition=Repetition.of(env.spec, True, NEEDS, 4)
    )
    env.close()
    summary = result.summary()
    returns = [game.returns[SOLO] for game in result.games]
    assert summary["episodes"] == summary["played"] == 400 and summary["distinct_starts"] is None
    assert summary["return_mean"] == pytest.approx(np.mean(returns))
    low, high = summary["return_ci"]
    assert low < true < high and high - low < 0.25


class Coin(Corridor):
    """Two moves, then 0 or 1 by a toss: nothing of it can be seen."""

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        self.cell += 1
        end = self.cell == 2
        return (end & (self.rng.random(len(end)) < 0.5)).astype(float), end, {}


def test_the_interval_of_a_coin_stays_between_its_sides() -> None:
    for episodes in (2, 3, 4, 100):
        result = evaluate(Coin(2), right, episodes, seed=1)
        low, high = result.summary()["return_ci"]
        assert 0 <= low <= result.summary()["return_mean"] <= high <= 1
    assert len({game.returns[SOLO] for game in result.games}) == 2 and low > 0.3 and high < 0.7


class Opening(Corridor):
    """Like Mario: it begins after a few moves that nobody sees, which alone are drawn."""

    starts = 3

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.spec = replace(
            self.spec, deterministic=self.starts == 1, random_starts_only=self.starts > 1
        )

        self.blank = np.ones(num_envs, dtype=bool)

    def reset_rows(self, rows: np.ndarray) -> None:
        self.cell[rows] = self.rng.integers(self.starts, size=len(rows))
        self.blank[rows] = True

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        self.blank[:] = False
        return super().step_rows(actions)

    def observe_rows(self) -> Tree:
        seen = super().observe_rows()
        assert isinstance(seen, np.ndarray)
        return np.where(self.blank[:, None], np.float32(0), seen)


class OneOpening(Opening):
    starts = 1


def by_start(env: Env, needs: Needs = NEEDS, greedy: bool = True) -> Repetition:
    return Repetition.of(env.spec, greedy, needs, env.spec.num_envs)


def test_few_starts_are_few_however_often_they_are_played() -> None:
    env = Opening(4)
    result = evaluate(env, right, 200, seed=0, repetition=by_start(env))
    summary = result.summary()
    assert summary["episodes"] == 200 and summary["distinct_starts"] == 3
    returns = [game.returns[SOLO] for game in result.games]
    assert summary["return_mean"] == pytest.approx(np.mean(returns))
    # As sure as three values are, not as 200 are.
    assert summary["return_ci"] == pytest.approx([min(returns), max(returns)])
    assert summary["success_rate"] == 1.0
    assert summary["success_ci"] == pytest.approx(rate_interval(3, 3))
    independent = evaluate(Opening(4), right, 200, seed=0).summary()
    assert independent["return_mean"] == summary["return_mean"]
    assert independent["return_ci"][0] > summary["return_ci"][0] + 0.05


def test_a_single_start_gives_no_interval() -> None:
    env = OneOpening(2)
    assert by_start(env).enough(10) == 1
    summary = evaluate(env, right, 10, seed=0, repetition=by_start(env)).summary()
    assert summary["episodes"] == 10 and summary["distinct_starts"] == 1
    assert summary["return_mean"] == pytest.approx(0.7)
    assert summary["return_ci"] is None and summary["success_ci"] is None


def test_play_that_draws_is_independent() -> None:
    """Sampled play, and agents that draw when they are greedy, too."""
    env, drawing = Opening(2), Needs(("discrete",), stochastic_when_greedy=True)
    for repetition in (by_start(env, greedy=False), by_start(env, drawing)):
        assert repetition == INDEPENDENT and repetition.enough(10) == 10
    assert by_start(OneOpening(2), drawing).enough(10) == 10
    assert Random.needs.stochastic_when_greedy and Dreamer.needs.stochastic_when_greedy
    rng = np.random.default_rng(0)

    def stumble(tick: Tick) -> dict[Seat, Tree]:
        return {SOLO: rng.integers(2, size=len(tick.first))}

    summary = evaluate(env, stumble, 50, seed=0).summary()
    assert summary["episodes"] == 50 and summary["distinct_starts"] is None
    low, high = summary["return_ci"]
    assert low < summary["return_mean"] < high
    low, high = summary["success_ci"]
    assert 0 <= low < summary["success_rate"] < high <= 1


def test_a_learner_a_row_is_no_repetition_of_another() -> None:
    """Row 0 walks right, row 1 comes to nothing, in a game that draws nothing: both count."""
    env, independent = OneOpening(2), Needs(("discrete",), rows="independent")
    repetition = by_start(env, independent)
    assert repetition.enough(10) == 2

    def two(tick: Tick) -> dict[Seat, Tree]:
        return {SOLO: np.array([1, 0])}

    summary = evaluate(env, two, repetition.enough(10), 0, repetition=repetition).summary()
    assert summary["success_rate"] == 0.5 and summary["distinct_starts"] == 2
    assert summary["return_ci"] is not None


@pytest.mark.parametrize(
    ("overrides", "declared"),
    [
        (["env=cartpole"], True), (["env=gym", "env.id=CartPole-v1"], True),
        (["env=mario"], True), (["env=mario", "env.noop_max=30"], True),
        (["env=gridworld", "env.random_start=true"], True), (["env=maze"], True),
        (["env=digits"], True), (["env=signaling"], True),
        (["env=catcher"], False), (["env=bandit"], False), (["env=bomberman"], False),
        (["env=gym", "env.id=Taxi-v4"], True), (["env=gym", "env.id=Pendulum-v1"], True),
        (["env=gym", "env.id=Taxi-v4", "env.kwargs={fickle_passenger: true}"], False),
        (["env=gym", "env.id=FrozenLake-v1"], False),
        (["env=gym", "env.id=FrozenLake-v1", "env.kwargs={is_slippery: false}"], True),
        (["env=gym", "env.id=Blackjack-v1"], False),
        (["env=gym", "env.id=CartPole-v1", "env.wrappers=[FlattenObservation]"], False),
    ],
)  # fmt: skip
def test_environments_declare_what_they_draw(overrides: list[str], declared: bool) -> None:
    env = rlexp_env(overrides)
    env.close()
    assert by_start(env).by_start == declared


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


def test_rivals_are_judged_by_all_games_against_them() -> None:
    """Equal games against a rival count each; where only starts are drawn they are one start."""
    games = [
        Played((i % 2, i // 2), {SOLO: r, "rival": 0.0}, 5, None, bytes([r]), rival=rival)
        for rival in ("wait", "random")
        for i, r in enumerate([1, 1, 1, 1, 0, 1, 1, 1])
    ]
    told = matches.by_rival(Evaluation(games))["wait"]
    assert told["games"] == 8 and told["ahead_rate"] == told["return_mean"] == 7 / 8
    assert told["ahead_rate_ci"] == pytest.approx(rate_interval(7, 8))
    assert told["distinct_starts"] is None
    told = matches.by_rival(Evaluation(games, repetition=Repetition(by_start=True)))["random"]
    assert told["ahead_rate"] == 7 / 8 and told["distinct_starts"] == 2
    assert told["ahead_rate_ci"] == told["return_mean_ci"] == [0.0, 1.0]
    assert Evaluation(games, repetition=Repetition(True)).summary()["distinct_starts"] == 4
    told = matches.by_rival(Evaluation(games, repetition=Repetition(True, True)))["random"]
    assert told["ahead_rate_ci"] is None and told["return_mean_ci"] is None


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
