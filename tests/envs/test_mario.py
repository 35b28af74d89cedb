"""The real game: rewards, pictures, ends, starts and resume."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from gym_super_mario_bros.smb_env import SuperMarioBrosEnv

from rlexp import registry
from rlexp.api import compose
from rlexp.build import fields
from rlexp.envs import mario
from rlexp.envs.retries import Retries
from rlexp.envs.wrappers import Pixels
from rlexp.errors import UserError
from rlexp.types import SOLO, Tick


def make(**changes: object) -> mario.RowsEnv:
    values = fields(compose(["env=mario"]).config.env)
    return registry.lookup("env", "mario").load()(**(values | changes))


def game(**changes: object) -> mario.MarioGame:
    values = {
        "stage": "1-1",
        "buttons": mario.ACTIONS["right_only"],
        "skip": 4,
        "view": partial(
            mario.Screen,
            partial(mario.ScreenTranslator, partial(Pixels, True, [84, 84], 4), [0, 0], 2, False),
        ),
        "reward": "source",
        "reward_scale": 1.0,
        "noop_max": 0,
        "max_steps": None,
        "retries": partial(Retries, 0.0, [15, 75]),
    }
    return mario.MarioGame(**(values | changes))  # type: ignore[arg-type]


def test_a_step_is_four_frames_of_the_game() -> None:
    """Against the game package itself, frame by frame, up to Mario's death."""
    ours, theirs = game(), SuperMarioBrosEnv(target=(1, 1))
    ours.seed(0)
    ours.reset()
    theirs.reset()
    ended = False
    steps = 0
    while not ended:
        obs, reward, ended, truncated, info = ours.step(0)
        expected = 0.0
        for _ in range(4):
            screen, _, terminated, _, full = theirs.step(0x80)
            parts = full["reward_components"]
            total = parts["progress"] + parts["time"] + parts["death"]
            expected += max(-15.0, min(15.0, total))
            if terminated:
                break
        assert reward == expected
        assert ended == terminated and not truncated
        assert info["x_pos"] == full["x_pos"] and info["time"] == full["time"]
        gray = np.asarray(screen, dtype=np.float64) @ [0.299, 0.587, 0.114]
        small = cv2.resize(gray, (84, 84), interpolation=cv2.INTER_AREA)
        assert np.abs(obs[-1] - small).max() < 3
        steps += 1
    assert 20 < steps < 80  # walking right meets the first Goomba
    assert reward < 0 and info["is_success"] == 0 and info["time"] > 300


def test_stack_repeats_the_start_and_shifts() -> None:
    g = game()
    first = g.reset()
    assert first.shape == (4, 84, 84) and first.dtype == np.uint8
    assert (first == first[0]).all()
    for _ in range(5):
        second = g.step(0)[0]
    third = g.step(0)[0]
    np.testing.assert_array_equal(third[:-1], second[1:])
    assert (third[-1] != second[-1]).any()


def test_actions_press_the_right_buttons() -> None:
    assert game().codes == [0x80, 0x81]
    assert (
        len(make(actions="simple").spec.action_spaces[SOLO].__dict__)
        and len(mario.ACTIONS["complex"]) == 12
    )


def test_scale_changes_rewards_but_not_returns() -> None:
    env = make(reward_scale=0.1)
    env.start(0)
    rewards = []
    tick: Tick | None = None
    while tick is None or not tick.episodes:
        env.send({SOLO: np.zeros(1, dtype=int)})
        tick = env.recv()
        rewards.append(float(tick.done[SOLO].reward[0]))
    assert tick.episodes[0].returns[SOLO] == pytest.approx(sum(rewards) * 10, rel=1e-4)
    env.close()


def test_noop_starts_differ_and_follow_the_seed() -> None:
    def starts(seed: int) -> list[bytes]:
        g = game(noop_max=30)
        g.seed(seed)
        return [g.reset().tobytes() + g.step(1)[0].tobytes() for _ in range(6)]

    assert starts(1) == starts(1)
    assert len(set(starts(1))) > 1


def test_max_steps_truncates() -> None:
    g = game(max_steps=3)
    g.reset()
    ends = [g.step(0)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_replay_also_after_other_episodes() -> None:
    """Rows in threads, one of them past its first death, saved and brought back."""
    env = make(num_envs=2, noop_max=10)
    env.start(5)
    rng = np.random.default_rng(0)
    for _ in range(70):
        env.send({SOLO: rng.integers(2, size=2)})
        tick = env.recv()
    state = env.state_dict()
    again = make(num_envs=2, noop_max=10)
    again.load_state_dict(state)
    pending = again.start(0)
    np.testing.assert_array_equal(pending.obs[SOLO], tick.obs[SOLO])
    for _ in range(60):
        actions = {SOLO: rng.integers(2, size=2)}
        env.send(actions)
        again.send(actions)
        a, b = env.recv(), again.recv()
        np.testing.assert_array_equal(a.obs[SOLO], b.obs[SOLO])
        np.testing.assert_array_equal(a.done[SOLO].reward, b.done[SOLO].reward)
        assert a.episodes == b.episodes
    env.close()
    again.close()


def test_full_reward_is_the_game_packages_own() -> None:
    ours, theirs = game(reward="full"), SuperMarioBrosEnv(target=(1, 1))
    ours.reset()
    theirs.reset()
    for _ in range(10):
        expected = sum(theirs.step(0x81)[1] for _ in range(4))
        assert ours.step(1)[1] == expected


def test_the_last_action_is_shown_on_top() -> None:
    g = game(
        view=partial(
            mario.Screen,
            partial(mario.ScreenTranslator, partial(Pixels, True, [64, 64], 2), [32, 0], 2, True),
        )
    )
    first = g.reset()
    assert first[1, 0].min() > 0  # sky
    g.step(1)
    obs = g.step(0)[0]
    np.testing.assert_array_equal(obs[0, :4, 32:], 255)  # the action before
    np.testing.assert_array_equal(obs[0, :4, :32], 0)
    np.testing.assert_array_equal(obs[1, :4, :32], 255)
    np.testing.assert_array_equal(obs[1, :4, 32:], 0)
    assert obs[1, 4, 32:].min() > 0


def test_unknown_stage() -> None:
    with pytest.raises(UserError, match="env.stage=1-5"):
        make(stage="1-5")


def test_crop_cuts_rows_off_before_resizing() -> None:
    whole, cut = (
        game(),
        game(
            view=partial(
                mario.Screen,
                partial(mario.ScreenTranslator, partial(Pixels, True, None, 1), [32, 8], 2, False),
            )
        ),
    )
    assert cut.reset().shape == (1, 200, 256)
    whole.reset()
    for _ in range(5):
        whole.step(1)
        obs = cut.step(1)[0]
    full = whole.view.look()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(obs[0], full[32:232])
    spec = make(crop=[32, 0], resize=None).spec
    assert spec.observation_spaces[SOLO].shape == (4, 208, 256)
