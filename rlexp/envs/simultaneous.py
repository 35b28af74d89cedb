"""What games have in common in which several seats move at once: numpy batches of N of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from rlexp.envs.masks import SpecWithMasks, as_mask, next_mask
from rlexp.envs.rendering import Renderer
from rlexp.types import EnvSpec, Episode, Seat, State, Tick, Transition, Tree


@dataclass
class Moves:
    """What one step of all rows led to, by seat; arrays [N].

    `action` is what was played; `score` what is reported as return, where it is not the reward;
    `episode` the numbers that an Episode keeps of its last step.
    """

    action: dict[Seat, Tree]
    reward: dict[Seat, np.ndarray]
    terminated: np.ndarray
    truncated: np.ndarray
    info: dict[Seat, dict[str, np.ndarray]]
    score: dict[Seat, np.ndarray] | None = None
    episode: dict[str, np.ndarray] = field(default_factory=dict)


class SimultaneousEnv(SpecWithMasks):
    """N games; every Tick holds all seats' observations, and all seats' moves are done together.

    A game writes `reset_rows`, `step_rows`, `observe` and its state; restarts, episodes and resume
    are here. One step is counted once, however many seats move in it.
    """

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec
        self.seats: tuple[Seat, ...] = tuple(spec.observation_spaces)
        self.rows = np.arange(spec.num_envs)
        self.rng = np.random.default_rng(0)
        self.returns = {seat: np.zeros(spec.num_envs) for seat in self.seats}
        self.lengths = np.zeros(spec.num_envs, dtype=np.int64)
        self.first = np.ones(spec.num_envs, dtype=bool)
        self.obs: dict[Seat, Tree] = {}
        self.action_masks: dict[Seat, np.ndarray | None] = {}  # of `obs`
        self.watched: set[int] = set()
        self._render = Renderer(self.render)
        self._sent: dict[Seat, Tree] | None = None
        self._loaded = False

    @abstractmethod
    def reset_rows(self, rows: np.ndarray) -> None:
        """Begin new games in these rows, with `self.rng`."""

    @abstractmethod
    def step_rows(self, actions: dict[Seat, Tree]) -> Moves:
        """Move all games."""

    @abstractmethod
    def observe(self, seat: Seat, rows: np.ndarray | slice) -> np.ndarray:
        """A fresh array of what a seat sees in these rows."""

    @abstractmethod
    def game_state(self) -> State:
        """Arrays that hold all games; `load_game_state` takes them back."""

    @abstractmethod
    def load_game_state(self, state: State) -> None: ...

    def legal_rows(self, seat: Seat) -> np.ndarray | None:
        """bool [N, actions]: what a seat may do now; None where that is everything."""
        return None

    def render(self, row: int) -> np.ndarray | None:
        return None

    def watch(self, rows: Iterable[int]) -> None:
        self.watched = set(rows)

    def start(self, seed: int) -> Tick:
        if self._loaded:
            self._loaded = False
            return self._pending()
        self.rng = np.random.default_rng(seed)
        self.reset_rows(self.rows)
        for total in self.returns.values():
            total[:] = 0
        self.lengths[:] = 0
        self.first = np.ones(len(self.rows), dtype=bool)
        self.obs = {seat: self.observe(seat, slice(None)) for seat in self.seats}
        return self._pending()

    def _pending(self) -> Tick:
        self.action_masks = self._masks()
        given = {seat: mask for seat, mask in self.action_masks.items() if mask is not None}
        return Tick(obs=dict(self.obs), first=self.first, legal=given or None)

    def _overrides_masks(self) -> bool:
        return type(self).legal_rows is not SimultaneousEnv.legal_rows

    def _masks(self) -> dict[Seat, np.ndarray | None]:
        return {seat: as_mask(self.legal_rows(seat), self.spec, seat) for seat in self.seats}

    def send(self, actions: dict[Seat, Tree]) -> None:
        self._sent = actions

    def recv(self) -> Tick:
        assert self._sent is not None, "recv without send"
        sent, self._sent = self._sent, None
        moves = self.step_rows(sent)
        ended = moves.terminated | moves.truncated
        next_obs: dict[Seat, Tree] = {s: self.observe(s, slice(None)) for s in self.seats}
        done = {
            seat: Transition(
                rows=self.rows,
                obs=self.obs[seat],
                action=moves.action[seat],
                reward=moves.reward[seat].astype(np.float32),
                next_obs=next_obs[seat],
                terminated=moves.terminated,
                truncated=moves.truncated & ~moves.terminated,
                info=moves.info[seat],
                score=None if moves.score is None else moves.score[seat],
                action_mask=self.action_masks[seat],
            )
            for seat in self.seats
        }
        gains = moves.reward if moves.score is None else moves.score
        for seat, total in self.returns.items():
            total += gains[seat]
        self.lengths += 1
        episodes, pictures = self._end(ended.nonzero()[0], moves)
        # What terminated games would allow is not asked: the game may have no answer.
        before_reset = self._masks() if moves.truncated.any() else {}
        self.obs = self._restarted(next_obs, ended)
        self.first = ended
        tick = self._pending()
        for seat, transition in done.items():
            transition.next_action_mask = next_mask(
                self.action_masks[seat], before_reset.get(seat),
                transition.terminated, transition.truncated,
            )  # fmt: skip
        tick.done, tick.steps = done, len(self.rows)
        tick.episodes, tick.pictures = episodes, pictures
        return tick

    def _end(self, rows: np.ndarray, moves: Moves) -> tuple[list[Episode], dict[int, np.ndarray]]:
        episodes = [
            Episode(
                row=row,
                length=int(self.lengths[row]),
                returns={seat: float(total[row]) for seat, total in self.returns.items()},
                info={name: float(values[row]) for name, values in moves.episode.items()},
            )
            for row in rows.tolist()
        ]
        shown = {row: self._render(row) for row in rows.tolist() if row in self.watched}
        for total in self.returns.values():
            total[rows] = 0
        self.lengths[rows] = 0
        return episodes, {row: p for row, p in shown.items() if p is not None}

    def _restarted(self, obs: dict[Seat, Tree], ended: np.ndarray) -> dict[Seat, Tree]:
        """What is seen once ended games have begun anew; what was seen before stays as it is."""
        if not ended.any():
            return obs
        rows = ended.nonzero()[0]
        self.reset_rows(rows)
        fresh: dict[Seat, Tree] = {}
        for seat, seen in obs.items():
            assert isinstance(seen, np.ndarray)
            copied = seen.copy()
            copied[rows] = self.observe(seat, rows)
            fresh[seat] = copied
        return fresh

    def state_dict(self) -> State:
        return {
            "rng": self.rng.bit_generator.state,
            "returns": {seat: total.copy() for seat, total in self.returns.items()},
            "lengths": self.lengths.copy(),
            "first": self.first.copy(),
            "game": self.game_state(),
        }

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.returns = {seat: np.array(total) for seat, total in state["returns"].items()}
        self.lengths = np.array(state["lengths"])
        self.first = np.array(state["first"], dtype=bool)
        self.load_game_state(state["game"])
        self.obs = {seat: self.observe(seat, slice(None)) for seat in self.seats}
        self._loaded = True

    def close(self) -> None:
        pass
