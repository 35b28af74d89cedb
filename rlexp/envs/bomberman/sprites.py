"""Bomberman's tiles, drawn in code; a picture of any moment for people, at any scale."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from rlexp.envs.bomberman.moments import Board
from rlexp.envs.bomberman.rules import AMMO, BOMB, BRICK, CODES, GLYPHS, PILLAR, PLAYER, RANGE

FLOOR, EDGE = (233, 238, 228), (216, 223, 210)
STONE, MORTAR, CLAY = (92, 101, 112), (205, 186, 160), (176, 146, 112)
BLUE, RED = (0, 114, 178), (213, 60, 20)
BLACK, WHITE, SPARK = (28, 28, 32), (255, 255, 255), (255, 190, 0)
SIZE = 64  # of a sprite as it is drawn, before it is made smaller

# The codes that a seat sees; 8 and 9 only with power-ups.
SEEN = ("free", "pillar", "brick", "me", "rival", "bomb", "bomb under me", "bomb under rival",
        "one bomb more", "longer flames")  # fmt: skip


@lru_cache
def sprites() -> np.ndarray:
    """uint8 [codes, 64, 64, 3], one of each code that a seat sees."""
    return np.stack([_sprite(name) for name in SEEN])


@lru_cache
def scaled(height: int, width: int) -> np.ndarray:
    """The sprites as uint8 [codes, height, width, 3]."""
    return np.stack(
        [cv2.resize(s, (width, height), interpolation=cv2.INTER_AREA) for s in sprites()]
    ).reshape(len(SEEN), height, width, 3)


def _sprite(name: str) -> np.ndarray:
    tile = np.full((SIZE, SIZE, 3), FLOOR, dtype=np.uint8)
    cv2.rectangle(tile, (0, 0), (SIZE - 1, SIZE - 1), EDGE, 1)
    if name == "pillar":
        tile[:] = STONE
        cv2.rectangle(tile, (5, 5), (58, 58), (116, 126, 138), -1)
        cv2.rectangle(tile, (10, 10), (53, 53), (104, 113, 124), -1)
    elif name == "brick":
        tile[:] = MORTAR
        for line, top in enumerate((3, 23, 43)):
            for left in (3 - 22 * (line % 2), 35 - 16 * (line % 2), 51):
                right = left + 28 if left < 51 else 60
                if left < 51 or line % 2:
                    cv2.rectangle(tile, (max(left, 3), top), (min(right, 60), top + 16), CLAY, -1)
    elif "bomb" in name:
        small = name == "one bomb more"
        _bomb(tile, (32, 36), 14 if small else 24)
        if name != "bomb" and not small:
            _figure(tile, BLUE if "me" in name else RED, 15)
    elif name == "longer flames":
        cv2.circle(tile, (32, 36), 18, (240, 120, 20), -1, cv2.LINE_AA)
        cv2.circle(tile, (32, 40), 10, SPARK, -1, cv2.LINE_AA)
    if name in ("one bomb more", "longer flames"):
        cv2.rectangle(tile, (4, 4), (59, 59), (60, 150, 90), 5)
    if name in ("me", "rival"):
        _figure(tile, BLUE if name == "me" else RED, 22)
    return tile


def _bomb(tile: np.ndarray, centre: tuple[int, int], radius: int) -> None:
    x, y = centre
    cv2.line(tile, (x + radius // 2, y - radius // 2), (x + radius, y - radius), (120, 90, 50), 4,
             cv2.LINE_AA)  # fmt: skip
    cv2.circle(tile, centre, radius, BLACK, -1, cv2.LINE_AA)
    cv2.circle(tile, (x - radius // 3, y - radius // 3), radius // 4, (130, 130, 140), -1,
               cv2.LINE_AA)  # fmt: skip
    cv2.circle(tile, (x + radius, y - radius), max(3, radius // 4), SPARK, -1, cv2.LINE_AA)


def _figure(tile: np.ndarray, colour: tuple[int, int, int], radius: int) -> None:
    """A head with eyes on shoulders, as large as its head's radius says."""
    x, y = 32, 12 + radius
    cv2.ellipse(tile, (x, 62), (radius, 62 - y), 0, 180, 360, colour, -1, cv2.LINE_AA)
    cv2.circle(tile, (x, y - 2), radius, colour, -1, cv2.LINE_AA)
    cv2.ellipse(tile, (x, y), (radius * 3 // 4, radius // 2), 0, 0, 360, (250, 224, 196), -1,
                cv2.LINE_AA)  # fmt: skip
    for side in (-1, 1):
        cv2.ellipse(tile, (x + side * radius // 3, y), (max(1, radius // 8), max(2, radius // 4)),
                    0, 0, 360, BLACK, -1, cv2.LINE_AA)  # fmt: skip


def seen_codes(codes: np.ndarray, seat: int) -> np.ndarray:
    """Cells' codes as a seat sees them (SEEN), whatever their shape."""
    return TABLES[seat].take(codes)


def _table(seat: int) -> np.ndarray:
    table = np.zeros(CODES, dtype=np.uint8)
    for code, seen in ((PILLAR, 1), (BRICK, 2), (AMMO, 8), (RANGE, 9), (BOMB, 5)):
        table[code] = seen
    for player in (0, 1):
        table[PLAYER + player] = 3 if player == seat else 4
        table[BOMB + PLAYER + player] = 6 if player == seat else 7
    return table


TABLES = (_table(0), _table(1))


def draw(moment: Board, seat: int = 0, scale: int = 32) -> np.ndarray:
    """RGB uint8 [H, W, 3] of a moment, `scale` pixels a cell, `seat` in blue.

    Above the board `step:NNN | score | score` and both players' lives; on a player's cell what it
    did last (^ v > < b), on a bomb the ticks it has left, over burnt cells the flames.
    """
    codes = seen_codes(moment.codes, seat)
    tiles = scaled(scale, scale)[codes]  # [W, H, scale, scale, 3]
    width, height = codes.shape
    picture = tiles.transpose(1, 2, 0, 3, 4).reshape(height * scale, width * scale, 3).copy()
    _flames(picture, moment, scale)
    for x, y in np.argwhere(moment.timers > 0):
        corner = (int(x * scale + scale * 0.62), int((y + 1) * scale - scale * 0.1))
        _text(picture, str(moment.timers[x, y]), corner, scale / 70, WHITE)
    for player, action in enumerate(moment.action):
        if action >= 0 and moment.lives[player] > 0:
            x, y = moment.place[player]
            corner = (int(x * scale + scale * 0.04), int((y + 1) * scale - scale * 0.08))
            for ink, thick in ((WHITE, 3), (BLACK, 1)):
                _text(picture, GLYPHS[action], corner, scale / 45, ink, thick)
    return np.concatenate([_head(moment, seat, width * scale, scale), picture])


def _flames(picture: np.ndarray, moment: Board, scale: int) -> None:
    for x, y in np.argwhere(moment.flames):
        cell = picture[y * scale : (y + 1) * scale, x * scale : (x + 1) * scale]
        centre = (scale // 2, scale // 2)
        glow = cell.copy()
        cv2.circle(glow, centre, scale * 7 // 16, (250, 140, 20), -1, cv2.LINE_AA)
        cv2.circle(glow, centre, scale // 4, (255, 225, 90), -1, cv2.LINE_AA)
        cell[:] = cv2.addWeighted(glow, 0.75, cell, 0.25, 0)


def _head(moment: Board, seat: int, width: int, scale: int) -> np.ndarray:
    """Two lines above the board; on a narrow one in smaller letters."""
    head = np.full((scale * 3 // 2, width, 3), 255, dtype=np.uint8)
    size, base, left = scale / 50, scale * 5 // 8, scale // 4
    mine, other = (BLUE, RED) if seat == 0 else (RED, BLUE)
    told = [(f"step:{moment.step:03d} | ", BLACK), (f"{moment.score[0]:.5f}", mine),
            (" | ", BLACK), (f"{moment.score[1]:.5f}", other)]  # fmt: skip
    wanted = sum(cv2.getTextSize(part, FONT, size, 1)[0][0] for part, _ in told)
    size *= min(1.0, (width - 2 * left) / wanted)
    for part, colour in told:
        _text(head, part, (left, base), size, colour)
        left += cv2.getTextSize(part, FONT, size, 1)[0][0]
    for player, lives in enumerate(moment.lives):
        colour = BLUE if player == seat else RED
        start = scale // 4 if player == 0 else width // 2 + scale // 4
        _text(head, f"lives {lives}", (start, base + scale * 5 // 8), size, colour)
    return head


FONT = cv2.FONT_HERSHEY_SIMPLEX


def _text(
    picture: np.ndarray,
    text: str,
    corner: tuple[int, int],
    size: float,
    colour: tuple[int, int, int],
    thick: int = 1,
) -> None:
    thick = max(1, round(size * thick))
    cv2.putText(picture, text, corner, FONT, size, colour, thick, cv2.LINE_AA)
