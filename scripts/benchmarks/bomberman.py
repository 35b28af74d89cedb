"""Bomberman's speed: rlexp's batch of 256 games against one game in plain Python objects.

    python scripts/benchmarks/bomberman.py

A step is one of one game. The game in Python (bomberman_one.py) is as lean as it can be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from bomberman_one import Game, draw_bricks
from race import Contender, race

ROWS = 256


def board(rows: int) -> Iterator[int]:
    """The rules alone, games that end replaced."""
    games, rng = batch(rows), np.random.default_rng(0)
    actions, done = rng.integers(6, size=(512, rows, 2)), 0
    yield 0
    while True:
        _, over = games.step(actions[done // rows % 512])
        done += rows
        if over.any():
            ended = over.nonzero()[0]
            games.start(ended, rng.integers(2**32, size=len(ended)))
        yield done


def batch(rows: int) -> Any:
    import rlexp
    from rlexp import build

    config = rlexp.compose(["env=bomberman", f"env.num_envs={rows}"]).config.env
    env = build.env(config)
    env.start(0)
    return env.games  # type: ignore[attr-defined]


def environment(observation: str) -> Iterator[int]:
    """All that training sees: both seats' observations, transitions, episodes, restarts."""
    import rlexp
    from rlexp import build

    config = rlexp.compose(
        ["env=bomberman", f"env.num_envs={ROWS}", f"env.observation={observation}"]
    ).config.env
    env = build.env(config)
    seats = list(env.spec.observation_spaces)
    env.start(0)
    actions, done = np.random.default_rng(0).integers(6, size=(512, 2, ROWS)), 0
    yield 0
    while True:
        env.send(dict(zip(seats, actions[done // ROWS % 512], strict=True)))
        done += env.recv().steps
        yield done


def one_game(seen: bool) -> Iterator[int]:
    """Plain Python; `seen`: with both players' views of every board."""
    rng = np.random.default_rng(0)
    game, done = Game(draw_bricks(rng)), 0
    actions = [tuple(pair) for pair in rng.integers(6, size=(512, 2)).tolist()]
    yield 0
    while True:
        game.step(actions[done % 512])
        if seen:
            game.seen(0), game.seen(1)
        done += 1
        if game.over:
            game = Game(draw_bricks(rng))
        yield done


def main() -> None:
    print("the rules alone")
    rules: dict[str, Contender] = {
        "rlexp": (board, ROWS),
        "one game in Python objects": (one_game, False),
    }
    race(rules, blocks=7, steps=40 * ROWS, warm_up=4 * ROWS, title="rules, ")
    print("with what both players see")
    seen: dict[str, Contender] = {
        "rlexp": (environment, "codes"),
        "one game in Python objects": (one_game, True),
        "rlexp, planes": (environment, "planes"),
        "rlexp, pictures": (environment, "picture"),
    }
    race(seen, blocks=7, steps=20 * ROWS, warm_up=4 * ROWS, against="one game in Python objects")


if __name__ == "__main__":
    main()
