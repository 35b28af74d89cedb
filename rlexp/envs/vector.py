"""Games that can only be stepped one by one: rows in threads or in worker processes.

Each row restarts itself in the step that ends its game and hands out both pictures, the last of the
old game and the first of the new one. So no autoreset mode has to be undone, and no step that only
resets ever becomes a transition.

Resume is a replay: a row remembers its RNG as it was at the last reset and every action since.
"""

from __future__ import annotations

import functools
import multiprocessing
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np

from rlexp import trees
from rlexp.envs.base import Step, TickMaker
from rlexp.envs.rendering import Renderer
from rlexp.errors import stopped_by
from rlexp.machine import cores
from rlexp.types import SOLO, EnvSpec, Seat, State, Tick, Tree


class Game(Protocol):
    """One game. `rng_state` and `set_rng_state` cover everything random in reset and step.

    Observations have memory of their own; `render` may draw into the same array every time.
    """

    def seed(self, seed: int) -> None: ...
    def reset(self) -> Tree: ...
    def step(self, action: Any) -> tuple[Tree, float, bool, bool, dict[str, float]]: ...
    def rng_state(self) -> State: ...
    def set_rng_state(self, state: State) -> None: ...
    def render(self) -> Any: ...
    def close(self) -> None: ...


class RowStep(NamedTuple):
    next_obs: Tree
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, float]
    obs: Tree
    picture: np.ndarray | None = None  # how a watched game ended


class Row:
    """A game that restarts itself and can be brought back by replaying it."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.render = Renderer(game.render)
        self.at_reset: State = {}
        self.actions: list[Any] = []
        self.watched = False

    def start(self, seed: int) -> Tree:
        self.game.seed(seed)
        return self._reset()

    def _reset(self) -> Tree:
        self.at_reset = self.game.rng_state()
        self.actions = []
        return self.game.reset()

    def step(self, action: Any) -> RowStep:
        self.actions.append(action)
        next_obs, reward, terminated, truncated, info = self.game.step(action)
        if not (terminated or truncated):
            return RowStep(next_obs, reward, terminated, truncated, info, next_obs)
        picture = self.render() if self.watched else None
        return RowStep(next_obs, reward, terminated, truncated, info, self._reset(), picture)

    def state_dict(self) -> State:
        actions = np.asarray(self.actions) if self.actions else None
        return {"at_reset": self.at_reset, "actions": actions}

    def replay(self, state: State, expected: Tree) -> bool:
        """Play the saved game again; False (and a new game) if it comes out differently."""
        self.game.set_rng_state(state["at_reset"])
        obs = self._reset()
        ended = False
        for action in state["actions"] if state["actions"] is not None else ():
            if ended:
                break
            self.actions.append(action)
            obs, _, terminated, truncated, _ = self.game.step(action)
            ended = terminated or truncated
        if not ended and trees.equal(obs, expected):
            return True
        self._reset()
        return False


def _contained[**P, R](method: Callable[P, R]) -> Callable[P, R]:
    """Turns SystemExit and KeyboardInterrupt of a game's code into RunStopped, which says where.

    In a thread or a process of rows nobody else raises them: signals reach the main thread alone.
    """

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except SystemExit as ex:
            raise stopped_by(ex) from ex
        except KeyboardInterrupt as ex:
            ours = threading.current_thread() is threading.main_thread()
            if ours and multiprocessing.parent_process() is None:
                raise
            raise stopped_by(ex) from ex

    return call


class RowGroup:
    """Rows that one thread or one process steps, one after the other."""

    @_contained
    def __init__(self, makers: Sequence[Callable[[], Game]]) -> None:
        self.rows = [Row(make()) for make in makers]

    @_contained
    def start(self, seeds: Sequence[int]) -> list[Tree]:
        return [row.start(seed) for row, seed in zip(self.rows, seeds, strict=True)]

    @_contained
    def step(self, actions: Sequence[Any]) -> list[RowStep]:
        return [row.step(action) for row, action in zip(self.rows, actions, strict=True)]

    def state_dict(self) -> list[State]:
        return [row.state_dict() for row in self.rows]

    @_contained
    def replay(self, states: Sequence[State], expected: Sequence[Tree]) -> list[bool]:
        pairs = zip(self.rows, states, expected, strict=True)
        return [row.replay(state, obs) for row, state, obs in pairs]

    @_contained
    def restart(self, index: int) -> Tree:
        return self.rows[index]._reset()

    @_contained
    def render(self, index: int) -> np.ndarray | None:
        return self.rows[index].render()

    def watch(self, indices: Sequence[int]) -> None:
        for index, row in enumerate(self.rows):
            row.watched = index in indices

    def close(self) -> None:
        for row in self.rows:
            close(row.game)


def close(game: Game) -> None:
    """Close it; one that fails to has nothing left to spoil, so that is told and no more."""
    try:
        game.close()
    except (Exception, SystemExit) as ex:
        warnings.warn(f"close() failed: {type(ex).__name__}: {ex}", stacklevel=1)


class RowsEnv:
    """`num_envs` games in groups; each group is stepped by a thread, or by a process of its own."""

    def __init__(
        self,
        makers: Sequence[Callable[[], Game]],
        spec: EnvSpec,
        workers: int | None,
        processes: bool = False,
    ) -> None:
        self.spec = spec
        count = min(len(makers), workers or cores())
        self.slices = _slices(len(makers), count)
        self.groups: list[Any]
        if processes:
            from rlexp.envs.process import ProcessGroup

            self.groups = [ProcessGroup(makers[s]) for s in self.slices]
        else:
            self.groups = [RowGroup(makers[s]) for s in self.slices]
        self.pool = ThreadPoolExecutor(count, thread_name_prefix="rlexp-env")
        self.ticks = TickMaker(len(makers))
        self._futures: list[Future[list[RowStep]]] = []
        self._actions: Tree | None = None
        self._loaded = False

    def start(self, seed: int) -> Tick:
        if self._loaded:
            self._loaded = False
            return self.ticks.pending()
        children = np.random.SeedSequence(seed).generate_state(len(self.ticks.rows))
        seeds = [int(s) for s in children]
        obs = self._gather("start", [(seeds[s],) for s in self.slices])
        return self.ticks.start(trees.stack(obs))

    def send(self, actions: dict[Seat, Tree]) -> None:
        self._actions = actions[SOLO]
        self._futures = [
            self.pool.submit(group.step, self._actions[s])  # type: ignore[index]
            for group, s in zip(self.groups, self.slices, strict=True)
        ]

    def recv(self) -> Tick:
        assert self._actions is not None, "recv without send"
        actions, self._actions = self._actions, None
        steps = [step for future in self._futures for step in future.result()]
        tick = self.ticks.step(actions, collate(steps))
        pictures = ((row, step.picture) for row, step in enumerate(steps))
        tick.pictures = {row: picture for row, picture in pictures if picture is not None}
        return tick

    def render(self, row: int) -> np.ndarray | None:
        group, index = self._locate(row)
        picture: np.ndarray | None = group.render(index)
        return picture

    def watch(self, rows: Iterable[int]) -> None:
        wanted = set(rows)
        for group, s in zip(self.groups, self.slices, strict=True):
            group.watch([row - s.start for row in range(s.start, s.stop) if row in wanted])

    def state_dict(self) -> State:
        if self.spec.resume == "none":
            return {}
        rows = self._gather("state_dict", [() for _ in self.slices])
        return {"rows": rows, "ticks": self.ticks.state_dict()}

    def load_state_dict(self, state: State) -> None:
        if not state:
            return
        self.ticks.load_state_dict(state["ticks"])
        obs = self.ticks.obs
        assert obs is not None
        each = [trees.take(obs, int(row)) for row in self.ticks.rows]
        same = self._gather("replay", [(state["rows"][s], each[s]) for s in self.slices])
        for row in np.flatnonzero(~np.asarray(same)):
            self._restart(int(row))
        self._loaded = True

    def _restart(self, row: int) -> None:
        warnings.warn(f"the game of row {row} can't be replayed: it starts anew", stacklevel=2)
        group, index = self._locate(row)
        fresh = group.restart(index)
        obs = self.ticks.obs
        if isinstance(obs, dict):
            for name, value in obs.items():
                value[row] = fresh[name]
        else:
            assert obs is not None
            obs[row] = fresh
        self.ticks.first[row] = True
        self.ticks.returns[row] = 0
        self.ticks.lengths[row] = 0

    def _gather(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of every group at once and join the lists they give."""
        pairs = zip(self.groups, arguments, strict=True)
        futures = [self.pool.submit(getattr(g, method), *args) for g, args in pairs]
        return [item for future in futures for item in future.result()]

    def _locate(self, row: int) -> tuple[Any, int]:
        for group, s in zip(self.groups, self.slices, strict=True):
            if s.start <= row < s.stop:
                return group, row - s.start
        raise IndexError(f"no row {row}")

    def close(self) -> None:
        self.pool.shutdown(wait=True)
        for group in self.groups:
            group.close()


def collate(steps: Sequence[RowStep]) -> Step:
    """RowSteps of all rows → arrays. An info key that only some rows give is NaN in the others."""
    names = sorted({name for step in steps for name in step.info})
    info = {
        name: np.array([step.info.get(name, np.nan) for step in steps], dtype=np.float64)
        for name in names
        if name != "score"
    }
    score = None
    if "score" in names:
        score = np.array([step.info["score"] for step in steps])
    next_obs = trees.stack([step.next_obs for step in steps])
    ended = any(step.terminated or step.truncated for step in steps)
    return Step(
        next_obs=next_obs,
        reward=np.array([step.reward for step in steps]),
        terminated=np.array([step.terminated for step in steps], dtype=bool),
        truncated=np.array([step.truncated for step in steps], dtype=bool),
        obs=trees.stack([step.obs for step in steps]) if ended else next_obs,
        info=info,
        score=score,
    )


def _slices(rows: int, count: int) -> list[slice]:
    """`rows` in `count` runs whose lengths differ by one at most."""
    edges = np.linspace(0, rows, count + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]
