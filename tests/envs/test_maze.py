"""The maze: its map, its rules, and the exact solution of a policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlexp
from rlexp.agents.tabular_policy_gradient import softmax
from rlexp.envs.maze import NAMES, Maze, expected_steps
from rlexp.types import SOLO

SOURCE = ["#######", "#S    #", "# # ###", "# #   #", "# ### #", "#   #G#", "#######"]
CORRIDOR = ["#######", "#S   G#", "#######"]
UP, RIGHT, DOWN, LEFT = range(4)


def maze(layout: list[str], rows: int, **changes: Any) -> Maze:
    values: dict[str, Any] = {"reward": "inverse", "max_steps": None}
    return Maze(layout, rows, **(values | changes))


def move(env: Maze, *actions: int) -> tuple[float, bool, bool, int]:
    """(reward, terminated, truncated, where it led) of the first row."""
    env.send({SOLO: np.array(actions)})
    t = env.recv().done[SOLO]
    return float(t.reward[0]), bool(t.terminated[0]), bool(t.truncated[0]), int(t.next_obs[0])


def test_the_shipped_map_has_the_sources_open_moves() -> None:
    config = rlexp.compose(["env=maze", "agent=random"]).config.env
    assert config.layout == SOURCE
    world = maze(SOURCE, 1)
    moves = [{NAMES[a] for a in np.flatnonzero(~closed)} for closed in world.walls]
    assert moves[:8] == [
        {"right", "down"}, {"right", "down", "left"}, {"left"}, {"up", "down"},
        {"up", "right"}, {"down", "left"}, {"up", "right"}, {"left"},
    ]  # fmt: skip
    assert (world.start_cell, world.goal) == (0, 8)
    # A wall has two sides.
    for cell, closed in enumerate(world.walls):
        for action in np.flatnonzero(~closed):
            assert not world.walls[world.following[cell, action], (action + 2) % 4]


def test_a_game_earns_one_over_its_length() -> None:
    env = maze(SOURCE, 2)
    tick = env.start(0)
    assert tick.obs[SOLO].tolist() == [0, 0] and tick.obs[SOLO].dtype == np.int64
    assert tick.legal is not None
    assert tick.legal[SOLO].tolist() == [[False, True, True, False]] * 2
    path = [(DOWN, 3), (UP, 0), (RIGHT, 1), (DOWN, 4), (RIGHT, 5)]
    for action, cell in path:
        assert move(env, action, RIGHT) == (0.0, False, False, cell)
    env.send({SOLO: np.array([DOWN, LEFT])})
    tick = env.recv()
    t = tick.done[SOLO]
    assert t.terminated.tolist() == [True, False] and t.next_obs[0] == 8
    assert t.reward[0] == pytest.approx(1 / 6) and t.info["is_success"].tolist() == [1.0, 0.0]
    (episode,) = tick.episodes
    assert episode.length == 6 and episode.returns[SOLO] == pytest.approx(1 / 6)
    assert tick.obs[SOLO].tolist() == [0, 1]  # the first row has begun anew
    assert tick.legal is not None and tick.legal[SOLO][1].tolist() == [False, True, True, True]


def test_a_reward_for_values_of_cells() -> None:
    env = maze(CORRIDOR, 1, reward="step")
    env.start(0)
    assert move(env, RIGHT) == (-1.0, False, False, 1)
    assert move(env, RIGHT) == (-1.0, True, False, 2)


def test_a_move_against_a_wall_leads_nowhere() -> None:
    env = maze(SOURCE, 1)
    env.start(0)
    assert move(env, UP) == (0.0, False, False, 0)


def test_a_limit_truncates_and_earns_nothing() -> None:
    env = maze(SOURCE, 1, max_steps=2)
    env.start(0)
    move(env, RIGHT)
    assert move(env, LEFT) == (0.0, False, True, 0)


def test_state_comes_back() -> None:
    env = maze(SOURCE, 3, max_steps=50)
    tick = env.start(0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        env.send({SOLO: rng.integers(4, size=3)})
        tick = env.recv()
    again = maze(SOURCE, 3, max_steps=50)
    again.load_state_dict(env.state_dict())
    pending = again.start(9)
    np.testing.assert_array_equal(pending.obs[SOLO], tick.obs[SOLO])
    assert pending.legal is not None and tick.legal is not None
    np.testing.assert_array_equal(pending.legal[SOLO], tick.legal[SOLO])
    for _ in range(60):
        actions = {SOLO: rng.integers(4, size=3)}
        env.send(actions)
        again.send(actions)
        assert env.recv().episodes == again.recv().episodes


def test_expected_steps_by_hand() -> None:
    """Corridor: t1 = 1 + (1 - p) t0, t0 = 1 + t1, so t0 = 2/p."""
    world = maze(CORRIDOR, 1)
    chances = np.zeros((3, 3, 4))
    for row, p in enumerate((1.0, 0.5, 0.1)):
        chances[row, 0, RIGHT] = 1.0
        chances[row, 1, RIGHT], chances[row, 1, LEFT] = p, 1 - p
    np.testing.assert_allclose(expected_steps(world, chances), [2, 4, 20])


def test_expected_steps_are_what_play_takes() -> None:
    world = maze(SOURCE, 4000)
    policy = softmax(np.ones((1, 9, 4)), ~world.walls)
    exact = expected_steps(world, policy)[0]
    assert exact == pytest.approx(46.0)
    rng = np.random.default_rng(0)
    tick = world.start(0)
    lengths: dict[int, int] = {}
    while len(lengths) < 4000:  # the first game of each row
        legal = tick.legal[SOLO]  # type: ignore[index]
        world.send({SOLO: np.where(legal, rng.random(legal.shape), -1).argmax(1)})
        tick = world.recv()
        for episode in tick.episodes:
            lengths.setdefault(episode.row, episode.length)
    found = np.array(list(lengths.values()))
    assert abs(found.mean() - exact) < 3 * found.std() / np.sqrt(len(found))


def test_who_never_arrives_needs_infinitely_many_steps() -> None:
    world = maze(CORRIDOR, 1)
    chances = np.zeros((1, 3, 4))
    chances[0, 0, RIGHT] = chances[0, 1, LEFT] = 1.0
    assert np.isinf(expected_steps(world, chances)).all()


def test_cells_that_are_walled_in_are_left_out() -> None:
    world = maze(["#########", "#S G#   #", "#########"], 1)
    policy = softmax(np.ones((1, 4, 4)), np.ones((4, 4), dtype=bool))
    policy[0, 0] = [0, 1, 0, 0]
    np.testing.assert_allclose(expected_steps(world, policy), [1])


def test_picture_shows_the_player() -> None:
    env = maze(SOURCE, 1)
    env.start(0)
    before = env.render(0)
    move(env, RIGHT)
    after = env.render(0)
    dots = [np.argwhere((p == (213, 94, 0)).all(-1)).mean(0) for p in (before, after)]
    assert dots[1][1] - dots[0][1] == pytest.approx(80, abs=1)
    assert dots[1][0] == pytest.approx(dots[0][0], abs=0.5)


MISTAKES = [
    ("[]", "env.layout is empty"),
    ('["#####","#S G"]', "env.layout, line 2 has length 4, line 1 has length 5"),
    ('["#####","#S.G#","#####"]', "env.layout, line 2, column 3: '.' is none of ' ', '#', 'S'"),
    ('["#####","#  G#","#####"]', "env.layout has no S: draw exactly one start"),
    ('["#####","#S  #","#####"]', "env.layout has no G: draw exactly one goal"),
    (
        '["#######","#S G G#","#######"]',
        "has 2 G (line 2, column 4; line 2, column 6): draw exactly",
    ),
    ('["#####","#S#G#","#####"]', "env.layout: no path leads from S to G"),
    ('["####","#SG#","####"]', "3 lines of 4 characters: a maze has an odd number of both"),
    ('["#######","#SG   #","#######"]', "column 3: G stands between cells"),
    ('["#######","#S G ##","#######"]', "line 2, column 6: # fills a cell"),
    ('["#####","#S G ","#####"]', "line 2, column 5: the outer wall has a gap"),
]


@pytest.mark.parametrize(("layout", "message"), MISTAKES)
def test_a_wrong_map_is_one_line(
    main: Callable[..., tuple[int, str, str]], own_folder: Path, layout: str, message: str
) -> None:
    code, out, err = main("train", "env=maze", f"env.layout={layout}")
    assert code == 2 and message in err and err.startswith("rlexp: ")
    assert err.count("\n") == 1 and out == "" and list(own_folder.iterdir()) == []
