"""The environment: ticks of two seats, ends, masks, resume; one seat beside a rival."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import rlexp
from bomberman_boards import RIGHT, SET, SOURCE, UP, WAIT, env, place
from rlexp import build
from rlexp.envs.bomberman.moments import replay
from rlexp.envs.bomberman.rules import SEATS, Rules
from rlexp.errors import UserError
from rlexp.types import SOLO, Tick

FIRST, SECOND = SEATS


def step(game: Any, first: Any, second: Any) -> Tick:
    game.send({FIRST: np.array(first), SECOND: np.array(second)})
    tick: Tick = game.recv()
    return tick


def test_a_tick_has_both_seats() -> None:
    game = env(4)
    tick = game.start(3)
    assert set(tick.obs) == set(SEATS) and tick.first.all() and tick.legal is None
    before = {seat: obs.copy() for seat, obs in tick.obs.items()}
    after = step(game, [WAIT] * 4, [UP] * 4)
    assert after.steps == 4 and set(after.done) == set(SEATS) and not after.first.any()
    for seat in SEATS:
        move = after.done[seat]
        np.testing.assert_array_equal(move.obs, before[seat])
        np.testing.assert_array_equal(move.next_obs, after.obs[seat])
        assert move.reward.dtype == np.float32 and not move.ended.any()
    assert after.done[FIRST].reward.tolist() == pytest.approx([0.192] * 4)
    assert after.done[SECOND].reward.tolist() == pytest.approx([0.2] * 4)
    assert not np.array_equal(after.obs[FIRST], after.obs[SECOND])


def test_games_restart_and_tell_how_they_ended() -> None:
    game = env(2, limit=30)
    game.start(0)
    board = ["0." + "." * 11] + ["." + "#." * 6, "." * 13] * 4 + ["." + "#." * 6, "." * 12 + "1"]
    place(game.games, 0, board, [(2, 0, 1, 2)], lives=(1, 7))
    game.obs = {seat: game.observe(seat, slice(None)) for seat in SEATS}
    game.watch([0, 1])
    step(game, [WAIT, WAIT], [WAIT, WAIT])
    tick = step(game, [SET, WAIT], [WAIT, WAIT])
    assert tick.done[FIRST].terminated.tolist() == [False, False]  # spared on its own bomb
    tick = step(game, [WAIT, WAIT], [WAIT, WAIT])
    first, second = tick.done[FIRST], tick.done[SECOND]
    assert first.terminated.tolist() == [True, False] and not first.truncated.any()
    np.testing.assert_array_equal(tick.first, first.terminated)
    assert first.info["outcome"].tolist() == [-1, 0] and second.info["outcome"].tolist() == [1, 0]
    assert first.info["is_success"][0] == 0 and second.info["is_success"][0] == 1
    assert (first.next_obs[0] == 3).sum() + (first.next_obs[0] == 6).sum() == 0  # I am out
    assert (tick.obs[FIRST][0] == 3).sum() == 1  # the new game
    (episode,) = tick.episodes
    assert (episode.row, episode.length) == (0, 3)
    assert episode.info["self_hits/player_0"] == 1 and episode.info["lives/player_1"] == 7
    assert episode.returns[FIRST] == pytest.approx(-1.1 - 2 * 0.008)
    assert list(tick.pictures) == [0]
    for _ in range(27):
        tick = step(game, [WAIT] * 2, [WAIT] * 2)
    # A rule ends the game: it terminates, and nothing follows.
    assert tick.done[FIRST].terminated[1] and not tick.done[FIRST].truncated.any()
    assert tick.done[FIRST].reward[1] == pytest.approx(-10.008)
    assert tick.done[FIRST].info["outcome"][1] == 0


@pytest.mark.parametrize("running", [False, True])
def test_rewards_are_changes_of_the_score(running: bool) -> None:
    game = env(3, running_score=running, limit=40)
    game.start(0)
    rng = np.random.default_rng(0)
    total, episodes = np.zeros(3), []
    for _ in range(60):
        tick = step(game, rng.integers(6, size=3), rng.integers(6, size=3))
        move = tick.done[SECOND]
        total += 0 if running else move.reward
        wanted = move.reward if running else total
        np.testing.assert_allclose(wanted, move.info["score"], atol=1e-4)
        for episode in tick.episodes:
            # What is reported is the game's own, whatever is handed out.
            assert episode.returns[SECOND] == pytest.approx(episode.info["score/player_1"])
            episodes.append(episode)
        total[move.ended] = 0
    assert episodes


def test_reward_win_pays_for_lives_at_the_end() -> None:
    game = env(3, reward="win", limit=2)
    game.start(0)
    assert not step(game, [WAIT] * 3, [UP] * 3).done[FIRST].reward.any()
    game.games.lives[:, 1] = 10, 9, 12
    tick = step(game, [WAIT] * 3, [UP] * 3)
    assert tick.done[FIRST].reward.tolist() == [0, 1, -1]
    assert tick.done[SECOND].reward.tolist() == [0, -1, 1]


@pytest.mark.parametrize("turned", [False, True])
def test_the_mask_is_what_costs_no_fee(turned: bool) -> None:
    game = env(16, mask=True, turned=turned)
    tick = game.start(1)
    rng = np.random.default_rng(0)
    blocked = 0
    for _ in range(120):
        assert tick.legal is not None
        actions = {seat: rng.integers(1, 6, size=16) for seat in SEATS}
        # One at a time: the first to move can take the other's cell.
        mover = SEATS[int(rng.integers(2))]
        actions[SEATS[1 - SEATS.index(mover)]][:] = WAIT
        allowed = tick.legal[mover][np.arange(16), actions[mover]]
        before = game.games.place.copy(), game.games.out.copy(), game.games.score.copy()
        game.send(actions)
        tick = game.recv()
        paid = tick.done[mover].reward
        cents = np.round((paid.astype(float) * 1000) % 100).astype(int) % 100
        assert ((cents == 92) == ~allowed).all(), (cents, allowed, before)
        blocked += int((~allowed).sum())
    assert blocked > 100


def test_turned_seats_play_the_same_game() -> None:
    """player_1 turned sees what player_0 sees on a symmetric board, and the same moves suit."""
    game = env(1, turned=True, bricks=0, mask=True)
    tick = game.start(0)
    rng = np.random.default_rng(0)
    for _ in range(40):
        np.testing.assert_array_equal(tick.obs[FIRST], tick.obs[SECOND])
        np.testing.assert_array_equal(tick.legal[FIRST], tick.legal[SECOND])  # type: ignore[index]
        action = rng.choice(np.flatnonzero(tick.legal[FIRST][0]))  # type: ignore[index]
        x, y = game.moment(0).place[0]
        if abs(x - 6) + abs(y - 5) <= 2:  # they would meet, and only one can pass
            break
        tick = step(game, [action], [action])
    assert game.moment(0).step > 5


def test_resume_is_exact_and_a_game_is_its_seed_and_actions() -> None:
    game = env(6, limit=70)
    game.start(5)
    rng = np.random.default_rng(0)
    actions = rng.integers(6, size=(160, 2, 6))
    for both in actions[:60]:
        step(game, *both)
    other = env(6, limit=70)
    other.load_state_dict(copy.deepcopy(game.state_dict()))
    other.start(99)  # gives the pending tick
    codes = [-1, -2, -3, -4]  # rivals, too
    played: list[list[Any]] = [[] for _ in range(6)]
    checked = 0
    started = np.zeros(6, dtype=bool)
    for both in actions[60:]:
        first = both[0].copy()
        first[:4] = codes
        ours, theirs = step(game, first, both[1]), step(other, first, both[1])
        for seat in SEATS:
            np.testing.assert_array_equal(ours.obs[seat], theirs.obs[seat])
            np.testing.assert_array_equal(ours.done[seat].reward, theirs.done[seat].reward)
            assert (ours.done[seat].action >= 0).all()
        for row in range(6):
            played[row].append([int(ours.done[seat].action[row]) for seat in SEATS])
        for episode in ours.episodes:
            row = episode.row
            if started[row]:
                rules = Rules(**(SOURCE | {"limit": 70}))
                last = replay(rules, int(episode.info["seed/player_0"]), np.array(played[row]))[-1]
                assert last.step == episode.length
                assert last.score.tolist() == [episode.info[f"score/{s}"] for s in SEATS]
                checked += 1
            played[row], started[row] = [], True
    assert checked >= 5


def test_one_seat_beside_a_rival() -> None:
    config = rlexp.compose(
        ["env=bomberman", "env.rival=hunter", "env.seat=alternate", "env.mask=true",
         "env.num_envs=4", "env.limit=25"]
    ).config  # fmt: skip
    game: Any = build.env(config.env)
    tick = game.start(0)
    assert list(tick.obs) == [SOLO] and list(game.spec.observation_spaces) == [SOLO]
    assert game.seating.which.tolist() == [0, 1, 0, 1]
    assert [int(np.argwhere(obs[0] == 3)[0][0]) for obs in tick.obs[SOLO]] == [0, 12, 0, 12]
    ends = 0
    for _ in range(60):
        before = game.seating.which.copy()
        game.send({SOLO: np.full(4, RIGHT)})
        tick = game.recv()
        move = tick.done[SOLO]
        assert (move.action == RIGHT).all()  # one's own, not the rival's
        theirs = np.where(before == 0, game.env.games.action[:, 1], game.env.games.action[:, 0])
        running = ~tick.first  # a new game has no moves yet
        np.testing.assert_array_equal(move.info["rival_action"][running], theirs[running])
        for episode in tick.episodes:
            ends += 1
            assert list(episode.returns) == [SOLO]
            assert episode.info["lives"] == move.info["lives"][episode.row]
        np.testing.assert_array_equal(game.seating.which, (before + tick.first) % 2)
    assert ends >= 8
    again: Any = build.env(config.env)
    again.load_state_dict(copy.deepcopy(game.state_dict()))
    np.testing.assert_array_equal(again.start(0).obs[SOLO], tick.obs[SOLO])


@pytest.mark.parametrize("turned", [False, True])
def test_a_teacher_says_what_it_would_do(turned: bool) -> None:
    """Not what is played; as the seat sees the board; also after a resume, and of one seat."""
    keys = ["env=bomberman", "env.num_envs=8", "env.mask=true", f"env.turned={turned}".lower()]
    given = [*keys, "env.teacher=hunter"]
    game: Any = build.env(rlexp.compose(given).config.env)
    assert game.spec.offers == dict.fromkeys(SEATS, ("answers",))
    tick, right = game.start(0), 0
    for _ in range(40):
        legal = tick.legal
        tick = step(game, [WAIT] * 8, [WAIT] * 8)
        for seat in SEATS:
            target = tick.done[seat].info["target"]
            assert legal[seat][np.arange(8), target].all()
            right += int((target == WAIT).sum())
    assert right < 0.1 * 40 * 16  # hunter goes on while these wait
    assert not any("target" in name for episode in tick.episodes for name in episode.info)
    again: Any = build.env(rlexp.compose(given).config.env)
    again.load_state_dict(copy.deepcopy(game.state_dict()))
    again.start(9)
    ours, theirs = (step(one, [WAIT] * 8, [WAIT] * 8) for one in (game, again))
    for seat in SEATS:
        np.testing.assert_array_equal(ours.done[seat].info["target"],
                                      theirs.done[seat].info["target"])  # fmt: skip
    alone: Any = build.env(rlexp.compose([*given, "env.rival=wait"]).config.env)
    assert alone.spec.offers == {SOLO: ("answers",)}
    plain: Any = build.env(rlexp.compose(keys).config.env)
    plain.start(0)
    assert "target" not in step(plain, [WAIT] * 8, [WAIT] * 8).done[FIRST].info


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("env.teacher=huntr", "Did you mean 'hunter'"),
        ("env.width=12", "must be odd"),
        ("env.bricks=108", "room for 107"),
        ("env.seat=player_2", "is not one of player_0, player_1"),
        ("env.rival=huntr", "Did you mean 'hunter'"),
        ("env.strip=true", "needs env.observation=picture"),
        ("env.fuse=0", "must be at least 1"),
    ],
)
def test_mistakes_are_told_in_one_line(wrong: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        build.env(rlexp.compose(["env=bomberman", wrong]).config.env)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert wrong.partition("=")[0] in str(caught.value)
