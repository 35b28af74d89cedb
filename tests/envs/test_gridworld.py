"""The grid world: its map, its rewards, its starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlexp
from rlexp.envs.gridworld import GridWorld
from rlexp.types import SOLO

SOURCE = ["...+", ".#.-", "S..."]
UP, DOWN, LEFT, RIGHT = range(4)


def world(layout: list[str] = SOURCE, rows: int = 1, **changes: Any) -> GridWorld:
    values: dict[str, Any] = {
        "goal_reward": 1.0, "pit_reward": -1.0, "move_reward": 0.0,
        "random_start": False, "max_steps": None,
    }  # fmt: skip
    return GridWorld(layout, rows, **(values | changes))


def walk(env: GridWorld, *actions: int) -> list[tuple[float, bool, int]]:
    """(reward, terminated, where it led) of each move of the first row."""
    found = []
    for action in actions:
        env.send({SOLO: np.full(env.spec.num_envs, action)})
        t = env.recv().done[SOLO]
        found.append((float(t.reward[0]), bool(t.terminated[0]), int(t.next_obs[0])))
    return found


def test_the_shipped_map_is_the_sources() -> None:
    config = rlexp.compose(["env=gridworld", "agent=random"]).config.env
    assert config.layout == SOURCE and config.max_steps is None
    assert (config.goal_reward, config.pit_reward, config.move_reward) == (1.0, -1.0, 0.0)


def test_a_walk() -> None:
    env = world()
    assert env.start(0).obs[SOLO].tolist() == [8]
    # The left edge and the wall stop a move; the pit costs its price each time and ends nothing.
    assert walk(env, LEFT, UP, RIGHT, DOWN) == [(0, False, 8), (0, False, 4), (0, False, 4),
                                                (0, False, 8)]  # fmt: skip
    assert walk(env, RIGHT, RIGHT, RIGHT, UP) == [(0, False, 9), (0, False, 10), (0, False, 11),
                                                  (-1, False, 7)]  # fmt: skip
    assert walk(env, RIGHT, LEFT, RIGHT) == [(-1, False, 7), (0, False, 6), (-1, False, 7)]
    env.send({SOLO: np.array([UP])})
    tick = env.recv()
    t = tick.done[SOLO]
    assert t.terminated[0] and t.reward[0] == 1 and t.next_obs[0] == 3
    assert t.info["is_success"][0] == 1.0 and tick.episodes[0].returns[SOLO] == -2.0
    assert tick.obs[SOLO].tolist() == [8]


def test_rewards_are_keys() -> None:
    env = world(["S.+", ".-."], goal_reward=5.0, pit_reward=-3.0, move_reward=-0.5)
    env.start(0)
    assert [r for r, _, _ in walk(env, RIGHT, DOWN, UP, RIGHT)] == [-0.5, -3.0, -0.5, 5.0]


def test_no_step_limit_but_the_one_that_is_set() -> None:
    env = world(max_steps=3)
    env.start(0)
    walk(env, LEFT, LEFT)
    env.send({SOLO: np.array([LEFT])})
    t = env.recv().done[SOLO]
    assert t.truncated[0] and not t.terminated[0]


def test_exploring_starts_cover_what_leads_to_a_goal() -> None:
    env = world(["..+#.", "S-.#."], rows=4000, random_start=True)
    starts = env.start(0).obs[SOLO]
    cells, counts = np.unique(starts, return_counts=True)
    assert cells.tolist() == [0, 1, 5, 6, 7]  # no goal, no wall, none behind the wall
    assert abs(counts - 800).max() < 120
    assert not env.spec.deterministic and world().spec.deterministic
    env.send({SOLO: np.full(4000, UP)})
    tick = env.recv()
    assert len(tick.episodes) == counts[4]  # below the goal
    restarted = tick.obs[SOLO][tick.first]
    assert set(restarted.tolist()) == {0, 1, 5, 6, 7}


def test_state_comes_back() -> None:
    env = world(rows=5, random_start=True)
    env.start(3)
    rng = np.random.default_rng(0)
    for _ in range(30):
        env.send({SOLO: rng.integers(4, size=5)})
        env.recv()
    again = world(rows=5, random_start=True)
    again.load_state_dict(env.state_dict())
    again.start(0)
    for _ in range(60):
        actions = {SOLO: rng.integers(4, size=5)}
        env.send(actions)
        again.send(actions)
        a, b = env.recv(), again.recv()
        np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])
        assert a.episodes == b.episodes


def test_picture_shows_the_player() -> None:
    env = world()
    env.start(0)
    before = env.render(0)
    walk(env, UP)
    after = env.render(0)
    dots = [np.argwhere((p == (213, 94, 0)).all(-1)).mean(0) for p in (before, after)]
    assert dots[0][0] - dots[1][0] == pytest.approx(80, abs=1)


MISTAKES = [
    ("[]", "env.layout is empty"),
    ("[S..+,.]", "env.layout, line 2 has length 1, line 1 has length 4"),
    ("[S.x+]", "env.layout, line 1, column 3: 'x' is none of '.', '#', 'S', '+', '-'"),
    ("[...+]", "env.layout has no S: draw exactly one start"),
    ("[S.S+]", "env.layout has 2 S (line 1, column 1; line 1, column 3)"),
    ("[S...]", "env.layout has no +: draw a goal"),
    ('["S#.+"]', "env.layout: no path leads from S to a goal (+)"),
]


@pytest.mark.parametrize(("layout", "message"), MISTAKES)
def test_a_wrong_map_is_one_line(
    main: Callable[..., tuple[int, str, str]], own_folder: Path, layout: str, message: str
) -> None:
    code, out, err = main("train", "env=gridworld", "agent=q_learning", f"env.layout={layout}")
    assert code == 2 and message in err and err.startswith("rlexp: ")
    assert err.count("\n") == 1 and out == "" and list(own_folder.iterdir()) == []
