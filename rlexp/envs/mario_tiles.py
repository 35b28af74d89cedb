"""What surrounds Mario, read from the game's memory: a grid of tiles and enemies, and his motion.

Addresses are those of the public map of the game's memory. The game keeps what can be touched as
two pages of 13 rows of 16 tiles from 0x500 on, which the screen scrolls through in turn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS, BEHIND, AHEAD = 13, 3, 10
"""Of the grid: the screen's rows below the score; columns left of Mario's own and right of it."""
COLUMNS = BEHIND + 1 + AHEAD
TILE, TOP, PAGE = 16, 32, 256
SLOTS = 5
NUMBERS = 7
SIZE = ROWS * COLUMNS + 4 * SLOTS + NUMBERS

# Coins can be touched too, but nobody stands on them.
COINS = (0xC2, 0xC3)


def grid(ram: np.ndarray) -> np.ndarray:
    """int8 [13, 14]: 1 where something solid is, -1 an enemy, else 0. Mario's column is the fourth.

    Columns right of the screen are 0: there the memory still holds what was left behind.
    """
    ram = np.asarray(ram)
    x, left = _word(ram, 0x6D, 0x86), _word(ram, 0x71A, 0x71C)
    columns = (x + TILE // 2) // TILE + np.arange(-BEHIND, AHEAD + 1)
    tiles = ram[0x500:0x6A0].reshape(2, ROWS, TILE)
    found = tiles[columns // TILE % 2, :, columns % TILE].T
    solid = (found != 0) & ~np.isin(found, COINS)
    solid &= (columns >= left // TILE) & (columns * TILE < left + PAGE)
    cells = solid.astype(np.int8)
    for ex, ey in enemies(ram):
        row, column = (ey + TILE // 2 - TOP) // TILE, (ex + TILE // 2) // TILE - columns[0]
        if 0 <= ex - left < PAGE and 0 <= row < ROWS and 0 <= column < COLUMNS:
            cells[row, column] = -1
    return cells


def enemies(ram: np.ndarray) -> list[tuple[int, int]]:
    """(x in the level, y on the screen) of those that live, in the game's order."""
    slots = (slot for slot in range(SLOTS) if ram[0x0F + slot])
    return [(_word(ram, 0x6E + slot, 0x87 + slot), int(ram[0xCF + slot])) for slot in slots]


def _word(ram: np.ndarray, high: int, low: int) -> int:
    return int(ram[high]) * PAGE + int(ram[low])


def _signed(byte: Any) -> int:
    return int(byte) - 256 if byte > 127 else int(byte)


class Tiles:
    """The game's memory → float32 [209], all within about -2..2.

    The grid row by row; of each enemy slot (lives, x and y from Mario in tiles / 8, its speed);
    Mario's place within his tile, height, speeds, whether he stands, whether A is held, power.
    """

    shape = (SIZE,)

    def __init__(self, env: Any) -> None:
        self.ram: np.ndarray = env.ram

    def first(self) -> np.ndarray:
        return self.look()

    def next(self, action: int) -> np.ndarray:
        return self.look()

    def seen(self) -> None:
        """Nothing: the memory tells all."""

    def back_to(self, seen: None) -> np.ndarray:
        return self.look()

    def look(self) -> np.ndarray:
        ram = np.array(self.ram)
        x, y = _word(ram, 0x6D, 0x86), int(ram[0xCE])
        seen = np.zeros((SLOTS, 4), dtype=np.float32)
        for slot in range(SLOTS):
            if ram[0x0F + slot]:
                dx = _word(ram, 0x6E + slot, 0x87 + slot) - x
                dy = int(ram[0xCF + slot]) - y
                seen[slot] = 1, dx / 128, dy / 128, _signed(ram[0x58 + slot]) / 16
        seen[:, 1:3] = seen[:, 1:3].clip(-2, 2)
        mario = (
            x % TILE / TILE, (y + PAGE * (int(ram[0xB5]) - 1)) / PAGE, _signed(ram[0x57]) / 40,
            _signed(ram[0x9F]) / 5, ram[0x1D] == 0, bool(ram[0x0D] & 0x80), ram[0x756] / 2,
        )  # fmt: skip
        parts = grid(ram).ravel(), seen.ravel(), np.array(mario)
        return np.concatenate(parts).astype(np.float32).clip(-2, 2)
