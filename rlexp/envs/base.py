"""What every environment shares: from one step's arrays to a Tick, and numpy batches of games."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from rlexp import trees
from rlexp.envs.masks import SpecWithMasks, as_mask, next_mask
from rlexp.envs.rendering import Renderer
from rlexp.spaces import is_image as is_image
from rlexp.types import SOLO, EnvSpec, Episode, Seat, State, Tick, Transition, Tree


@dataclass
class Step:
    """What one step of all rows led to; `obs` differs from `next_obs` where a game restarted.

    `score` is what is reported as return; None where it is the reward itself. The masks are those
    of `obs` and of `next_obs`.
    """

    next_obs: Tree
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    obs: Tree
    info: dict[str, np.ndarray] = field(default_factory=dict)
    score: np.ndarray | None = None
    action_mask: np.ndarray | None = None
    next_action_mask: np.ndarray | None = None


class TickMaker:
    """Builds the Ticks of a one-seat game and adds up the episodes in progress."""

    def __init__(self, num_envs: int, seat: Seat = SOLO) -> None:
        self.rows = np.arange(num_envs)
        self.seat = seat
        self.returns = np.zeros(num_envs)
        self.lengths = np.zeros(num_envs, dtype=np.int64)
        self.obs: Tree | None = None
        self.first = np.ones(num_envs, dtype=bool)
        self.action_mask: np.ndarray | None = None  # of `obs`

    def start(self, obs: Tree, action_mask: np.ndarray | None = None) -> Tick:
        """All games begin."""
        self.returns[:] = 0
        self.lengths[:] = 0
        self.obs = obs
        self.first = np.ones(len(self.rows), dtype=bool)
        return self.pending(action_mask)

    def pending(self, action_mask: np.ndarray | None = None) -> Tick:
        """The Tick that awaits its actions; nothing was completed by it."""
        assert self.obs is not None
        self.action_mask = action_mask
        legal = None if action_mask is None else {self.seat: action_mask}
        return Tick(obs={self.seat: self.obs}, first=self.first, legal=legal)

    def step(self, action: Tree, step: Step) -> Tick:
        assert self.obs is not None
        transition = Transition(
            rows=self.rows,
            obs=self.obs,
            action=action,
            reward=step.reward.astype(np.float32),
            next_obs=step.next_obs,
            terminated=step.terminated,
            truncated=step.truncated & ~step.terminated,
            info=step.info,
            score=step.score,
            action_mask=self.action_mask,
            next_action_mask=step.next_action_mask,
        )
        self.returns += step.reward if step.score is None else step.score
        self.lengths += 1
        ended = transition.ended
        episodes = [self._close(int(row), step.info) for row in np.flatnonzero(ended)]
        self.obs, self.first = step.obs, ended
        tick = self.pending(step.action_mask)
        tick.done, tick.steps, tick.episodes = {self.seat: transition}, len(self.rows), episodes
        return tick

    def _close(self, row: int, info: dict[str, np.ndarray]) -> Episode:
        episode = Episode(
            row=row,
            length=int(self.lengths[row]),
            returns={self.seat: float(self.returns[row])},
            # NaN: other rows told this, not this one.
            info={k: float(v[row]) for k, v in info.items() if v.ndim == 1 and v[row] == v[row]},
        )
        self.returns[row] = 0.0
        self.lengths[row] = 0
        return episode

    def state_dict(self) -> State:
        return {
            "returns": self.returns.copy(),
            "lengths": self.lengths.copy(),
            "first": self.first.copy(),
            "obs": self.obs,
        }

    def load_state_dict(self, state: State) -> None:
        self.returns[:] = state["returns"]
        self.lengths[:] = state["lengths"]
        self.first = np.asarray(state["first"], dtype=bool)
        self.obs = state["obs"]


class BatchEnv(SpecWithMasks):
    """N games as numpy arrays, stepped together; state saved whole.

    A game only writes `reset_rows` and `step_rows`; limits, restarts, episodes and resume are here.
    `reuses_obs`: it writes again into an array that it showed, so what is shown is copied; None
    finds out when something is shown for the first time.
    """

    reuses_obs: bool | None = None

    def __init__(self, spec: EnvSpec, max_steps: int | None = None) -> None:
        self.spec = spec
        self.max_steps = max_steps
        self.rng = np.random.default_rng(0)
        self.ticks = TickMaker(spec.num_envs)
        self.watched: set[int] = set()
        self._render = Renderer(self.render)
        self._actions: Tree | None = None
        self._loaded = False

    @abstractmethod
    def reset_rows(self, rows: np.ndarray) -> None:
        """Begin new games in these rows, with `self.rng`."""

    @abstractmethod
    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Move all games: (reward [N], terminated [N], info)."""

    @abstractmethod
    def observe_rows(self) -> Tree:
        """A fresh array of all rows' observations."""

    @abstractmethod
    def game_state(self) -> State:
        """Arrays that hold all games; `load_game_state` takes them back."""

    @abstractmethod
    def load_game_state(self, state: State) -> None: ...

    def legal_rows(self) -> np.ndarray | None:
        """bool [N, actions]: what each game allows now; None where that is everything."""
        return None

    def render(self, row: int) -> np.ndarray | None:
        return None

    def watch(self, rows: Iterable[int]) -> None:
        self.watched = set(rows)

    def start(self, seed: int) -> Tick:
        if self._loaded:
            self._loaded = False
            return self.ticks.pending(self._mask())
        self.rng = np.random.default_rng(seed)
        self.reset_rows(self.ticks.rows)
        return self.ticks.start(self._seen(), self._mask())

    def send(self, actions: dict[Seat, Tree]) -> None:
        self._actions = actions[SOLO]

    def recv(self) -> Tick:
        assert self._actions is not None, "recv without send"
        actions, self._actions = self._actions, None
        reward, terminated, info = self.step_rows(actions)
        truncated = np.zeros_like(terminated)
        if self.max_steps is not None:
            truncated = (self.ticks.lengths + 1 >= self.max_steps) & ~terminated
        next_obs = obs = self._seen()
        ended = terminated | truncated
        pictures: dict[int, np.ndarray] = {}
        # What terminated games would allow is not asked: the game may have no answer.
        mask_before_reset = self._mask() if truncated.any() else None
        if ended.any():
            pictures = self._last_pictures(ended)
            self.reset_rows(np.flatnonzero(ended))
            obs = self._seen()
        mask = self._mask()
        next_action_mask = next_mask(mask, mask_before_reset, terminated, truncated)
        step = Step(
            next_obs, reward, terminated, truncated, obs, info,
            action_mask=mask, next_action_mask=next_action_mask,
        )  # fmt: skip
        tick = self.ticks.step(actions, step)
        tick.pictures = pictures
        return tick

    def _seen(self) -> Tree:
        """What is observed, copied where the game keeps the array: it would write into it again."""
        obs = self.observe_rows()
        if self.reuses_obs is None:
            self.reuses_obs = keeps(self, obs)
        return trees.copy(obs) if self.reuses_obs else obs

    def _overrides_masks(self) -> bool:
        return type(self).legal_rows is not BatchEnv.legal_rows

    def _mask(self) -> np.ndarray | None:
        return as_mask(self.legal_rows(), self.spec, SOLO)

    def _last_pictures(self, ended: np.ndarray) -> dict[int, np.ndarray]:
        shown = {row: self._render(row) for row in sorted(self.watched) if ended[row]}
        return {row: picture for row, picture in shown.items() if picture is not None}

    def state_dict(self) -> State:
        return {
            "rng": self.rng.bit_generator.state,
            "ticks": self.ticks.state_dict(),
            "game": self.game_state(),
        }

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.ticks.load_state_dict(state["ticks"])
        self.load_game_state(state["game"])
        self._loaded = True

    def close(self) -> None:
        pass


def keeps(owner: object, tree: Tree) -> bool:
    """True where an attribute of `owner` has memory in common with these arrays."""
    own = [value for value in vars(owner).values() if isinstance(value, np.ndarray)]
    parts = tree.values() if isinstance(tree, dict) else [tree]
    return any(np.may_share_memory(part, array) for part in parts for array in own)
