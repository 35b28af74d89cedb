"""Games that go on from a moment before they were lost."""

from __future__ import annotations

from functools import partial

import numpy as np

from rlexp.envs import mario
from rlexp.envs.mario_tiles import Tiles
from rlexp.envs.retries import EVERY, Retries
from rlexp.envs.wrappers import Pixels
from rlexp.types import SOLO
from tests.envs.test_mario import make


def played(moves: int, probability: float = 1.0, back: tuple[int, int] = (8, 20)) -> Retries:
    """A game of so many moves, just lost; its snapshots are the numbers of their moves."""
    retries = Retries(probability, list(back))
    retries.begin(opening=3)
    for move in range(moves):
        if retries.played(move):
            retries.keep(move + 1)
    retries.lost = True
    return retries


def test_drawn_moments_lie_between_the_bounds() -> None:
    rng = np.random.default_rng(0)
    drawn = {played(100).draw(rng) for _ in range(200)}
    assert drawn == {80, 84, 88, 92}  # 8 to 20 moves before move 100


def test_only_lost_games_are_tried_again_and_as_often_as_wanted() -> None:
    rng = np.random.default_rng(0)
    won = played(100)
    won.lost = False
    assert won.draw(rng) is None
    assert played(6).draw(rng) is None  # there is nothing before its end
    share = np.mean([played(100, 0.25).draw(rng) is not None for _ in range(2000)])
    assert 0.2 < share < 0.3


def test_back_to_finds_the_snapshot_and_forgets_what_came_after() -> None:
    retries = played(100)
    moment = retries.back_to(84)
    assert moment is not None and moment.snapshot == 84
    assert retries.actions == list(range(84)) and not retries.lost
    assert retries.back_to(80) is not None  # a second retry may go back further
    assert retries.back_to(4) is None  # too long ago for a snapshot: its moves are played again
    assert retries.actions == list(range(4))


def test_a_retry_that_is_lost_at_once_finds_a_snapshot_too() -> None:
    for moves in range(100, 104):
        retries = played(moves, back=(8, 11))
        for _ in range(2):
            assert retries.back_to((len(retries.actions) - 11) // EVERY * EVERY) is not None


def test_state_holds_all_but_the_snapshots() -> None:
    retries, again = played(100), Retries(1.0, [8, 20])
    again.load(retries.state())
    assert again.opening == 3 and again.actions == list(range(100)) and again.lost
    rngs = np.random.default_rng(1), np.random.default_rng(1)
    assert [retries.draw(rngs[0]) for _ in range(9)] == [again.draw(rngs[1]) for _ in range(9)]


def game(view: object) -> mario.MarioGame:
    return mario.MarioGame(
        "1-1", mario.ACTIONS["right_only"], 4, view, "source", 1.0, 30, None,  # type: ignore[arg-type]
        partial(Retries, 1.0, [15, 40]),
    )  # fmt: skip


def test_from_a_snapshot_and_from_its_moves_the_game_is_the_same() -> None:
    """Twice from the same moment, which playing on must not have changed."""
    views = [
        partial(
            mario.Screen,
            partial(mario.ScreenTranslator, partial(Pixels, True, [84, 84], 4), [0, 0], 2, False),
        ),
        Tiles,
    ]
    for view in views:
        here, there = game(view), game(view)
        here.seed(0)
        here.reset()
        rng, ended = np.random.default_rng(0), False
        while not ended:
            ended = here.step(0)[2]  # walks into the first Goomba
        moves = len(here.retries.actions) // EVERY * EVERY - 16
        for _ in range(2):
            there.set_rng_state(here.rng_state())  # its moves, but none of its snapshots
            np.testing.assert_array_equal(here._back_to(moves), there._back_to(moves))
            for action in rng.integers(2, size=5):
                a, b = here.step(action), there.step(action)
                np.testing.assert_array_equal(a[0], b[0])
                assert a[1:] == b[1:]


def test_rows_that_try_again_come_back_after_a_resume() -> None:
    changes = {"num_envs": 2, "retry": 1.0, "retry_back": [15, 40], "noop_max": 5}
    env, again = make(**changes), make(**changes)
    tick = env.start(5)
    rng = np.random.default_rng(0)
    retried = 0
    for _ in range(90):
        env.send({SOLO: np.zeros(2, dtype=int)})
        tick = env.recv()
        retried += len(tick.episodes)
    assert retried >= 2
    again.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(again.start(0).obs[SOLO], tick.obs[SOLO])
    for _ in range(60):
        actions = {SOLO: rng.integers(2, size=2)}
        env.send(actions)
        again.send(actions)
        a, b = env.recv(), again.recv()
        np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])
        assert a.episodes == b.episodes
    env.close()
    again.close()


def test_evaluation_never_tries_again() -> None:
    env = make(retry=1.0, noop_max=0, evaluation=True)
    start = env.start(0).obs[SOLO]
    for _ in range(90):
        env.send({SOLO: np.zeros(1, dtype=int)})
        tick = env.recv()
        if tick.episodes:
            np.testing.assert_array_equal(tick.obs[SOLO], start)
            break
    assert tick.episodes
    env.close()
