"""The batch of games against one game in plain Python objects, which shares no code with it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bomberman_boards import SOURCE
from rlexp.envs.bomberman.games import Games, inner
from rlexp.envs.bomberman.rules import Rules
from rlexp.envs.bomberman.views import Codes

FILE = Path(__file__).parents[3] / "scripts/benchmarks/bomberman_one.py"


def one_game() -> Any:
    spec = importlib.util.spec_from_file_location("bomberman_one", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bomberman_one"] = module
    spec.loader.exec_module(module)
    return module.Game


@pytest.mark.parametrize("chain_at_once", [False, True])
@pytest.mark.parametrize(
    ("bombs", "max_bombs", "width", "height", "limit", "reach"),
    [(2, 20, 13, 11, 800, 14), (5, 6, 13, 11, 60, 14), (8, 20, 9, 9, 300, 3), (3, 20, 5, 7, 90, 2)],
)
def test_boards_lives_and_rewards_are_equal(
    bombs: int, max_bombs: int, width: int, height: int, limit: int, reach: int, chain_at_once: bool
) -> None:
    """Random play, 8 games, 250 steps: 16,000 steps over all cases."""
    make, count = one_game(), 8
    rules = Rules(
        **SOURCE
        | {"bombs": bombs, "max_bombs": max_bombs, "width": width, "height": height}
        | {"limit": limit, "reach": reach, "chain_at_once": chain_at_once}
        | {"bricks": width * height // 4}
    )
    view, rng = Codes(rules, turned=False), np.random.default_rng(bombs)
    games = Games(rules, count)
    games.start(np.arange(count), np.arange(count))

    def twin(row: int) -> Any:
        bricks = [tuple(cell) for cell in np.argwhere(inner(games.board[row], rules) == 2)]
        return make(bricks, width, height, rules.lives, bombs, max_bombs, reach, rules.fuse,
                    limit, chain_at_once)  # fmt: skip

    twins, ended = [twin(row) for row in range(count)], 0
    for _ in range(250):
        # Bombs often enough for chains, moves often enough to get away at times.
        actions = rng.choice(6, p=[0.05, 0.2, 0.2, 0.2, 0.2, 0.15], size=(count, 2))
        paid, over = games.step(actions)
        seen = [view.see(games, seat, slice(None)) for seat in (0, 1)]
        for row, game in enumerate(twins):
            reward = game.step(tuple(actions[row].tolist()))
            np.testing.assert_array_equal(inner(games.board[row], rules), game.board)
            np.testing.assert_allclose(paid[row], reward, rtol=0, atol=1e-12)
            assert games.lives[row].tolist() == [p.lives for p in game.players]
            assert games.hits[row].tolist() == [p.hits for p in game.players]
            assert games.self_hits[row].tolist() == [p.self_hits for p in game.players]
            assert bool(over[row]) == game.over
            for seat in (0, 1):
                np.testing.assert_array_equal(seen[seat][row], game.seen(seat))
        for row in np.flatnonzero(over):
            games.start(np.array([row]), rng.integers(2**32, size=1))
            twins[row], ended = twin(row), ended + 1
    assert ended > 0
