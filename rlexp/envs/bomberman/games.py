"""N games of Bomberman as arrays, moved together."""

from __future__ import annotations

import copy

import numpy as np

from rlexp.envs.bomberman.rules import (
    AMMO,
    BOMB,
    BRICK,
    FAR,
    FREE,
    PILLAR,
    PLAYER,
    RANGE,
    SET,
    WAIT,
    Rules,
)  # fmt: skip
from rlexp.types import State

ARRAYS = (
    "board", "hidden", "place", "lives", "ammo", "reach", "shield", "out", "bomb", "owner", "timer",
    "flame", "closest", "steps", "score", "hits", "self_hits", "seed", "flames", "action",
)  # fmt: skip


class Games:
    """N games, each on a flat board with a wall around it (rules.py: codes and places).

    Bombs live in slots: `owner` is -1 in a free one, `timer` the ticks until it explodes. `out` are
    a player's bombs on the board, `ammo` how many that may be. `flame` is how far a bomb's flames
    go: its owner's `reach` when it was set. `flames` are of the last tick.
    """

    def __init__(self, rules: Rules, count: int) -> None:
        self.rules, self.count = rules, count
        slots = rules.slots
        self.board = np.tile(rules.empty, (count, 1))
        self.hidden = np.zeros((count, rules.cells if rules.power_ups else 0), dtype=np.int16)
        self.place = np.zeros((count, 2), dtype=np.int64)
        self.lives, self.ammo, self.reach, self.shield, self.out, self.hits, self.self_hits = (
            np.zeros((7, count, 2), dtype=np.int64)
        )
        self.bomb = np.zeros((count, slots), dtype=np.int64)
        self.owner = np.full((count, slots), -1, dtype=np.int64)
        self.timer = np.zeros((count, slots), dtype=np.int64)
        self.flame = np.zeros((count, slots), dtype=np.int64)
        self.closest, self.steps, self.seed = np.zeros((3, count), dtype=np.int64)
        self.score = np.zeros((count, 2))
        self.flames = np.zeros((count, rules.cells), dtype=bool)
        self.action = np.full((count, 2), -1, dtype=np.int64)
        self._index()

    def _index(self) -> None:
        self._rows = np.arange(self.count)
        self._base = self._rows * self.rules.cells
        self._columns = np.arange(self.rules.rays.shape[2])

    def start(self, rows: np.ndarray, seeds: np.ndarray) -> None:
        """New games in these rows. A game follows from its seed (0 … 2^32 - 1) and the actions."""
        rules, cells = self.rules, self.rules.brick_cells
        drawn = noise(seeds, len(cells) + rules.bricks)
        chosen = cells[drawn[:, : len(cells)].argsort(axis=1)[:, : rules.bricks]]
        self.board[rows] = rules.empty
        self.board[rows[:, None], chosen] = BRICK
        if rules.power_ups:
            chance = drawn[:, len(cells) :] / 2.0**64
            kind = np.where(chance < rules.power_ups / 2, AMMO, RANGE)
            self.hidden[rows] = FREE
            self.hidden[rows[:, None], chosen] = np.where(chance < rules.power_ups, kind, FREE)
        self.place[rows] = rules.starts
        self.lives[rows], self.ammo[rows], self.reach[rows] = rules.lives, rules.bombs, rules.reach
        self.owner[rows] = self.action[rows] = -1
        self.closest[rows] = FAR * FAR
        self.seed[rows] = seeds
        for array in (self.shield, self.out, self.timer, self.steps, self.score, self.hits,
                      self.self_hits, self.flames):  # fmt: skip
            array[rows] = 0

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both players' actions [N, 2] → (what the step pays [N, 2], over [N])."""
        rules = self.rules
        reward = np.zeros((self.count, 2))
        self.action = actions
        self.steps += 1
        idle = np.stack([self._act(i, actions[:, i]) for i in (0, 1)], axis=1)
        late = self.steps >= (rules.limit or np.iinfo(np.int64).max)
        self.tick(reward, ~late)
        apart = distances(self.place, rules)
        closer = (apart < self.closest) & ~late
        np.copyto(self.closest, apart, where=closer)
        reward += closer[:, None] * rules.closer_reward
        reward += late[:, None] * rules.limit_reward
        reward -= idle * rules.fee
        self.score += reward
        return reward, late | (self.lives <= 0).any(1)

    def _act(self, player: int, action: np.ndarray) -> np.ndarray:
        """One player moves or sets a bomb in every game; True [N] where nothing came of it."""
        board, here = self.board.reshape(-1), self.place[:, player]
        there = here + self.rules.steps[action]
        old, new = self._base + here, self._base + there
        found = board[new]
        # Waiting and bombs lead to the player's own cell, which is never free.
        goes = found == FREE
        if self.rules.power_ups:
            goes = self._pick_up(player, goes, found)
        board[old[goes]] -= PLAYER + player
        board[new[goes]] = PLAYER + player
        self.place[:, player] = np.where(goes, there, here)
        sets = (action == SET) & (board[old] < BOMB) & (self.out[:, player] < self.ammo[:, player])
        rows = sets.nonzero()[0]
        if len(rows):
            free = self.owner[rows] < 0
            slot, room = free.argmax(1), free.any(1)
            if not room.all():
                sets[rows[~room]] = False
                rows, slot = rows[room], slot[room]
            board[old[rows]] += BOMB
            self.bomb[rows, slot] = here[rows]
            self.owner[rows, slot] = player
            self.timer[rows, slot] = self.rules.fuse
            self.flame[rows, slot] = self.reach[rows, player]
            self.out[rows, player] += 1
        return ~(goes | sets)

    def _pick_up(self, player: int, goes: np.ndarray, found: np.ndarray) -> np.ndarray:
        ammo, more = found == AMMO, found == RANGE
        self.ammo[:, player] += ammo
        self.reach[:, player] += more
        return goes | ammo | more

    def legal(self, player: int) -> np.ndarray:
        """bool [N, 6]: what this player may do now; the other, if it moves first, may be faster."""
        there = self.place[:, player, None] + self.rules.steps
        found = np.take_along_axis(self.board, there, 1)
        allowed = found == FREE
        if self.rules.power_ups:
            allowed |= (found == AMMO) | (found == RANGE)
        ready = self.out[:, player] < self.ammo[:, player]
        allowed[:, SET] = (found[:, SET] < BOMB) & ready & (self.owner < 0).any(1)
        allowed[:, WAIT] = True
        return allowed

    def set_bomb(self, player: int) -> None:
        """This player sets a bomb in every game that lets it; nothing else happens."""
        self._act(player, np.full(self.count, SET))

    def tick(self, reward: np.ndarray, where: np.ndarray) -> None:
        """Bombs of the games in `where` [N] tick, and explode in the order of their slots."""
        self.flames[:] = False
        if self.rules.invulnerable:
            self.shield -= where[:, None] & (self.shield > 0)
        ticking = (self.owner >= 0) & where[:, None]
        self.timer -= ticking
        due = ticking & (self.timer == 0)
        rows = due.any(1).nonzero()[0]
        while len(rows):  # the first one due of every game, then the second of those with two …
            slot = due[rows].argmax(1)
            due[rows, slot] = False
            self._explode(rows, slot, due, reward)
            rows = rows[due[rows].any(1)]

    def _explode(
        self, rows: np.ndarray, slot: np.ndarray, due: np.ndarray, reward: np.ndarray
    ) -> None:
        """One bomb in each of these games."""
        board, flames = self.board.reshape(-1), self.flames.reshape(-1)
        cell, owner = self.bomb[rows, slot], self.owner[rows, slot]
        self.owner[rows, slot] = -1
        self.out[rows, owner] -= 1
        centre = self._base[rows] + cell
        on_it = board[centre] - (BOMB + PLAYER)  # the player there, or less than 0
        board[centre] -= BOMB
        ray = self._base[rows][:, None, None] + self.rules.rays[cell]  # [k, 4, R]
        seen = board[ray]
        stops = (seen == PILLAR) | (seen == BRICK)
        if self.rules.power_ups:
            stops |= (self._columns >= self.flame[rows, slot][:, None])[:, None]
        passes = ~np.logical_or.accumulate(stops, axis=2)
        flames[centre] = True
        flames[ray[passes]] = True
        self._break_bricks(ray, seen, stops, rows, slot, owner, reward)
        met = (passes & (seen >= PLAYER)).nonzero()
        game, code, where = met[0], seen[met], ray[met]
        on_bomb = code >= BOMB
        if on_bomb.any():
            # Who stands on a bomb is spared: this flame only sets that bomb off.
            flames[where[on_bomb]] = False
            ours = game[on_bomb]
            self._set_off(rows[ours], slot[ours], where[on_bomb], due)
        stood, burnt = (on_it >= 0).nonzero()[0], ~on_bomb
        hit = np.concatenate([stood, game[burnt]])
        if len(hit):
            players = np.concatenate([on_it[stood], code[burnt] - PLAYER])
            self._hit(rows[hit], players.astype(np.int64), owner[hit], reward)

    def _break_bricks(
        self,
        ray: np.ndarray,
        seen: np.ndarray,
        stops: np.ndarray,
        rows: np.ndarray,
        slot: np.ndarray,
        owner: np.ndarray,
        reward: np.ndarray,
    ) -> None:
        """The first obstacle of each ray, where it is a brick; burns what lies open, too."""
        board, rules = self.board.reshape(-1), self.rules
        first = stops.argmax(2)[..., None]
        broken = np.take_along_axis(seen, first, 2)[..., 0] == BRICK
        if rules.power_ups:
            broken &= first[..., 0] < self.flame[rows, slot][:, None]
            open_ = ~np.logical_or.accumulate(stops, axis=2)
            board[ray[open_ & ((seen == AMMO) | (seen == RANGE))]] = FREE
        at = np.take_along_axis(ray, first, 2)[..., 0][broken]
        board[at] = self.hidden.reshape(-1)[at] if rules.power_ups else FREE
        self.flames.reshape(-1)[at] = True
        if rules.brick_reward:
            reward[rows, owner] += rules.brick_reward * broken.sum(1)

    def _set_off(self, rows: np.ndarray, by: np.ndarray, at: np.ndarray, due: np.ndarray) -> None:
        """Bombs at these places explode on the next tick, unless they are due in this one."""
        place = (at - self._base[rows])[:, None]
        slot = ((self.bomb[rows] == place) & (self.owner[rows] >= 0)).argmax(1)
        self.timer[rows, slot] = np.where(due[rows, slot], 0, 1)
        if self.rules.chain_at_once:  # a later slot has not ticked yet: it goes off in this tick
            due[rows, slot] |= slot > by

    def _hit(
        self, rows: np.ndarray, players: np.ndarray, owners: np.ndarray, reward: np.ndarray
    ) -> None:
        """Each (row, player) loses a life to the owner of the bomb; no pair comes twice."""
        rules = self.rules
        if rules.invulnerable:
            open_ = self.shield[rows, players] == 0
            rows, players, owners = rows[open_], players[open_], owners[open_]
            self.shield[rows, players] = rules.invulnerable + 1  # the rest of this tick as well
        self.lives[rows, players] -= 1
        last, own = self.lives[rows, players] == 0, owners == players
        paid = np.where(own, rules.self_hit_reward, rules.hurt_reward)
        reward[rows, players] += paid + last * rules.last_life_reward
        self.self_hits[rows, players] += own
        earned = np.where(own, 0.0, rules.hit_reward + last * rules.kill_reward)
        np.add.at(reward, (rows, owners), earned)
        np.add.at(self.hits, (rows, owners), ~own)
        if rules.rival_self_hit_reward:
            reward[rows[own], 1 - players[own]] += rules.rival_self_hit_reward
        dead, who = rows[last], players[last]
        self.board[dead, self.place[dead, who]] -= (PLAYER + who).astype(np.int16)

    def copy(self, rows: np.ndarray) -> Games:
        """Games of their own that go on from these rows."""
        other = copy.copy(self)
        other.count = len(rows)
        for name in ARRAYS:
            setattr(other, name, getattr(self, name)[rows])
        other._index()
        return other

    def state_dict(self) -> State:
        return {name: getattr(self, name).copy() for name in ARRAYS}

    def load_state_dict(self, state: State) -> None:
        for name in ARRAYS:
            setattr(self, name, np.array(state[name]))


def inner(flat: np.ndarray, rules: Rules) -> np.ndarray:
    """[…, cells] → […, width, height], a view without the wall."""
    shape = (*flat.shape[:-1], rules.width + 2, rules.height + 2)
    return flat.reshape(shape)[..., 1:-1, 1:-1]


def distances(place: np.ndarray, rules: Rules) -> np.ndarray:
    """Squared Euclidean distance [N] between the players at places [N, 2]."""
    x, y = np.divmod(place, rules.stride)
    return (x[:, 0] - x[:, 1]) ** 2 + (y[:, 0] - y[:, 1]) ** 2


def noise(seeds: np.ndarray, count: int) -> np.ndarray:
    """uint64 [k, count]: SplitMix64 (Steele, Lea and Flood 2014), a stream a seed [k].

    A generator object a game would cost more than the game.
    """
    golden = np.uint64(0x9E3779B97F4A7C15)
    state = _mix(seeds.astype(np.uint64) * golden)[:, None]
    return _mix(state + np.arange(1, count + 1, dtype=np.uint64) * golden)


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
