"""Every rule of Bomberman on boards drawn by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bomberman_boards import DOWN, LEFT, RIGHT, SET, SOURCE, UP, WAIT, code, drawn, step
from rlexp.envs.bomberman.games import Games, inner
from rlexp.envs.bomberman.moments import moment, replay
from rlexp.envs.bomberman.rules import Rules
from rlexp.errors import UserError

OPEN = ["0....", ".#.#.", ".....", ".#.#.", "....1"]


def test_the_start() -> None:
    games = Games(Rules(**SOURCE), 64)
    games.start(np.arange(64), np.arange(64))
    board = inner(games.board, games.rules)
    assert ((board == 2).sum((1, 2)) == 40).all()
    assert (board[:, 1::2, 1::2] == 1).all() and (board == 1).sum() == 64 * 30
    assert (board[:, 0, 0] == 10).all() and (board[:, 12, 10] == 11).all()
    for x, y in ((0, 1), (1, 0), (12, 9), (11, 10)):
        assert (board[:, x, y] == 0).all()
    assert len({b.tobytes() for b in board}) == 64  # other seeds, other bricks
    share = (board == 2).mean(0)
    share[1::2, 1::2] = share[0, 0] = share[-1, -1] = 40 / 107
    assert share[2:-2].min() > 0.1 and share.max() < 0.65  # of 107 cells any as likely


def test_moves_and_their_fees() -> None:
    games = drawn(["0.x..", ".#.#.", ".....", ".#.#.", "....1"])
    assert step(games, UP, DOWN) == (-0.008, -0.008)  # the edge
    assert step(games, LEFT, RIGHT) == (-0.008, -0.008)
    assert step(games, RIGHT, UP) == (0, 0)
    assert (code(games, 1, 0), code(games, 0, 0), code(games, 4, 3)) == (10, 0, 11)
    assert step(games, DOWN, LEFT) == (-0.008, -0.008)  # pillars
    assert step(games, RIGHT, DOWN) == (-0.008, 0)  # a brick
    reward, _ = games.step(np.array([[WAIT, LEFT]]))
    np.testing.assert_allclose(reward[0], [-0.008, 0])


def test_player_0_moves_first() -> None:
    games = drawn(["0.1..", ".#.#.", ".....", ".#.#.", "....."])
    assert step(games, RIGHT, LEFT) == (0, -0.008)
    assert (code(games, 1, 0), code(games, 2, 0)) == (10, 11)
    games = drawn(["01...", ".#.#.", ".....", ".#.#.", "....."])
    assert step(games, RIGHT, RIGHT) == (-0.008, 0)  # it was still there when 0 moved
    assert step(games, RIGHT, RIGHT) == (0, 0)


def test_a_bomb_explodes_on_its_eighth_tick_and_blocks_till_then() -> None:
    games = drawn(OPEN)
    assert step(games, SET) == (0, 0)
    assert code(games, 0, 0) == 110 and games.timer[0, 0] == 7
    assert step(games, SET) == (-0.008, 0)  # one lies here already
    step(games, RIGHT)
    assert code(games, 0, 0) == 100
    assert step(games, LEFT) == (-0.008, 0)
    for _ in range(3):
        step(games)
    assert games.timer[0, 0] == 1 and games.lives[0, 0] == 10
    assert step(games) == (-1.0, 0)  # the eighth step
    assert code(games, 0, 0) == 0 and games.lives[0].tolist() == [9, 10]
    assert games.out[0].tolist() == [0, 0] and games.self_hits[0].tolist() == [1, 0]


def test_two_bombs_each_and_a_limit_for_both() -> None:
    games = drawn(OPEN)
    for move in (SET, RIGHT, SET, RIGHT):
        assert step(games, move) == (0, 0)
    assert step(games, SET) == (-0.008, 0)  # two are out
    games = drawn(OPEN, max_bombs=1)
    assert step(games, SET, SET) == (0, -0.008)  # one is on the board
    games = drawn(OPEN)
    for move in (SET, RIGHT, RIGHT, DOWN, DOWN, SET, LEFT, WAIT):
        step(games, move)
    assert games.out[0, 0] == 1 and games.owner[0].tolist()[:2] == [-1, 0]
    step(games, SET)
    assert games.owner[0].tolist()[:2] == [0, 0]  # the first free slot is taken again


def test_flames_stop_at_pillars_bricks_and_the_reach() -> None:
    board = ["..x..x...", ".#.#.#.#.", "0...x....", ".#.#.#.#.", ".........", ".#.#.#.#.",
             "........1"]  # fmt: skip
    games = drawn(board, [(2, 2, 1, 1)], reach=2)
    step(games)
    flames = inner(games.flames, games.rules)[0]
    burnt = {(int(x), int(y)) for x, y in np.argwhere(flames)}
    # Up to the brick, which goes; down as far as it reaches; right to a brick; left onto player 0.
    assert burnt == {(2, 2), (2, 1), (2, 0), (2, 3), (2, 4), (3, 2), (4, 2), (1, 2), (0, 2)}
    assert code(games, 2, 0) == code(games, 4, 2) == 0 and code(games, 5, 0) == 2
    assert games.lives[0].tolist() == [9, 10]
    # On an odd line both neighbours are pillars.
    games = drawn(OPEN, [(2, 1, 0, 1)])
    step(games)
    assert not inner(games.flames, games.rules)[0][[1, 3], 1].any()


def test_flames_pass_over_players_and_bombs() -> None:
    games = drawn(["0.1.x", ".#.#.", ".....", ".#.#.", "....."], [(1, 0, 0, 1)])
    assert step(games) == (1 - 1.0, -0.1)
    assert code(games, 4, 0) == 0  # the brick behind player 1
    games = drawn([".....", ".#.#.", "0....", ".#.#.", "....1"], [(0, 0, 1, 1), (2, 0, 1, 5)])
    step(games)
    assert inner(games.flames, games.rules)[0][:, 0].tolist() == [True, True, False, True, True]


@pytest.mark.parametrize("owner", [0, 1])
def test_what_hits_pay(owner: int) -> None:
    """Both stand in the flames of one bomb."""
    games = drawn(["0.1..", ".#.#.", ".....", ".#.#.", "....."], [(1, 0, owner, 1)])
    paid = step(games)
    assert paid[owner] == 1 - 1.0 and paid[1 - owner] == -0.1
    assert games.lives[0].tolist() == [9, 9]
    assert games.hits[0, owner] == 1 and games.self_hits[0, owner] == 1


@pytest.mark.parametrize("owner", [0, 1])
def test_what_the_rivals_own_hits_pay(owner: int) -> None:
    """Nobody's hit on the other pays that; only who stood by while the other burnt itself."""
    board = ["0.1..", ".#.#.", ".....", ".#.#.", "....."]
    games = drawn(board, [(1, 0, owner, 1)], rival_self_hit_reward=0.5)
    paid = step(games)
    assert paid[owner] == 1 - 1.0 and paid[1 - owner] == -0.1 + 0.5


def test_the_last_life() -> None:
    board = ["0.1..", ".#.#.", ".....", ".#.#.", "....."]
    games = drawn(board, [(3, 0, 0, 1)], lives=(10, 1))
    reward, over = games.step(np.array([[DOWN, WAIT]]))
    np.testing.assert_allclose(reward[0], [1 + 0.1, -0.1 - 0.1 - 0.008])
    assert over[0] and code(games, 2, 0) == 0 and games.lives[0].tolist() == [10, 0]
    games = drawn(board, [(3, 0, 1, 1)], lives=(10, 1))  # by one's own bomb
    reward, over = games.step(np.array([[DOWN, WAIT]]))
    np.testing.assert_allclose(reward[0], [0, -1 - 0.1 - 0.008])
    assert over[0]
    games = drawn(board, [(1, 0, 0, 1)], lives=(1, 1))  # both at once
    reward, over = games.step(np.array([[WAIT, WAIT]]))
    np.testing.assert_allclose(reward[0], [1 + 0.1 - 1 - 0.1 - 0.008, -0.1 - 0.1 - 0.008])
    assert over[0]
    # A second bomb of the same tick finds nobody left.
    games = drawn(board, [(1, 0, 0, 1), (3, 0, 0, 1)], lives=(10, 1))
    assert step(games, DOWN)[0] == 1.1 and games.hits[0, 0] == 1


def test_on_a_bomb_one_is_hit_by_that_bomb_alone() -> None:
    board = [".....", ".#.#.", "....0", ".#.#.", "1...."]
    games = drawn(board, [(4, 2, 0, 5), (4, 0, 1, 1)])
    assert step(games) == (0, 0)  # spared by the flame from above, which sets the own bomb off
    assert games.timer[0, 0] == 1 and games.lives[0].tolist() == [10, 10]
    assert step(games) == (-1.0, 0)


def test_a_chain_takes_a_tick_for_each_bomb() -> None:
    """Three bombs in a row of pillars' gaps; player 1 stands in the flames of the last alone."""
    board = ["0......", ".#.#.#.", ".......", ".#.#.#.", "......1"]
    bombs = [(6, 0, 0, 8), (2, 0, 1, 8), (2, 4, 1, 1)]
    games = drawn(board, bombs)
    games.place[0, 0] = games.rules.cell(0, 2)  # out of all flames
    inner(games.board, games.rules)[0, 0, 0], inner(games.board, games.rules)[0, 0, 2] = 0, 10
    assert step(games) == (0, -1.0)  # (2, 4): along the last line, and up to (2, 0)
    assert games.timer[0].tolist()[:2] == [7, 1]
    assert step(games) == (0, 0)
    assert games.timer[0, 0] == 1
    # The third explodes as player 0's, whoever began the chain.
    assert step(games) == (1.0, -0.1)


@pytest.mark.parametrize(("at_once", "ticks"), [(False, 2), (True, 1)])
def test_chains_at_once_are_the_sources_mistake(at_once: bool, ticks: int) -> None:
    board = ["0....", ".#.#.", ".....", ".#.#.", "....1"]
    games = drawn(board, [(2, 2, 0, 1), (4, 2, 0, 8)], chain_at_once=at_once)
    for _ in range(ticks):
        assert games.lives[0, 1] == 10
        step(games)
    assert games.lives[0, 1] == 9
    # A bomb in an earlier slot has ticked already, in either case.
    games = drawn(board, [(4, 2, 0, 8), (2, 2, 0, 1)], chain_at_once=at_once)
    step(games)
    assert games.lives[0, 1] == 10 and games.timer[0, 0] == 1
    step(games)
    assert games.lives[0, 1] == 9


def test_slots_explode_in_order() -> None:
    """The second passes where the first has broken the brick."""
    board = ["0....", ".#.#.", "..x..", ".#.#.", "....1"]
    bombs = [(2, 0, 0, 1), (2, 4, 0, 1)]
    games = drawn([board[0], *board[1:4], ".1..."], [*bombs])
    step(games)
    flames = inner(games.flames, games.rules)[0]
    assert flames[2].all() and code(games, 2, 2) == 0


def test_the_bonus_for_coming_closer() -> None:
    games = drawn(OPEN)
    games.closest[0] = 999**2
    assert step(games) == (0.2, 0.2)  # the first step always pays
    assert step(games) == (0, 0)  # not closer
    assert step(games, RIGHT) == (0.2, 0.2)
    assert step(games, LEFT) == (0, 0) and step(games, RIGHT) == (0, 0)  # not the lowest
    assert step(games, RIGHT, LEFT) == (0.2, 0.2)


def test_the_eight_hundredth_step() -> None:
    """-10 for both and the fees, but neither a tick nor a bonus."""
    games = drawn(["0.1..", ".#.#.", ".....", ".#.#.", "....."], [(1, 0, 0, 1)])
    games.steps[0], games.closest[0] = 798, 999**2
    games.timer[0, 0] = 2
    reward, over = games.step(np.array([[LEFT, RIGHT]]))
    assert not over[0] and games.steps[0] == 799
    games.closest[0] = 999**2
    reward, over = games.step(np.array([[WAIT, SET]]))
    np.testing.assert_allclose(reward[0], [-10.008, -10])
    assert over[0] and games.lives[0].tolist() == [10, 10]
    assert code(games, 1, 0) == 100 and games.timer[0, 0] == 1
    games = drawn(OPEN, limit=None)
    games.steps[0] = 10_000
    assert step(games) == (0, 0)


def test_invulnerable_after_a_hit() -> None:
    """A bomb explodes beside player 0 on each of three ticks."""
    for ticks, lost in ((0, 3), (1, 2), (2, 1)):
        games = drawn(OPEN, invulnerable=ticks)
        for _ in range(3):
            games.owner[0, 0], games.timer[0, 0], games.out[0, 1] = 1, 1, 1
            games.bomb[0, 0] = games.rules.cell(2, 0)
            inner(games.board, games.rules)[0, 2, 0] = 100
            step(games)
        assert games.lives[0, 0] == 10 - lost, ticks
    # Two bombs of one tick.
    for ticks, lost in ((0, 2), (1, 1)):
        games = drawn(OPEN, [(2, 0, 1, 1), (0, 2, 1, 1)], invulnerable=ticks)
        step(games)
        assert games.lives[0, 0] == 10 - lost


def test_power_ups() -> None:
    rules = Rules(**(SOURCE | {"power_ups": 0.5, "reach": 1}))
    games = Games(rules, 200)
    games.start(np.arange(200), np.arange(200))
    assert abs((games.hidden > 0).sum() / (200 * 40) - 0.5) < 0.02
    assert abs((games.hidden == 3).sum() / (200 * 40) - 0.25) < 0.02
    assert (games.board[games.hidden > 0] == 2).all()
    games = drawn(["0x...", ".#.#.", ".....", ".#.#.", "....1"], [(2, 0, 1, 1)],
                  power_ups=1.0, reach=1)  # fmt: skip
    games.hidden[0, games.rules.cell(1, 0)] = 3
    step(games)
    assert code(games, 1, 0) == 3 and games.lives[0, 0] == 10
    assert step(games, RIGHT) == (0, 0)
    assert games.ammo[0].tolist() == [3, 2] and code(games, 1, 0) == 10
    inner(games.board, games.rules)[0, 2, 0] = 4
    step(games, RIGHT)
    assert games.reach[0].tolist() == [2, 1]
    step(games, SET)
    for move in (RIGHT, RIGHT, *[WAIT] * 5):
        step(games, move)
    assert games.lives[0, 0] == 9  # two cells away
    inner(games.board, games.rules)[0, 0, 1] = 4  # what lies open burns
    games.owner[0, 0], games.bomb[0, 0] = 1, games.rules.cell(0, 0)
    games.timer[0, 0], games.out[0, 1] = 1, 1
    inner(games.board, games.rules)[0, 0, 0] = 100
    step(games)
    assert code(games, 0, 1) == 0


def test_a_game_follows_from_its_seed_and_the_actions() -> None:
    rules, rng = Rules(**SOURCE), np.random.default_rng(0)
    games = Games(rules, 5)
    games.start(np.arange(5), np.array([7, 8, 9, 2**32 - 1, 0]))
    actions = rng.integers(6, size=(150, 5, 2))
    moments = [moment(games, 3)]
    for both in actions:
        games.step(both)
        moments.append(moment(games, 3))
    again = replay(rules, 2**32 - 1, actions[:, 3])
    assert len(again) == 151
    for ours, theirs in zip(moments, again, strict=True):
        assert ours.step == theirs.step
        for name in ("codes", "timers", "flames", "place", "lives", "score", "action"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 12}, "env.width=12: sides must be odd, 3 at least"),
        ({"height": 1}, "env.height=1"),
        ({"bricks": 108}, "env.bricks=108: a 13 x 11 board has room for 107"),
        ({"width": 3, "height": 3, "bricks": 3}, "room for 2"),
    ],
)
def test_boards_that_cannot_be(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        Rules(**(SOURCE | changes))
