"""The generic evaluation, used while training and by `rlexp eval`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rlexp.recording import FrameRecorder
from rlexp.statistics import mean_interval, rate_interval
from rlexp.types import Env, Seat, Tick, Tree

Act = Callable[[Tick], dict[Seat, Tree]]
Place = tuple[int, int]
"""(row, how many games that row had finished before): names one game of an evaluation."""


@dataclass
class Played:
    """One evaluation game."""

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

    @property
    def distinct(self) -> list[Played]:
        """Deterministic play repeats itself: identical games count once.

        A game of one move is a draw, not a path, so it always counts.
        """
        seen: dict[bytes, Played] = {}
        for index, game in enumerate(self.games):
            key = game.fingerprint if game.length > 1 else str(index).encode()
            key += game.rival.encode()
            seen.setdefault(key, game)
        return list(seen.values())

    def summary(self) -> dict[str, Any]:
        """What `rlexp eval` reports; an interval is None where there is nothing to infer from."""
        games = self.distinct
        returns = [next(iter(g.returns.values())) for g in games]
        found: dict[str, Any] = {
            "episodes": len(games),
            "played": len(self.games),
            "cut": sum(game.cut for game in self.games),
            "return_mean": float(np.mean(returns)),
            "return_ci": _pair(mean_interval(returns)),
            "length_mean": float(np.mean([g.length for g in games])),
            "success_rate": None,
            "success_ci": None,
        }
        if any(g.success is not None for g in games):
            successes = sum(bool(g.success) for g in games)
            found["success_rate"] = successes / len(games)
            found["success_ci"] = _pair(rate_interval(successes, len(games)))
        return found

    def best_and_median(self) -> dict[str, Played]:
        """The games to show."""
        ranked = sorted(self.distinct, key=lambda g: next(iter(g.returns.values())))
        return {"best": ranked[-1], "median": ranked[(len(ranked) - 1) // 2]}


def evaluate(
    env: Env,
    act: Act,
    episodes: int,
    seed: int,
    watch: Iterable[Place] = (),
    max_steps: int | None = None,
    each_step: Callable[[], None] | None = None,
) -> Evaluation:
    """Play `episodes` games; record the pictures of the games in `watch`.

    Every row plays its share and no more: taking the first games to end would favour short ones.
    A game that has not ended after `max_steps` moves counts as it stands; its row plays no more.
    `each_step` is called on every step; what it raises ends the evaluation.
    """
    rows = env.spec.num_envs
    share = [len(range(row, episodes, rows)) for row in range(rows)]
    hashes = [hashlib.blake2b(digest_size=8) for _ in range(rows)]
    result = Evaluation([], {place: FrameRecorder() for place in watch})
    finished = [0] * rows
    moves = np.zeros(rows, dtype=np.int64)
    sums: dict[Seat, np.ndarray] = {}
    env.watch({row for row, _ in result.frames})
    tick = env.start(seed)
    while any(done < wanted for done, wanted in zip(finished, share, strict=True)):
        if each_step is not None:
            each_step()
        for opened in np.flatnonzero(tick.first):
            _update(hashes[opened], tick.obs, int(opened))
        for (row, nth), frames in result.frames.items():
            if finished[row] == nth:
                picture = env.render(row)
                if picture is not None:
                    frames.append(picture)
        actions = act(tick)
        env.send(actions)
        tick = env.recv()
        for row, picture in tick.pictures.items():
            last = result.frames.get((row, finished[row]))
            if last is not None:
                last.append(picture)
        for row in range(rows):
            _update(hashes[row], actions, row)
        moves += tick.steps > 0  # where seats move in turn, a move of each makes one step
        for seat, transition in tick.done.items():
            sums.setdefault(seat, np.zeros(rows))[transition.rows] += transition.gain
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
                        hashes[row].digest(),
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
                place, digest = (row, finished[row]), hashes[row].digest()
                # Where games tell of success, one that did not come to its end is none.
                known = any("is_success" in t.info for t in tick.done.values())
                failed = False if known else None
                cut = Played(place, returns, int(moves[row]), failed, digest, cut=True)
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
