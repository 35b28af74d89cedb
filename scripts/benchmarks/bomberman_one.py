"""One game of Bomberman in plain Python objects, rule by rule: what the fast one is compared with.

It shares no code with rlexp: `tests/envs/bomberman` plays both side by side, and bomberman.py times
them. The board is indexed (x, y); codes are 0 free, 1 pillar, 2 brick, 10 + i player i, and 100
more where a bomb lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FREE, PILLAR, BRICK, PLAYER, BOMB = 0, 1, 2, 10, 100
MOVES = {1: (0, -1), 2: (0, 1), 3: (1, 0), 4: (-1, 0)}


@dataclass
class Player:
    x: int
    y: int
    lives: int
    score: float = 0.0
    out: int = 0
    hits: int = 0
    self_hits: int = 0


@dataclass
class Bomb:
    x: int
    y: int
    owner: int
    left: int
    ticked: bool = False


class Game:
    """Two players, any odd board; `bricks` are (x, y) pairs."""

    def __init__(
        self,
        bricks: list[tuple[int, int]],
        width: int = 13,
        height: int = 11,
        lives: int = 10,
        bombs: int = 2,
        slots: int = 20,
        reach: int = 14,
        fuse: int = 8,
        limit: int = 800,
        chain_at_once: bool = False,
    ) -> None:
        self.width, self.height = width, height
        self.bombs, self.reach, self.fuse, self.limit = bombs, reach, fuse, limit
        self.chain_at_once = chain_at_once
        self.board = np.zeros((width, height), dtype=int)
        for x in range(width):
            for y in range(height):
                if x % 2 == 1 and y % 2 == 1:
                    self.board[x, y] = PILLAR
        for x, y in bricks:
            self.board[x, y] = BRICK
        self.players = [Player(0, 0, lives), Player(width - 1, height - 1, lives)]
        for i, player in enumerate(self.players):
            self.board[player.x, player.y] = PLAYER + i
        self.slots: list[Bomb | None] = [None] * slots
        self.closest = 999.0
        self.steps = 0
        self.over = False
        self.history = [self.board.copy()]

    def step(self, actions: tuple[int, int]) -> list[float]:
        """What the step paid each player."""
        before = [player.score for player in self.players]
        self.steps += 1
        for i, action in enumerate(actions):
            if action in MOVES:
                self._move(i, action)
            elif action == 5:
                self._set(i)
        if self.steps >= self.limit:
            for player in self.players:
                player.score -= 10
            self.over = True
        else:
            self._tick()
            self._closer()
            self.over = sum(player.lives > 0 for player in self.players) <= 1
        for i, action in enumerate(actions):
            if action == 0:
                self.players[i].score -= 0.008
        self.history.append(self.board.copy())
        return [player.score - old for player, old in zip(self.players, before, strict=True)]

    def _inside(self, x: int, y: int) -> bool:
        return 0 <= x < self.width and 0 <= y < self.height

    def _move(self, i: int, action: int) -> None:
        player = self.players[i]
        dx, dy = MOVES[action]
        x, y = player.x + dx, player.y + dy
        if not self._inside(x, y) or self.board[x, y] != FREE:
            player.score -= 0.008
            return
        self.board[player.x, player.y] -= PLAYER + i
        self.board[x, y] = PLAYER + i
        player.x, player.y = x, y

    def _set(self, i: int) -> None:
        player = self.players[i]
        free = [slot for slot, bomb in enumerate(self.slots) if bomb is None]
        if player.out >= self.bombs or not free or self.board[player.x, player.y] >= BOMB:
            player.score -= 0.008
            return
        self.slots[free[0]] = Bomb(player.x, player.y, i, self.fuse)
        self.board[player.x, player.y] += BOMB
        player.out += 1

    def _tick(self) -> None:
        for bomb in self.slots:
            if bomb is not None:
                bomb.ticked = False
        if not self.chain_at_once:
            # Every bomb's clock goes first: what a flame sets off waits for the next tick.
            for bomb in self.slots:
                if bomb is not None:
                    bomb.left, bomb.ticked = bomb.left - 1, True
        for slot, bomb in enumerate(self.slots):
            if bomb is None:
                continue
            if not bomb.ticked:
                bomb.left, bomb.ticked = bomb.left - 1, True
            if bomb.left <= 0:
                self.slots[slot] = None
                self._explode(bomb)

    def _explode(self, bomb: Bomb) -> None:
        self.players[bomb.owner].out -= 1
        self.board[bomb.x, bomb.y] -= BOMB
        self._burn(bomb, bomb.x, bomb.y)
        for dx, dy in MOVES.values():
            for far in range(1, self.reach + 1):
                x, y = bomb.x + far * dx, bomb.y + far * dy
                if not self._inside(x, y) or self.board[x, y] == PILLAR:
                    break
                if self.board[x, y] == BRICK:
                    self.board[x, y] = FREE
                    break
                if self.board[x, y] >= BOMB:
                    for other in self.slots:
                        if other is not None and (other.x, other.y) == (x, y):
                            # Due in this tick anyway, or on the next.
                            other.left = 0 if other.ticked and other.left <= 0 else 1
                else:
                    self._burn(bomb, x, y)

    def _burn(self, bomb: Bomb, x: int, y: int) -> None:
        code = self.board[x, y]
        if code < PLAYER:
            return
        i = int(code - PLAYER)
        hit, owner = self.players[i], self.players[bomb.owner]
        hit.lives -= 1
        if i == bomb.owner:
            hit.score -= 1
            hit.self_hits += 1
        else:
            owner.score += 1
            owner.hits += 1
            hit.score -= 0.1
        if hit.lives == 0:
            hit.score -= 0.1
            if i != bomb.owner:
                owner.score += 0.1
            self.board[x, y] -= PLAYER + i

    def _closer(self) -> None:
        a, b = self.players
        apart = float(np.hypot(a.x - b.x, a.y - b.y))
        if apart < self.closest:
            self.closest = apart
            for player in self.players:
                player.score += 0.2

    def seen(self, i: int) -> np.ndarray:
        """The board as player i sees it, codes 0 … 7, [1, width, height]."""
        names = {FREE: 0, PILLAR: 1, BRICK: 2, PLAYER + i: 3, PLAYER + 1 - i: 4, BOMB: 5,
                 BOMB + PLAYER + i: 6, BOMB + PLAYER + 1 - i: 7}  # fmt: skip
        seen = np.zeros((1, self.width, self.height), dtype=np.uint8)
        for code, name in names.items():
            seen[0][self.board == code] = name
        return seen


def draw_bricks(rng: np.random.Generator, count: int = 40, width: int = 13, height: int = 11
                ) -> list[tuple[int, int]]:  # fmt: skip
    """Random free cells, none on a player or next to one."""
    taken = {(0, 0), (0, 1), (1, 0), (width - 1, height - 1), (width - 2, height - 1),
             (width - 1, height - 2)}  # fmt: skip
    free = [(x, y) for x in range(width) for y in range(height)
            if (x % 2 == 0 or y % 2 == 0) and (x, y) not in taken]  # fmt: skip
    return [free[i] for i in rng.permutation(len(free))[:count]]
