"""Bomberman's 64x64 picture, of many games at once."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box

from rlexp.envs.bomberman.games import Games
from rlexp.envs.bomberman.rules import Rules
from rlexp.envs.bomberman.sprites import BLUE, RED, SEEN, scaled
from rlexp.envs.bomberman.views import View
from rlexp.errors import UserError

SIZE, STRIP = 64, 20
BLACK = len(SEEN)  # the code of what is beside the board


class Picture(View):
    """uint8 [3, 64, 64]: x to the right, y down, one tile a code.

    The board fills the picture, which stretches its tiles. With `strip` they are square and leave
    room below for what codes don't tell: both players' lives, under each column the ticks that the
    first bomb of it has left, in its owner's colour, and along the bottom the steps left.
    """

    def __init__(self, rules: Rules, turned: bool, strip: bool) -> None:
        super().__init__(rules, turned)
        self.strip = strip
        self.space = Box(0, 255, (3, SIZE, SIZE), np.uint8)
        width = height = SIZE
        if strip:
            tile = min(SIZE // rules.width, (SIZE - STRIP) // rules.height)
            width, height = tile * rules.width, tile * rules.height
        if width < 2 * rules.width or height < 2 * rules.height:
            raise UserError(
                f"env.observation=picture: a {rules.width} x {rules.height} board does not fit "
                f"into {SIZE} x {SIZE} pixels" + (" beside env.strip" if strip else "")
            )
        # No tile lies in two of the cells, 4x4 or 8x8, that strided convolutions make.
        tile = width // rules.width
        self.left = (SIZE - width) // 2 // tile * tile
        self.width, self.height = width, height
        self.columns = _edges(rules.width, width, self.left)
        self._words = Words(self.columns, _edges(rules.height, height, 0))

    def see(self, games: Games, seat: int, rows: np.ndarray | slice) -> np.ndarray:
        codes = self.codes(games, seat, rows)
        picture = np.zeros((len(codes), 3, SIZE, SIZE), dtype=np.uint8)
        self._words.draw(codes, picture)
        if self.strip:
            self._strip(picture, games, seat, rows)
        return picture

    def _strip(
        self, picture: np.ndarray, games: Games, seat: int, rows: np.ndarray | slice
    ) -> None:
        rules, room = self.rules, np.arange(SIZE - 4)
        colours = np.array([BLUE, RED], dtype=np.uint8)
        lives = games.lives[rows][:, [seat, 1 - seat]]
        top = SIZE - STRIP + 2
        for who in (0, 1):
            full = room < (lives[:, who] * len(room) / rules.lives)[:, None]  # [N, pixels]
            bar = full[:, None] * colours[who][:, None]
            picture[:, :, top + 3 * who : top + 3 * who + 2, 2:-2] = bar[:, :, None]
        if rules.limit:
            left = room < ((rules.limit - games.steps[rows]) * len(room) / rules.limit)[:, None]
            picture[:, :, -1, 2:-2] = (left * np.uint8(160))[:, None]
        owner, timer, bomb = games.owner[rows], games.timer[rows], games.bomb[rows]
        game, slot = (owner >= 0).nonzero()
        order = np.argsort(-timer[game, slot], kind="stable")  # the most urgent is drawn last
        for n, s in zip(game[order], slot[order], strict=True):
            x = bomb[n, s] // rules.stride - 1
            x = rules.width - 1 - x if self.turned and seat else x
            high = max(1, round(int(timer[n, s]) * 8 / rules.fuse))
            column = slice(self.columns[x], max(self.columns[x] + 1, self.columns[x + 1] - 1))
            colour = colours[0 if owner[n, s] == seat else 1]
            picture[n, :, SIZE - 9 : SIZE - 1, column] = 0
            picture[n, :, SIZE - 1 - high : SIZE - 1, column] = colour[:, None, None]


class Words:
    """Draws boards of tiles into pictures, eight bytes at a time.

    A line of 64 pixels is eight words. What a word shows follows from the codes of the few tiles
    that it touches, and from which line of them: both are looked up at once, which is ten times as
    fast as looking up pixels. Tiles too narrow for that make shorter words.
    """

    def __init__(self, columns: list[int], lines: list[int]) -> None:
        edges = [0, *columns, SIZE]  # what is left and right of the board is a black tile
        owner = np.zeros(SIZE, dtype=np.int64)
        for tile, (a, b) in enumerate(zip(edges, edges[1:], strict=False)):
            owner[a:b] = tile
        self.bytes = next(n for n in (8, 4, 2, 1) if _touched(owner, n) <= 3)
        count = SIZE // self.bytes
        self.kind = {8: np.uint64, 4: np.uint32, 2: np.uint16, 1: np.uint8}[self.bytes]
        base = BLACK + 1
        first = owner[:: self.bytes]
        # [3, words]: the tiles that each word touches, and the code each gives.
        self.tiles = np.stack([np.minimum(first + k, len(columns)) for k in range(3)])
        self.weights = np.array([1, base, base * base])
        lines_of = [(y, lines[y + 1] - lines[y]) for y in range(len(lines) - 1)]
        heights = sorted({height for _, height in lines_of})
        starts = dict(zip(heights, np.cumsum([0, *heights]), strict=False))
        table = np.zeros((3, sum(heights), count, base**3), dtype=self.kind)
        combos = np.stack([np.arange(base**3) // w % base for w in self.weights])
        for height in heights:
            for word in range(count):
                pixels = self._word(owner, edges, word, height, combos)  # [combos, 3, height, n]
                packed = np.ascontiguousarray(pixels).view(self.kind)[..., 0]
                table[:, starts[height] : starts[height] + height, word] = packed.transpose(1, 2, 0)
        self.table = table.reshape(3, -1)
        row_y = np.concatenate([[y] * height for y, height in lines_of])
        kind_line = np.concatenate([starts[h] + np.arange(h) for _, h in lines_of])
        self.row_y = row_y.astype(np.int64)
        self.offset = (kind_line[:, None] * count + np.arange(count)) * base**3
        self.height = len(row_y)

    def _word(
        self, owner: np.ndarray, edges: list[int], word: int, height: int, combos: np.ndarray
    ) -> np.ndarray:
        """uint8 [combos, 3, height, bytes]: this word for every combination of three codes."""
        start = word * self.bytes
        columns = []
        for x in range(start, start + self.bytes):
            tile = int(owner[x])
            width = edges[tile + 1] - edges[tile]
            arts = np.zeros((BLACK + 1, 3, height), dtype=np.uint8)
            arts[:BLACK] = scaled(height, width)[:, :, x - edges[tile]].transpose(0, 2, 1)
            which = tile - int(owner[start])
            columns.append(arts[combos[which]])
        return np.stack(columns, axis=-1)

    def draw(self, codes: np.ndarray, into: np.ndarray) -> None:
        """Boards uint8 [N, width, height] into the upper lines of pictures [N, 3, 64, 64]."""
        words = into.reshape(-1, SIZE).view(self.kind).reshape(len(into), 3, SIZE, -1)
        count, width, height = codes.shape
        padded = np.full((count, height, width + 2), BLACK, dtype=np.int64)
        padded[:, :, 1:-1] = codes.transpose(0, 2, 1)
        combo = sum(padded[:, :, self.tiles[k]] * self.weights[k] for k in range(3))
        for start in range(0, count, 64):  # what fits into a cache
            part = slice(start, start + 64)
            index = combo[part].take(self.row_y, axis=1) + self.offset
            for channel in range(3):
                words[part, channel, : self.height] = self.table[channel].take(index)


def _touched(owner: np.ndarray, count: int) -> int:
    """The most tiles that `count` pixels touch, beginning at a multiple of it."""
    parts = owner.reshape(-1, count)
    return int((parts[:, -1] - parts[:, 0]).max()) + 1


def _edges(count: int, size: int, left: int) -> list[int]:
    """Where `count` tiles begin and end in a line of `size` pixels."""
    return [left + round(i * size / count) for i in range(count + 1)]
