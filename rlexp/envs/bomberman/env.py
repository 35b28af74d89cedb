"""Bomberman for two: N games at once, both players moving together."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Discrete, Space

from rlexp.envs.bomberman.games import Games
from rlexp.envs.bomberman.moments import Board, moment
from rlexp.envs.bomberman.picture import Picture
from rlexp.envs.bomberman.rivals import RIVALS
from rlexp.envs.bomberman.rules import ACTIONS, SEATS, TURNED, Rules
from rlexp.envs.bomberman.sprites import draw
from rlexp.envs.bomberman.terminal import text
from rlexp.envs.bomberman.views import Codes, Planes, View
from rlexp.envs.one_seat import OneSeat
from rlexp.envs.simultaneous import Moves, SimultaneousEnv
from rlexp.errors import UserError
from rlexp.types import Env, EnvSpec, Seat, State, Tree

FPS = 10 / 3  # 300 ms a picture


class Bomberman(SimultaneousEnv):
    """Actions 0 wait, 1 up, 2 down, 3 right, 4 left, 5 bomb; the rules are in rules.py.

    A seat's action -1 - k lets the k-th of EnvSpec.rivals move in that row. A Transition's `info`:
    score, lives, hits (on the rival), self_hits, outcome at the end of a game (1 for more lives
    than the rival, -1 for fewer, else 0), is_success (the rival alone has none left), and seed,
    which with the actions gives the game again (moments.replay). An Episode has the same, named
    "NAME/SEAT". With a `teacher`, `info` also has target: what that scripted player would do.

    The step that reaches `limit` terminates the game: what the rules do to it is part of the game,
    and nothing follows. A truncation would tell learners to go on counting as if the game went on,
    and so to make light of the one thing the rules punish most.
    """

    games: Games
    action_names = ACTIONS

    def __init__(
        self,
        rules: Rules,
        num_envs: int,
        view: View,
        reward: str,
        running_score: bool,
        mask: bool,
        shown: int,
        teacher: str | None = None,
    ) -> None:
        seen: dict[Seat, Space[Any]] = dict.fromkeys(SEATS, view.space)
        actions: dict[Seat, Space[Any]] = {seat: Discrete(len(ACTIONS)) for seat in SEATS}
        offers: dict[Seat, tuple[str, ...]] = dict.fromkeys(SEATS, ("answers",)) if teacher else {}
        spec = EnvSpec(
            seen, actions, num_envs, fps=FPS, rivals=tuple(RIVALS), offers=offers,
            action_masks=mask,
        )  # fmt: skip
        super().__init__(spec)
        self.rules, self.view, self.shown = rules, view, shown
        self.reward, self.running_score, self.mask = reward, running_score, mask
        self.games = Games(rules, num_envs)
        self.rival_rng = np.random.default_rng(0)
        self.teacher, self.teacher_rng = teacher, np.random.default_rng(0)

    def start(self, seed: int) -> Any:
        if not self._loaded:
            self.rival_rng = np.random.default_rng([seed, 1])
            self.teacher_rng = np.random.default_rng([seed, 2])
        return super().start(seed)

    def reset_rows(self, rows: np.ndarray) -> None:
        self.games.start(rows, self.rng.integers(2**32, size=len(rows)))

    def step_rows(self, actions: dict[Seat, Tree]) -> Moves:
        games, played = self.games, np.zeros((len(self.rows), 2), dtype=np.int64)
        told = self._taught()
        own: dict[Seat, Tree] = {}
        for player, seat in enumerate(SEATS):
            asked = actions[seat]
            assert isinstance(asked, np.ndarray)
            if (asked < 0).any():
                asked = self._scripted(asked, player)
            own[seat] = asked
            played[:, player] = TURNED[asked] if self.view.turned and player else asked
        paid, over = games.step(played)
        lead = np.sign(games.lives[:, 0] - games.lives[:, 1])
        outcome = np.where(over, lead, 0)[:, None] * np.array([1.0, -1.0])
        reward = paid if self.reward == "source" else outcome
        score = reward
        if self.running_score:
            reward = games.score.copy()
        info = {seat: self._info(player, outcome) for player, seat in enumerate(SEATS)}
        episode = {f"{name}/{seat}": v for seat in SEATS for name, v in info[seat].items()}
        for seat, target in told.items():
            info[seat]["target"] = target
        return Moves(
            action=own,
            reward={seat: reward[:, player] for player, seat in enumerate(SEATS)},
            terminated=over,
            truncated=np.zeros_like(over),
            info=info,
            score={seat: score[:, player] for player, seat in enumerate(SEATS)},
            episode=episode,
        )

    def _taught(self) -> dict[Seat, np.ndarray]:
        """[N] for each seat: what the teacher would do now, as that seat sees the board."""
        if self.teacher is None:
            return {}
        move, found = RIVALS[self.teacher], {}
        for player, seat in enumerate(SEATS):
            chosen = move(self.games.copy(self.rows), player, self.teacher_rng)
            found[seat] = TURNED[chosen] if self.view.turned and player else chosen
        return found

    def _scripted(self, asked: np.ndarray, player: int) -> np.ndarray:
        """What is asked [N], with rivals' own choices in the place of their numbers."""
        found = asked.copy()
        for code in np.unique(asked[asked < 0]).tolist():
            rows = (asked == code).nonzero()[0]
            move = RIVALS[self.spec.rivals[-1 - code]]
            chosen = move(self.games.copy(rows), player, self.rival_rng)
            found[rows] = TURNED[chosen] if self.view.turned and player else chosen
        return found

    def _info(self, player: int, outcome: np.ndarray) -> dict[str, np.ndarray]:
        games = self.games
        alive = games.lives > 0
        return {
            "score": games.score[:, player].copy(),
            "lives": games.lives[:, player].astype(np.float64),
            "hits": games.hits[:, player].astype(np.float64),
            "self_hits": games.self_hits[:, player].astype(np.float64),
            "outcome": outcome[:, player].copy(),
            "is_success": (alive[:, player] & ~alive[:, 1 - player]).astype(np.float64),
            "seed": games.seed.astype(np.float64),
        }

    def observe(self, seat: Seat, rows: np.ndarray | slice) -> np.ndarray:
        return self.view.see(self.games, SEATS.index(seat), rows)

    def legal_rows(self, seat: Seat) -> np.ndarray | None:
        if not self.mask:
            return None
        player = SEATS.index(seat)
        allowed = self.games.legal(player)
        return allowed[:, TURNED] if self.view.turned and player else allowed

    def share(self, other: Bomberman) -> None:
        """Look at the games of another environment through this one's view."""
        self.games = other.games

    def frame(self, seat: Seat, actions: np.ndarray) -> np.ndarray:
        """A seat's actions on the board as it is, and back, where it sees that turned."""
        return TURNED[actions] if self.view.turned and SEATS.index(seat) else actions

    def moment(self, row: int) -> Board:
        """The game of a row as it stands; sprites.draw draws it, at any scale, also later."""
        return moment(self.games, row)

    def text(self, row: int, seat: Seat) -> Any:
        """The moment for a terminal, a rich Text."""
        return text(self.moment(row), SEATS.index(seat))

    def render(self, row: int) -> np.ndarray:
        return draw(self.moment(row), self.shown)

    def game_state(self) -> State:
        rival_rng = self.rival_rng.bit_generator.state
        state: State = {"games": self.games.state_dict(), "rival_rng": rival_rng}
        if self.teacher is not None:
            state["teacher_rng"] = self.teacher_rng.bit_generator.state
        return state

    def load_game_state(self, state: State) -> None:
        self.games.load_state_dict(state["games"])
        self.rival_rng.bit_generator.state = state["rival_rng"]
        if self.teacher is not None:
            self.teacher_rng.bit_generator.state = state["teacher_rng"]


def make(
    num_envs: int,
    rival: str | None,
    seat: str,
    reward: str,
    running_score: bool,
    observation: str,
    strip: bool,
    turned: bool,
    centred: bool,
    mask: bool,
    teacher: str | None = None,
    **rules: Any,
) -> Env:
    """The environment of conf/env/bomberman.yaml: for two, or for one with a rival inside."""
    played = Rules(**rules)
    if strip and observation != "picture":
        raise UserError(f"env.strip=true needs env.observation=picture, not {observation}")
    if centred and observation != "planes":
        raise UserError(f"env.centred=true needs env.observation=planes, not {observation}")
    view: View
    if observation == "picture":
        view = Picture(played, turned, strip)
    elif observation == "planes":
        view = Planes(played, turned, centred)
    else:
        view = Codes(played, turned)
    shown = SEATS.index(seat) if seat in SEATS else 0
    game = Bomberman(played, num_envs, view, reward, running_score, mask, shown, teacher)
    if rival is None:
        return game
    return OneSeat(game, rival, None if seat == "alternate" else seat)
