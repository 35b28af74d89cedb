"""The signaling game held to PettingZoo's own checks."""

from __future__ import annotations

import builtins
import importlib
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import rlexp
from rlexp.errors import UserError

GAME = ["env=signaling", "env.classes=3", "env.length=2", "env.vocabulary=3"]
# What follows from two seats that see and do different things.
UNEQUAL_SPACES = {
    "Observations have different number of dimensions",
    "Agents have different observation space sizes",
    # A message is MultiDiscrete.
    "Action space for each agent probably should be gymnasium.spaces.box or "
    "gymnasium.spaces.discrete",
}


@pytest.fixture
def env() -> Any:
    pytest.importorskip("pettingzoo")
    made = rlexp.aec_env(GAME)
    yield made
    made.close()


def test_pettingzoo_finds_nothing_else(env: Any) -> None:
    from pettingzoo.test import api_test, seed_test

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        api_test(env, num_cycles=1000)
        seed_test(lambda: rlexp.aec_env(GAME), num_cycles=10)
    assert {str(w.message) for w in told} <= UNEQUAL_SPACES


def test_a_game(env: Any) -> None:
    env.reset(seed=1)
    assert env.possible_agents == env.agents == ["sender_0", "receiver_0"]
    assert env.agent_selection == "sender_0"
    assert not env.observe("receiver_0").any()
    picture, reward, terminated, truncated, info = env.last()
    assert (reward, terminated, truncated, info) == (0, False, False, {})
    target = int(env.env.pictures.training.classes[env.env.image[0]])
    env.step(np.array([2, 0]))
    assert env.agent_selection == "receiver_0" and env.rewards == dict.fromkeys(env.agents, 0)
    assert env.last()[0].tolist() == [0, 0, 1, 1, 0, 0]
    np.testing.assert_array_equal(env.observe("sender_0"), picture)
    assert env.state().shape == (3 * 32 * 32 + 6,) and env.state() in env.state_space
    before = env.render()
    env.step(target)
    assert not np.array_equal(env.render(), before)  # the answer, on the same picture
    np.testing.assert_array_equal(env.render()[:195], before[:195])
    for agent in ("sender_0", "receiver_0"):
        _, reward, terminated, truncated, info = env.last()
        assert env.agent_selection == agent
        assert (reward, terminated, truncated) == (1.0, True, False)
        assert info["target"] == target and info["is_success"] == 1
        env.step(None)
    assert env.agents == []


def play(env: Any, seed: int | None, games: int) -> list[bytes]:
    seen = []
    for number in range(games):
        env.reset(seed=seed if number == 0 else None)
        for agent in env.agent_iter():
            obs, _, terminated, _, _ = env.last()
            seen.append(obs.tobytes())
            env.step(None if terminated else np.array([1, 1]) if agent == "sender_0" else 0)
    return seen


def test_a_seed_repeats_all_games_that_follow(env: Any) -> None:
    first = play(env, 1, 4)
    assert play(env, 1, 4) == first and play(env, 2, 4) != first
    assert len(set(first[::4])) > 1  # not one game again and again
    env.reset(seed=1)
    starts = []
    for _ in range(5):  # games cut short
        env.reset()
        starts.append(env.last()[0].tobytes())
    assert len(set(starts)) > 1


def test_mistakes(env: Any) -> None:
    env.reset(seed=0)
    for action in (np.array([3, 0]), np.array([0]), 1):
        with pytest.raises(ValueError, match="no action of MultiDiscrete"):
            env.step(action)
    with pytest.raises(UserError, match="two seats or more and one row; this one has 1 and 1"):
        rlexp.aec_env(["env=cartpole"])
    with pytest.raises(UserError, match="one seat"):
        rlexp.gym_env(GAME)


def test_without_pettingzoo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rlexp.envs.view_aec", raising=False)
    real = builtins.__import__

    def absent(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("pettingzoo"):
            raise ModuleNotFoundError("No module named 'pettingzoo'", name="pettingzoo")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UserError, match=r"rlexp\[pettingzoo\]"):
        rlexp.aec_env(GAME)
    monkeypatch.setattr(builtins, "__import__", real)
    importlib.invalidate_caches()
