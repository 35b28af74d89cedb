"""What both seats see of boards drawn by hand: codes, planes, pictures; and what people see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bomberman_boards import SOURCE, WAIT, drawn, place, step
from rlexp.envs.bomberman.games import Games
from rlexp.envs.bomberman.moments import moment
from rlexp.envs.bomberman.picture import Picture
from rlexp.envs.bomberman.rules import SEATS, Rules
from rlexp.envs.bomberman.sprites import BLUE, RED, draw, scaled
from rlexp.envs.bomberman.views import Codes, Planes, View
from rlexp.errors import UserError

BOARD = ["0.x..", ".#.#.", ".....", ".#.#.", "....1"]
BOMBS = [(0, 0, 0, 3), (4, 2, 1, 6)]


def seen(view: View, games: Games, seat: int) -> np.ndarray:
    found: np.ndarray = view.see(games, seat, slice(None))
    assert found.shape == (games.count, *view.space.shape) and found.dtype == np.uint8
    assert all(view.space.contains(one) for one in found)
    return found[0]


def test_codes_of_both_seats() -> None:
    games = drawn(BOARD, BOMBS)
    view = Codes(games.rules, turned=False)
    mine = [[6, 0, 2, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 5], [0, 1, 0, 1, 0], [0, 0, 0, 0, 4]]
    theirs = [[7, 0, 2, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 5], [0, 1, 0, 1, 0], [0, 0, 0, 0, 3]]
    # Drawn line by line; x is the first index.
    assert seen(view, games, 0)[0].T.tolist() == mine
    assert seen(view, games, 1)[0].T.tolist() == theirs
    assert view.space.shape == (1, 5, 5) and view.space.high.max() == 7
    turned = Codes(games.rules, turned=True)
    assert seen(turned, games, 0)[0].T.tolist() == mine
    assert seen(turned, games, 1)[0].T.tolist() == [line[::-1] for line in theirs[::-1]]


def test_planes() -> None:
    games = drawn(BOARD, BOMBS, lives=(10, 5))
    games.steps[0] = 200
    planes = seen(Planes(games.rules, turned=False), games, 0).transpose(0, 2, 1)
    codes = seen(Codes(games.rules, turned=False), games, 0)[0].T
    for plane, wanted in ((0, [1]), (1, [2]), (2, [3, 6]), (3, [4, 7])):
        np.testing.assert_array_equal(planes[plane] == 255, np.isin(codes, wanted))
        assert set(np.unique(planes[plane])) <= {0, 255}
    # The bomb of 3 ticks: 6 / 8 of the urgency; that of 6: 3 / 8.
    assert planes[4][0, 0] == 255 * 6 // 8 and (planes[4] > 0).sum() == 1
    assert planes[5][2, 4] == 255 * 3 // 8 and (planes[5] > 0).sum() == 1
    soon, later = planes[6] == 191, planes[6] == 95
    # It stops before the brick; where both burn, the sooner counts.
    assert soon.astype(int).tolist() == [
        [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]
    ]  # fmt: skip
    assert later.astype(int).tolist() == [
        [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]
    ]  # fmt: skip
    wanted = {7: 255, 8: 127, 9: 127, 10: 127, 11: 191}
    for plane, value in wanted.items():
        assert (planes[plane] == value).all(), plane
    other = seen(Planes(games.rules, turned=True), games, 1)
    plain = seen(Planes(games.rules, turned=False), games, 1)
    np.testing.assert_array_equal(other, plain[:, ::-1, ::-1])
    np.testing.assert_array_equal(plain[2], planes[3].T)
    assert (plain[7] == 127).all() and (plain[8] == 255).all()


def test_centred_planes() -> None:
    games = drawn(BOARD, BOMBS)
    me, theirs = Planes(games.rules, True, centred=True), (3, 3)
    # Board and wall on a torus of 6 x 6, rolled: the middle is at (3, 3), a line of wall at 2.
    for seat in (0, 1):
        found, plain = seen(me, games, seat), seen(Planes(games.rules, True), games, seat)
        assert found[2][theirs] == 255 and (found[2] > 0).sum() == 1
        # Seen turned, both begin in the corner at the left above: the board follows from there.
        rolled = np.roll(found, (-2, -2), axis=(1, 2))
        assert (rolled[0, 0] == 255).all() and (rolled[0, :, 0] == 255).all()
        np.testing.assert_array_equal(rolled[:, 1:, 1:], plain)


def test_centred_planes_follow_the_player() -> None:
    games = drawn([".....", ".#.#.", "..0..", ".#.#.", "....1"])
    view = Planes(games.rules, False, centred=True)
    before = seen(view, games, 0)
    assert before[2].argmax() == 3 * 6 + 3 and before[3].argmax() == 5 * 6 + 5
    step(games, 3, WAIT)  # to the right: all else comes nearer on that side
    after = seen(view, games, 0)
    assert after[2].argmax() == 3 * 6 + 3 and after[3].argmax() == 4 * 6 + 5
    np.testing.assert_array_equal(after[0], np.roll(before[0], -1, axis=0))


def slowly(codes: np.ndarray, left: int, width: int, height: int) -> np.ndarray:
    """The board's part of a picture [64, 64, 3], tile by tile."""
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    columns, lines = codes.shape
    for x in range(columns):
        for y in range(lines):
            a, b = (left + round(k * width / columns) for k in (x, x + 1))
            c, d = (round(k * height / lines) for k in (y, y + 1))
            picture[c:d, a:b] = scaled(d - c, b - a)[codes[x, y]]
    return picture


@pytest.mark.parametrize(("width", "height"), [(13, 11), (5, 5), (9, 7), (21, 15), (31, 31)])
@pytest.mark.parametrize("seat", [0, 1])
def test_pictures_are_their_tiles(width: int, height: int, seat: int) -> None:
    changes = {"width": width, "height": height, "bricks": width * height // 5}
    rules = Rules(**(SOURCE | changes))
    games = Games(rules, 3)
    games.start(np.arange(3), np.arange(3))
    rng = np.random.default_rng(0)
    view, codes = Picture(rules, False, False), Codes(rules, turned=False)
    for _ in range(12):
        games.step(rng.integers(6, size=(3, 2)))
        pictures = view.see(games, seat, np.array([2, 0]))
        for picture, row in zip(pictures, (2, 0), strict=True):
            tiles = codes.see(games, seat, np.array([row]))[0, 0]
            np.testing.assert_array_equal(picture.transpose(1, 2, 0), slowly(tiles, 0, 64, 64))


def test_the_strip_shows_what_codes_hide() -> None:
    rules = Rules(**SOURCE)
    games = Games(rules, 1)
    board = [list("." * 13) for _ in range(11)]
    for y in range(1, 11, 2):
        board[y][1::2] = "#" * 6
    board[0][0], board[10][12] = "0", "1"
    place(games, 0, ["".join(line) for line in board], [(4, 0, 0, 8), (8, 2, 1, 2)], (10, 5))
    games.steps[0] = 400
    view = Picture(rules, turned=False, strip=True)
    picture = seen(view, games, 0).transpose(1, 2, 0)
    tiles = seen(Codes(rules, turned=False), games, 0)[0]
    np.testing.assert_array_equal(picture[:44], slowly(tiles, 4, 52, 44)[:44])
    assert (picture[46:48, 2:62] == BLUE).all() and (picture[49:51, 2:32] == RED).all()
    assert not picture[49:51, 32:].any() and not picture[51:53].any()
    # Columns of four pixels, a gap between them; a pixel up for each tick.
    assert (picture[55:63, 20:23] == BLUE).all() and not picture[54, 20].any()
    assert (picture[61:63, 36:39] == RED).all() and not picture[55:61, 36:39].any()
    assert (picture[63, 2:32] == 160).all() and not picture[63, 32:].any()
    rival = seen(view, games, 1).transpose(1, 2, 0)
    assert (rival[46:48, 2:32] == BLUE).all() and not rival[46:48, 32:].any()
    assert (rival[61:63, 36:39] == BLUE).all()
    turned = seen(Picture(rules, turned=True, strip=True), games, 1).transpose(1, 2, 0)
    assert (turned[61:63, 20:23] == BLUE).all() and (turned[55:63, 36:39] == RED).all()


def test_boards_too_large_for_a_picture() -> None:
    rules = Rules(**(SOURCE | {"width": 33}))
    with pytest.raises(UserError, match="33 x 11 board does not fit into 64 x 64 pixels"):
        Picture(rules, False, False)
    rules = Rules(**(SOURCE | {"height": 23}))
    Picture(rules, False, False)
    with pytest.raises(UserError, match="beside env.strip"):
        Picture(rules, False, True)


@pytest.mark.parametrize("scale", [8, 32])
def test_pictures_for_people(scale: int) -> None:
    games = drawn(BOARD, BOMBS)
    start = draw(moment(games, 0), 0, scale)
    assert start.shape == (5 * scale + scale * 3 // 2, 5 * scale, 3) and start.dtype == np.uint8
    before = moment(games, 0)
    for _ in range(3):
        step(games)
    assert moment(games, 0).flames.any()
    assert not np.array_equal(draw(moment(games, 0), 0, scale), start)
    np.testing.assert_array_equal(draw(before, 0, scale), start)  # any past board can be drawn
    assert not np.array_equal(draw(before, 1, scale), start)  # blue is whose eyes one looks through


def test_the_line_and_the_glyphs(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlexp.envs.bomberman import sprites

    written: list[tuple[str, Any]] = []
    real = sprites._text

    def write(picture: np.ndarray, text: str, *others: Any) -> None:
        written.append((text, others[2]))
        real(picture, text, *others)

    monkeypatch.setattr(sprites, "_text", write)
    games = drawn(["0....", ".#.#.", ".....", ".#.#.", "....1"])
    draw(moment(games, 0))
    told = [text for text, _ in written]
    assert "".join(told[:4]) == "step:000 | 0.00000 | 0.00000"
    for actions, glyphs in (((3, 4), "><"), ((2, 1), "v^"), ((WAIT, 5), "b"), ((5, WAIT), "b")):
        games.step(np.array([actions]))
        written.clear()
        draw(moment(games, 0))
        drawn_glyphs = [text for text, _ in written if text in ("^", "v", ">", "<", "b")]
        assert "".join(drawn_glyphs[::2]) == glyphs  # each with an outline
    line = "".join(text for text, _ in written if "lives" not in text and len(text) > 2)
    assert line.startswith("step:004 | -0.01600 | -0.01600")
    assert {colour for text, colour in written if text == "-0.01600"} == {BLUE, RED}
    assert SEATS == ("player_0", "player_1")
