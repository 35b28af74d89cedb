"""The generic evaluation, used while training and by `rlexp eval`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rlexp.envs.rendering import Renderer
from rlexp.recording import FrameRecorder
from rlexp.statistics import mean_interval, share_interval
from rlexp.types import Env, EnvSpec, Needs, Seat, Tick, Tree

Act = Callable[[Tick], dict[Seat, Tree]]
Place = tuple[int, int]
"""(row, how many games that row had finished before): names one game of an evaluation."""


@dataclass(frozen=True)
class Repetition:
    """Say which episodes of an evaluation are one another's repetition.

    by_start  nothing is drawn once an episode has started: an equal start is an equal episode
    single    all starts are equal, too
    learners  row r plays learner r modulo this
    """

    by_start: bool = False
    single: bool = False
    learners: int = 1

    @classmethod
    def of(cls, spec: EnvSpec, greedy: bool, needs: Needs, num_envs: int) -> Repetition:
        """Read it off what environment and agent declare; `num_envs` is that of training."""
        if not greedy or needs.stochastic_when_greedy:
            return cls()
        return cls(
            spec.deterministic or spec.random_starts_only,
            spec.deterministic,
            num_envs if needs.rows == "independent" else 1,
        )

    def enough(self, episodes: int) -> int:
        """Return how many of `episodes` to play: one a learner, where more would only repeat it."""
        return min(episodes, self.learners) if self.single else episodes


INDEPENDENT = Repetition()


@dataclass
class Played:
    """One evaluation game. `fingerprint` is empty where episodes are independent."""

    place: Place
    returns: dict[Seat, float]
    length: int
    success: bool | None
    fingerprint: bytes
    cut: bool = False
    info: dict[str, float] = field(default_factory=dict)
    rival: str = ""


@dataclass
class Evaluation:
    """Games in the order of their places, and the pictures of those that were watched."""

    games: list[Played]
    frames: dict[Place, FrameRecorder] = field(default_factory=dict)
    repetition: Repetition = INDEPENDENT

    def sample(self, rival: str | None = None) -> Sample:
        """Return all episodes, or those against one rival, with what their intervals go by."""
        games = [game for game in self.games if rival is None or game.rival == rival]
        if not self.repetition.by_start:
            return Sample(games, None)
        single, learners = self.repetition.single, self.repetition.learners
        keys = [
            (g.place[0] % learners, "" if single else g.rival, b"" if single else g.fingerprint)
            for g in games
        ]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return Sample(games, [numbers[key] for key in keys])

    def summary(self) -> dict[str, Any]:
        """What `rlexp eval` reports; an interval is None where there is nothing to infer from."""
        sample = self.sample()
        return_mean, return_ci = sample.mean([next(iter(g.returns.values())) for g in self.games])
        metrics: dict[str, Any] = {
            "episodes": len(self.games),
            "played": len(self.games),  # as in files from before all episodes counted
            "distinct_starts": sample.distinct_starts,
            "cut": sum(game.cut for game in self.games),
            "return_mean": return_mean,
            "return_ci": return_ci,
            "length_mean": float(np.mean([g.length for g in self.games])),
            "success_rate": None,
            "success_ci": None,
        }
        if any(g.success is not None for g in self.games):
            rate, interval = sample.rate([bool(g.success) for g in self.games])
            metrics |= {"success_rate": rate, "success_ci": interval}
        return metrics

    def best_and_median(self) -> dict[str, Played]:
        """The games to show."""
        ranked = sorted(self.games, key=lambda g: next(iter(g.returns.values())))
        return {"best": ranked[-1], "median": ranked[(len(ranked) - 1) // 2]}


@dataclass(frozen=True)
class Sample:
    """Episodes, and the number of each one's start where equal starts are equal episodes.

    Means are over all episodes. Intervals take them as independent; with `starts` they are a
    bootstrap over the distinct ones, each with all of its episodes, and one start gives none.
    """

    games: Sequence[Played]
    starts: Sequence[int] | None

    @property
    def distinct_starts(self) -> int | None:
        """Return how many starts differ; None where episodes are independent."""
        return None if self.starts is None else len(set(self.starts))

    def mean(self, values: Sequence[float]) -> tuple[float, list[float] | None]:
        """Return the mean of a value an episode, and its interval."""
        return float(np.mean(values)), _pair(mean_interval(values, self.starts))

    def rate(self, true: Sequence[bool]) -> tuple[float, list[float] | None]:
        """Return the share of the episodes of which something is true, and its interval."""
        return sum(true) / len(true), _pair(share_interval(true, self.starts))


def evaluate(
    env: Env,
    act: Act,
    episodes: int,
    seed: int,
    watch: Iterable[Place] = (),
    max_steps: int | None = None,
    each_step: Callable[[], None] | None = None,
    repetition: Repetition = INDEPENDENT,
) -> Evaluation:
    """Play `episodes` games; record the pictures of the games in `watch`.

    Every row plays its share and no more: taking the first games to end would favour short ones.
    A game that has not ended after `max_steps` moves counts as it stands; its row plays no more.
    `each_step` is called on every step; what it raises ends the evaluation.

    Where `repetition` says that an equal start is an equal episode, the whole episode tells its
    start: every observation, action and reward. First observations would not do: Mario's first
    picture is the same after any number of frames without a button.
    """
    rows = env.spec.num_envs
    share = [len(range(row, episodes, rows)) for row in range(rows)]
    hashes = [hashlib.blake2b(digest_size=8) for _ in range(rows)]
    result = Evaluation([], {place: FrameRecorder() for place in watch}, repetition)
    finished = [0] * rows
    moves = np.zeros(rows, dtype=np.int64)
    sums: dict[Seat, np.ndarray] = {}
    render = Renderer(env.render)

    def fingerprint(row: int) -> bytes:
        return hashes[row].digest() if repetition.by_start else b""

    env.watch({row for row, _ in result.frames})
    tick = env.start(seed)
    while any(done < wanted for done, wanted in zip(finished, share, strict=True)):
        if each_step is not None:
            each_step()
        for (row, nth), frames in result.frames.items():
            if finished[row] == nth:
                picture = render(row)
                if picture is not None:
                    frames.append(picture)
        shown, actions = tick.obs, act(tick)
        env.send(actions)
        tick = env.recv()
        for row, picture in tick.pictures.items():
            last = result.frames.get((row, finished[row]))
            if last is not None:
                last.append(picture)
        if repetition.by_start:
            for row in range(rows):
                _update(hashes[row], shown, row)
                _update(hashes[row], actions, row)
        moves += tick.steps > 0  # where seats move in turn, a move of each makes one step
        for seat, transition in tick.done.items():
            sums.setdefault(seat, np.zeros(rows))[transition.rows] += transition.gain
            if repetition.by_start:
                for moved, reward in zip(transition.rows, transition.reward, strict=True):
                    hashes[moved].update(reward.tobytes())
        for episode in tick.episodes:
            row = episode.row
            if finished[row] < share[row]:
                success = episode.info.get("is_success")
                result.games.append(
                    Played(
                        (row, finished[row]),
                        episode.returns,
                        episode.length,
                        None if success is None else bool(success),
                        fingerprint(row),
                        info=episode.info,
                    )
                )
            finished[row] += 1
            hashes[row] = hashlib.blake2b(digest_size=8)
            moves[row] = 0
            for total in sums.values():
                total[row] = 0
        for row in map(int, np.flatnonzero(moves >= (max_steps or np.inf))):
            if finished[row] < share[row]:
                returns = {seat: float(total[row]) for seat, total in sums.items()}
                place = (row, finished[row])
                # Where games tell of success, one that did not come to its end is none.
                known = any("is_success" in t.info for t in tick.done.values())
                failed = False if known else None
                length = int(moves[row])
                cut = Played(place, returns, length, failed, fingerprint(row), cut=True)
                result.games.append(cut)
                share[row] = finished[row]
    if any(game.success is not None for game in result.games):
        # Some environments tell of success alone: where nothing was told there was none.
        result.games = [replace(game, success=bool(game.success)) for game in result.games]
    result.games.sort(key=lambda game: (game.place[1], game.place[0]))
    return result


def _update(digest: Any, trees: dict[Seat, Tree], row: int) -> None:
    for tree in trees.values():
        for array in tree.values() if isinstance(tree, dict) else (tree,):
            digest.update(np.ascontiguousarray(array[row]).tobytes())


def _pair(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
