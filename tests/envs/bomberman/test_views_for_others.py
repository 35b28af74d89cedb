"""Bomberman held to PettingZoo's and Gymnasium's own checks."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import rlexp
from rlexp.errors import UserError


@pytest.mark.parametrize("more", [["env.observation=picture"], ["env.mask=true"]])
def test_pettingzoo_finds_nothing(more: list[str]) -> None:
    pytest.importorskip("pettingzoo")
    from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
    from pettingzoo.utils.conversions import parallel_to_aec

    game = ["env=bomberman", "env.limit=60", *more]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(rlexp.parallel_env(game), num_cycles=200)
        parallel_seed_test(lambda: rlexp.parallel_env(game), num_cycles=30)
        api_test(parallel_to_aec(rlexp.parallel_env(game)), num_cycles=200)


def test_a_parallel_game() -> None:
    pytest.importorskip("pettingzoo")
    env = rlexp.parallel_env(["env=bomberman", "env.limit=3", "env.mask=true"])
    seen, infos = env.reset(seed=1)
    assert env.agents == env.possible_agents == ["player_0", "player_1"]
    assert env.observation_space("player_0") is env.observation_space("player_0")
    assert infos["player_0"]["action_mask"].tolist() == [1, 0, 1, 1, 0, 1]
    assert seen["player_1"].shape == (1, 13, 11) and env.state().shape == (2 * 13 * 11,)
    for last in (False, False, True):
        assert env.agents == env.possible_agents
        _, rewards, terminations, truncations, infos = env.step({"player_0": 2, "player_1": 0})
        assert terminations == {"player_0": last, "player_1": last} and not any(
            truncations.values()
        )
    assert env.agents == [] and rewards["player_0"] < -9 and "action_mask" not in infos["player_0"]
    assert isinstance(terminations["player_0"], bool) and env.render().ndim == 3
    first, _ = env.reset()
    assert not np.array_equal(first["player_0"], seen["player_0"])
    again, _ = env.reset(seed=1)
    np.testing.assert_array_equal(again["player_0"], seen["player_0"])
    with pytest.raises(ValueError, match="player_1: 6 is no action"):
        env.step({"player_0": 0, "player_1": 6})


def test_the_views_know_who_moves_when() -> None:
    pytest.importorskip("pettingzoo")
    with pytest.raises(UserError, match="seats move at once: rlexp.parallel_env"):
        rlexp.aec_env(["env=bomberman"])
    with pytest.raises(UserError, match="seats move in turn: rlexp.aec_env"):
        rlexp.parallel_env(["env=signaling"])
    with pytest.raises(UserError, match="two seats or more"):
        rlexp.parallel_env(["env=cartpole"])
    with pytest.raises(UserError, match="one seat"):
        rlexp.gym_env(["env=bomberman"])


@pytest.mark.parametrize("rival", ["random", "hunter"])
def test_gymnasium_finds_nothing(rival: str) -> None:
    from gymnasium.utils.env_checker import check_env

    env = rlexp.gym_env(["env=bomberman", f"env.rival={rival}", "env.seat=player_1"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a spec|.*not having a spec")
        warnings.simplefilter("error", category=DeprecationWarning)
        check_env(env, skip_render_check=False)
