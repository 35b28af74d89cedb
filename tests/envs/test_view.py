"""Every environment that is shipped, held to Gymnasium's own checker."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rlexp
from extras import marked
from rlexp.config import paths
from rlexp.envs.bandit import Bandit
from rlexp.envs.base import BatchEnv
from rlexp.envs.cartpole import CartPole
from rlexp.envs.view import GymView
from rlexp.errors import UserError
from rlexp.types import SOLO
from tiny import Corridor

# What an environment can't do without.
NEEDED = {"gym": ["env.id=Acrobot-v1"], "bomberman": ["env.rival=safe_random"]}
# A view has no id to be made by; CartPole's speeds have no bounds, in Gymnasium's space neither;
# Acrobot's pictures need pygame; predictions and steps are numbers without bounds.
NOT_OURS = (
    "not have a spec", "not having a spec", "is -infinity", "is infinity", "no pictures",
    "symmetric and normalized",
)  # fmt: skip


SEATED = ["signaling"]  # test_view_aec.py has them


def view(name: str) -> gymnasium.Env:
    return rlexp.gym_env([f"env={name}", *NEEDED.get(name, [])])


def check(env: gymnasium.Env) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        check_env(env)
    texts = [str(w.message) for w in told]
    assert [t for t in texts if not any(known in t for known in NOT_OURS)] == []


@pytest.mark.parametrize(
    "name", [marked("env", name) for name in sorted(set(paths.options("env")) - set(SEATED))]
)
def test_the_checker_finds_nothing(name: str) -> None:
    env = view(name)
    check(env)
    env.close()


@pytest.mark.parametrize("name", SEATED)
def test_a_game_of_several_seats_has_no_gymnasium_view(name: str) -> None:
    with pytest.raises(UserError, match="has one seat and one row"):
        view(name)


@pytest.mark.parametrize("name", ["cartpole", "bandit", "catcher", "gym"])
def test_these_have_a_view(name: str) -> None:
    view(name).close()


def test_games_end_as_they_do() -> None:
    """The last observation is the game's own, and nothing of the restart shows."""
    env = GymView(Corridor(max_steps=6))
    obs, info = env.reset(seed=0)
    assert obs.tolist() == [1, 0, 0, 0, 0] and info == {}
    for cell in (1, 2, 3):
        obs, reward, terminated, truncated, info = env.step(1)
        assert obs.argmax() == cell and not terminated and not truncated
        assert reward == pytest.approx(-0.1) and info == {"is_success": 0.0}
    obs, reward, terminated, truncated, info = env.step(1)
    assert obs.argmax() == 4 and reward == 1.0 and terminated and not truncated
    assert info == {"is_success": 1.0}
    with pytest.raises(gymnasium.error.ResetNeeded, match="over"):
        env.step(1)
    assert env.reset()[0].argmax() == 0
    for _ in range(6):
        _, _, terminated, truncated, _ = env.step(0)
    assert truncated and not terminated


def play(env: gymnasium.Env, seed: int, games: int) -> list[np.ndarray]:
    """All observations of some games of alternating moves."""
    seen = [env.reset(seed=seed)[0]]
    for game in range(games):
        ended = False
        while not ended:
            obs, _, terminated, truncated, _ = env.step(len(seen) % 2)
            ended = terminated or truncated
            seen.append(obs)
        if game + 1 < games:
            seen.append(env.reset()[0])
    return seen


def test_a_seed_repeats_all_games_that_follow() -> None:
    env = GymView(CartPole(1, max_steps=30))
    first, second, other = play(env, 1, 3), play(env, 1, 3), play(env, 2, 3)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], other[0])
    starts = [env.reset()[0] for _ in range(4)]  # games cut short
    assert len({s.tobytes() for s in starts}) == 4


def test_the_last_picture_is_the_end_of_the_game() -> None:
    env = GymView(CartPole(1, max_steps=500))
    env.reset(seed=0)
    ended = False
    while not ended:
        before = env.render()
        _, _, ended, _, _ = env.step(0)
    last = env.render()
    env.reset()
    assert last.shape == before.shape and not np.array_equal(last, env.render())
    assert not np.array_equal(last, before)


class Walled(Corridor):
    """Cell 0 has a wall on its left."""

    def legal_rows(self) -> np.ndarray:
        return np.stack([self.cell > 0, np.ones(len(self.cell), dtype=bool)], axis=1)


def test_legal_actions_are_in_info() -> None:
    env = GymView(Walled())
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [0, 1] and info["action_mask"].dtype == np.int8
    assert env.action_space.sample(info["action_mask"]) == 1
    assert env.step(1)[4]["action_mask"].tolist() == [1, 1]
    for _ in range(3):
        info = env.step(1)[4]
    assert "action_mask" not in info  # the game is over: nothing is legal or not
    check(env)


def test_what_has_no_view_and_no_action() -> None:
    several: BatchEnv = CartPole(2, max_steps=30)
    with pytest.raises(UserError, match="one seat and one row; this one has 1 and 2"):
        GymView(several)
    env = GymView(Bandit([0.1, 0.9], 1, 10))
    assert env.render_mode is None
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset()
    with pytest.raises(ValueError, match="2 is no action of Discrete"):
        env.step(2)
    assert env.seat == SOLO
