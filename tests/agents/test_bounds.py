"""Continuous policies on whole-number boxes: every number has an equal share of what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, MultiDiscrete

from rlexp.agents.bounds import Bounds
from rlexp.agents.dreamer.player import Actions
from rlexp.clock import Clock
from rlexp.envs.base import BatchEnv
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, EnvSpec, State, Tree


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(-1, 1, np.int32), (0, 1, np.int8), (0, 9, np.int64), (3, 7, np.uint8), (0, 1, np.bool_)],
)
def test_whole_numbers_own_equal_cells(low: int, high: int, kind: Any) -> None:
    bounds = Bounds(Box(low, high, (1,), kind))
    drawn = np.linspace(-1, 1, 20_001)[:-1, None]
    numbers, counts = np.unique(bounds.outside(drawn).astype(int), return_counts=True)
    assert numbers.tolist() == list(range(low, high + 1))
    assert counts.max() - counts.min() <= 2
    assert bounds.outside(drawn).dtype == kind
    # A number goes back to the middle of its cell, and from there to itself.
    every = np.arange(low, high + 1).astype(kind)[:, None]
    np.testing.assert_array_equal(bounds.outside(bounds.inside(every)), every)


def test_a_policy_beyond_its_range_stays_within_the_bounds() -> None:
    drawn = np.array([[-50.0], [-1.0], [1.0], [50.0]])
    assert Bounds(Box(-1, 1, (1,), np.int32)).outside(drawn).ravel().tolist() == [-1, -1, 1, 1]
    wide = np.iinfo(np.int64)
    ends = Bounds(Box(wide.min, wide.max, (1,), np.int64)).outside(drawn * 1e30).ravel().tolist()
    assert ends == [wide.min] * 2 + [wide.max] * 2


def test_whole_numbers_without_bounds_are_the_nearest_ones() -> None:
    bounds = Bounds(Box(-np.inf, np.inf, (2,), np.int32))
    assert not bounds.finite.any()
    np.testing.assert_array_equal(bounds.outside(np.array([[1.6, -0.2]])), [[2, 0]])


def test_bounds_of_entries_differ() -> None:
    low, high = np.array([0, 5, -3]), np.array([1, 5, 3])
    bounds = Bounds(Box(low, high, dtype=np.int16))
    drawn = np.random.default_rng(0).uniform(-1, 1, (2000, 3))
    seen = bounds.outside(drawn)
    for entry in range(3):
        assert np.unique(seen[:, entry]).tolist() == list(range(low[entry], high[entry] + 1))
    assert (bounds.inside(seen)[:, 1] == 0).all()


def test_a_box_without_axes_is_one_entry() -> None:
    for kind in (np.float32, np.int32):
        bounds = Bounds(Box(-2, 2, (), kind))
        played = bounds.outside(np.array([[0.1], [1.0]]))
        assert played.shape == (2,) and played[1] == 2
        assert bounds.inside(played).shape == (2, 1)


class Whole(BatchEnv):
    """Pays 1 for the largest whole number of three; ten moves an episode."""

    def __init__(self, num_envs: int = 4) -> None:
        seen, actions = Box(-1, 1, (2,), np.float32), Box(-1, 1, (1,), np.int32)
        super().__init__(EnvSpec({SOLO: seen}, {SOLO: actions}, num_envs), 10)

    def reset_rows(self, rows: np.ndarray) -> None:
        pass

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray) and actions.dtype == np.int32
        paid = (actions[:, 0] == 1).astype(float)
        return paid, np.zeros(len(paid), bool), {}

    def observe_rows(self) -> Tree:
        return np.zeros((self.spec.num_envs, 2), np.float32)

    def game_state(self) -> State:
        return {}

    def load_game_state(self, state: State) -> None:
        pass


@pytest.mark.parametrize(
    ("agent", "keys"),
    [
        ("sac", ["agent.learning_starts=100", "agent.hidden=[16]", "agent.batch_size=32"]),
        ("ppo", ["agent.rollout_steps=50", "agent.lr=1e-2"]),
        ("a2c", ["agent.rollout_steps=10", "agent.lr=1e-2"]),
    ],
)
def test_agents_find_the_best_whole_number(agent: str, keys: list[str]) -> None:
    import rlexp
    from rlexp import build

    config = rlexp.compose([f"agent={agent}", *keys, "device=cpu", "device.threads=1"]).config
    env = Whole()
    team = build.team(config, build.plan(config, env.spec))
    assert isinstance(team, Solo)
    early: list[int] = []
    for turn in train(team, env, Clock(total_steps=2400), 0):
        early += turn.tick.done[SOLO].action.ravel().tolist() if turn.clock.steps <= 100 else []
    assert set(early) == {-1, 0, 1}
    greedy = team.policy(greedy=True, seed=0)
    assert greedy(env.start(0))[SOLO].tolist() == [[1]] * 4


def test_dreamer_remembers_the_whole_number_it_played() -> None:
    actions = Actions(Box(-1, 1, (1,), np.int32))
    played = actions.decode(np.array([[-0.9], [-0.1], [0.2], [0.9]], np.float32))
    assert played.ravel().tolist() == [-1, 0, 0, 1]
    np.testing.assert_allclose(actions.encode(played).ravel(), [-2 / 3, 0, 0, 2 / 3], rtol=1e-6)
    drawn = actions.random(np.random.default_rng(0), 900, None).ravel()
    assert min(np.unique(drawn, return_counts=True)[1]) > 250


@pytest.mark.parametrize("agent", ["ppo", "a2c", "reinforce", "random"])
@pytest.mark.parametrize("space", [MultiDiscrete([[2, 3, 4], [5, 2, 2]]), Box(-1, 1, ())])
def test_actions_have_the_shape_of_their_space(agent: str, space: Any) -> None:
    import rlexp
    from rlexp import build

    class Shaped(Whole):
        def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
            assert isinstance(actions, np.ndarray) and actions.shape == (4, *space.shape)
            assert all(space.contains(np.asarray(a, space.dtype)) for a in actions)
            return np.ones(4), np.zeros(4, bool), {}

    small = {"ppo": ["agent.rollout_steps=20"], "reinforce": ["agent.episodes=2"]}.get(agent, [])
    config = rlexp.compose([f"agent={agent}", *small, "device=cpu", "device.threads=1"]).config
    env = Shaped()
    env.spec.action_spaces[SOLO] = space
    team: Any = build.team(config, build.plan(config, env.spec))
    turns = list(train(team, env, Clock(total_steps=160), 0))
    assert agent == "random" or any(turn.metrics for turn in turns)
    greedy = team.policy(greedy=True, seed=0)(env.start(0))[SOLO]
    assert greedy.shape == (4, *space.shape)
