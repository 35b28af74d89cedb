"""Gymnasium's environments: what agents see of them, wrappers, ids that don't exist."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import register, registry
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, Sequence, Tuple

import rlexp
from rlexp import build
from rlexp.envs import gym, gym_ids
from rlexp.errors import UserError
from rlexp.evaluate import evaluate
from rlexp.networks.standardise import make_standardise
from rlexp.networks.trunks import PackedTrunk, make_trunk
from rlexp.spaces import Packed
from rlexp.types import SOLO, Env

FAST = ["logger=csv", "device=cpu", "device.threads=1", "evaluation.gif=false"]


class Shows(gymnasium.Env):
    """Gives samples of whatever space it is told; ten moves a game."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, obs: Any, actions: Any, render_mode: str | None = None) -> None:
        self.observation_space, self.action_space = obs, actions
        self.render_mode = render_mode
        self.moves, self.taken = 0, None

    def _see(self) -> Any:
        self.observation_space.seed(int(self.np_random.integers(1 << 30)))
        return self.observation_space.sample()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.moves = 0
        return self._see(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert self.action_space.contains(action), (self.action_space, action)
        self.moves, self.taken = self.moves + 1, action
        return self._see(), 1.0, self.moves == 10, False, {}

    def render(self) -> np.ndarray:
        return np.full((30, 40, 3), 7 * self.moves, dtype=np.uint8)


class Tells(gymnasium.Env):
    """Four moves a game, 1 each; keeps a score, and tells of success only where there is one."""

    observation_space, action_space = Box(-1, 1, (2,)), Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.wins, self.moves = False, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        if seed is not None:
            self.wins = self.np_random.random() < 0.5
        self.moves = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self.moves += 1
        told: dict[str, Any] = {"score": self.moves} if self.wins else {}
        if self.wins and self.moves == 4:
            told["is_success"] = True
        return np.zeros(2, np.float32), 1.0, self.moves == 4, False, told


@pytest.fixture(autouse=True)
def shows() -> Iterator[None]:
    register("Shows-v0", entry_point=Shows)
    register("Tells-v0", entry_point=Tells)
    yield
    del registry["Shows-v0"], registry["Tells-v0"]


PICTURE = Box(0, 255, (40, 48, 3), np.uint8)
BOTH = Dict({"eye": PICTURE, "arm": Box(-1, 1, (2,), np.float32), "mode": Discrete(3)})


def make(obs: Any = PICTURE, actions: Any = None, **changes: Any) -> Env:
    values: dict[str, Any] = {
        "id": "Shows-v0", "kwargs": {"obs": obs, "actions": actions or Discrete(2)},
        "wrappers": [], "num_envs": 2, "vectorization": "thread", "workers": 1, "max_steps": None,
        "pixels": False, "resize": None, "gray": False, "stack": 1,
    }  # fmt: skip
    return gym.make(**(values | changes))


def observations(env: Env, moves: int = 3) -> list[np.ndarray]:
    tick, seen = env.start(0), []
    for _ in range(moves):
        seen.append(tick.obs[SOLO])
        env.send({SOLO: np.zeros(2, dtype=np.int64)})
        tick = env.recv()
    env.close()
    return seen


def test_a_picture_beside_numbers_is_packed_into_one_vector() -> None:
    env = make(BOTH, resize=[36, 36], gray=True)
    space = env.spec.observation_spaces[SOLO]
    assert isinstance(space, Packed) and space.pictures == ((1, 36, 36),)
    assert space.rest == 5 and space.shape == (36 * 36 + 2 + 3,)
    for obs in observations(env):
        assert obs.shape == (2, *space.shape) and obs.dtype == np.float32
        assert obs[:, : space.pixels].min() >= 0 and obs[:, : space.pixels].max() <= 255
        # Gymnasium's order of keys: arm, (eye,) mode; a number is one-hot.
        assert np.abs(obs[:, -5:-3]).max() <= 1 and (obs[:, -3:].sum(1) == 1).all()


def test_the_packed_network_sees_the_picture_and_the_numbers() -> None:
    torch.manual_seed(0)
    space = Packed([(1, 36, 36)], 2)
    trunk = make_trunk(space, [8])
    assert isinstance(trunk, PackedTrunk) and trunk.out_features == 8
    obs = torch.rand(3, space.shape[0]) * 255
    before = obs.clone()
    features = trunk(obs)
    assert features.shape == (3, 8) and torch.equal(obs, before)
    alone = trunk.eyes[0](obs[:, :-2].reshape(3, 1, 36, 36) / 255)
    torch.testing.assert_close(features, trunk.dense(torch.cat([alone, obs[:, -2:]], 1)))


def test_pictures_in_a_packed_vector_are_not_standardised() -> None:
    space = Packed([(1, 2, 2)], 1)
    layer = make_standardise(space, "running")
    assert layer is not None
    obs = torch.tensor([[0.0, 255, 10, 20, 5], [9, 255, 30, 40, 7]])
    layer.update(obs)
    torch.testing.assert_close(layer(obs)[:, :4], obs[:, :4])
    torch.testing.assert_close(layer(obs)[:, 4], torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize("agent", ["ppo", "dqn"])
def test_agents_learn_from_pictures_beside_numbers(agent: str) -> None:
    small = ["agent.rollout_steps=20"] if agent == "ppo" else ["agent.learning_starts=20"]
    kwargs = "env.kwargs={obs: null, actions: null}"
    config = rlexp.compose(["env=gym", "env.id=Shows-v0", kwargs, f"agent={agent}", *small]).config
    config.env.kwargs = {"obs": BOTH, "actions": Discrete(2)}
    config.env.resize = [36, 36]
    config.device.name = "cpu"
    from rlexp.clock import Clock
    from rlexp.loop import train

    env = build.env(config.env)
    team = build.team(config, build.plan(config, env.spec))
    turns = list(train(team, env, Clock(total_steps=45), 0))
    assert any(turn.metrics for turn in turns)
    env.spec.action_spaces[SOLO] = Box(-1, 1, (1,))
    for other in ("sac", "dreamer"):  # which take the one or the other
        config.agent.name = other
        with pytest.raises(UserError, match=r"the environment gives Packed"):
            build.plan(config, env.spec)
    env.close()


def test_nested_spaces_without_pictures_are_flattened() -> None:
    space = Tuple((Discrete(3), Dict({"a": Box(0, 1, (2, 2)), "b": MultiBinary(2)})))
    assert observations(make(space))[0].shape == (2, 3 + 4 + 2)


def test_channel_first_pictures_stay_so() -> None:
    """What a frame stack of Gymnasium's gives."""
    env = make(Box(0, 255, (4, 40, 48), np.uint8))
    assert env.spec.observation_spaces[SOLO].shape == (4, 40, 48)
    raw = gymnasium.make("Shows-v0", obs=Box(0, 255, (4, 40, 48), np.uint8), actions=Discrete(2))
    obs = observations(env)[0]
    assert obs.shape == (2, 4, 40, 48) and raw.observation_space.contains(obs[0])


def test_what_has_no_fixed_size_is_refused_in_one_line() -> None:
    message = r"^env.id=Shows-v0: Sequence observations \(key 'in.list'\) are not supported"
    with pytest.raises(UserError, match=message):
        make(Dict({"in": Dict({"list": Sequence(Discrete(3))}), "eye": PICTURE}))
    with pytest.raises(UserError, match="^env.id=Shows-v0: Graph observations are not supported"):
        make(Graph(Discrete(3), None))


@pytest.mark.parametrize(
    ("space", "kind", "given", "taken"),
    [
        (Discrete(3, start=-1), Discrete(3), [2, 0], 1),
        (MultiBinary(3), MultiDiscrete([2, 2, 2]), [[1, 0, 1]] * 2, [1, 0, 1]),
        (MultiDiscrete([2, 3], start=[5, 1]), MultiDiscrete([2, 3]), [[1, 2]] * 2, [6, 3]),
    ],
)
def test_actions_are_counted_from_zero(space: Any, kind: Any, given: Any, taken: Any) -> None:
    env = make(actions=space)
    assert env.spec.action_spaces[SOLO] == kind
    env.start(0)
    env.send({SOLO: np.array(given)})
    env.recv()
    game = env.groups[0].rows[0].game
    np.testing.assert_array_equal(game.env.unwrapped.taken, taken)
    env.close()


def test_the_rendered_picture_as_observation() -> None:
    env = make(Discrete(5), pixels=True)
    assert env.spec.observation_spaces[SOLO].shape == (3, 64, 64)
    seen = observations(env)
    assert [int(obs[0, 0, 0, 0]) for obs in seen] == [0, 7, 14]
    stacked = make(Discrete(5), pixels=True, resize=[32, 32], gray=True, stack=2)
    assert stacked.spec.frame_stack == 2
    assert [obs[0, :, 0, 0].tolist() for obs in observations(stacked)] == [[0, 0], [0, 7], [7, 14]]


def test_pixels_of_what_does_not_render_are_refused() -> None:
    with pytest.raises(UserError, match="env.pixels=true: Shows-v0 renders no pictures"):
        make(pixels=True, kwargs={"obs": PICTURE, "actions": Discrete(2), "render_mode": None})


def test_a_game_that_can_not_be_drawn_warns_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, main: Any
) -> None:
    from gymnasium.envs.classic_control.acrobot import AcrobotEnv

    def render(self: Any) -> None:
        raise OSError("no display")

    monkeypatch.setattr(AcrobotEnv, "render", render)
    run = ["env=gym", "env.id=Acrobot-v1", "agent=random", "total_steps=400", "run_dir=run"]
    rlexp.train([*run, "logger=csv", "evaluation.every=100", "evaluation.episodes=1"])
    log = Path("run/run.log").read_text()
    assert log.count("no pictures: OSError: no display") == 1 and log.count("no GIF, no video") == 1
    code, out, err = main("eval", "run", "episodes=1", "mp4=true")
    assert code == 0 and "draws no pictures" in err and "Acrobot" not in err


def test_videos_of_evaluation(main: Any) -> None:
    given = ["env=catcher", "agent=random", "total_steps=200", "evaluation.every=100"]
    shown = ["evaluation.gif=false", "evaluation.mp4=true", "evaluation.max_steps=20"]
    rlexp.train([*given, *shown, "logger=csv", "run_dir=run"])
    assert {p.suffix for p in Path("run/media").glob("eval_*")} == {".mp4"}
    code, out, _ = main("eval", "run", "episodes=2", "gif=false", "mp4=true", "--json")
    found = json.loads(out)
    assert code == 0 and "gifs" not in found and Path(found["videos"]["best"]).is_file()
    assert main("eval", "run", "mp4=yes")[0] == 2


def test_wrappers_by_name() -> None:
    env = make(
        Box(-5, 5, (2,), np.float32),
        wrappers=[
            "TimeAwareObservation",
            {"name": "TransformReward", "func": abs},
            {"name": "gymnasium.wrappers:ClipReward", "max_reward": 0.25},
        ],
        max_steps=20,
    )
    assert env.spec.observation_spaces[SOLO].shape == (3,)  # the time beside the two
    env.start(0)
    env.send({SOLO: np.zeros(2, dtype=np.int64)})
    assert env.recv().done[SOLO].reward.tolist() == [0.25, 0.25]
    env.close()


@pytest.mark.parametrize(
    ("wrappers", "message"),
    [
        (["ClipRewards"], "no 'ClipRewards' in Gymnasium. Did you mean 'ClipReward'"),
        (["nowhere:Wrapper"], "env.wrappers=nowhere:Wrapper is no module:name"),
        ([{"name": "ClipReward", "maximum": 1}], "ClipReward can't wrap this: .*'maximum'"),
        (["GrayscaleObservation"], "GrayscaleObservation can't wrap this"),
        (["NormalizeObservation"], "instead of NormalizeObservation write agent.standardise=runn"),
        (["gymnasium.wrappers:NormalizeReward"], "write agent.normalise_reward=true"),
    ],
)
def test_wrappers_that_do_not_fit_are_refused(wrappers: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(Box(-5, 5, (2,), np.float32), wrappers=wrappers)


def test_wrappers_in_a_config() -> None:
    given = "env.wrappers=[TimeAwareObservation, {name: ClipReward, min_reward: -1}]"
    config = rlexp.compose(["env=gym", "env.id=Acrobot-v1", given]).config
    env = build.env(config.env)
    assert env.spec.observation_spaces[SOLO].shape == (7,)
    env.close()
    with pytest.raises(UserError, match="env.wrappers.*must be names"):
        rlexp.compose(["env=gym", "env.id=Acrobot-v1", "env.wrappers=[{min_reward: -1}]"])


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("CartPole", "name a version: Gymnasium has CartPole-v0 and CartPole-v1."),
        ("CartPole-v7", "no such version: Gymnasium has CartPole-v0 and CartPole-v1."),
        ("cartpole-v1", "Did you mean 'CartPole-v1'"),
        ("Pendulumm-v0", "Did you mean 'Pendulum-v1'"),
        ("HalfCheeta-v5", "Did you mean 'HalfCheetah-v5'"),
        ("LunarLander-v2", "no such version: Gymnasium has LunarLander-v3."),
        ("zzzzzz", "knows no such id. Of a package that registers its own, name the module"),
    ],
)
def test_unknown_ids_say_what_was_meant(id: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        gym_ids.check(id)


def test_a_run_is_replayed_whatever_its_observation() -> None:
    """Two environments, one of them made from the other's state, go on alike."""
    for obs, more in ((BOTH, {"resize": [36, 36]}), (Discrete(4), {"pixels": True, "stack": 2})):
        env, again = make(obs, **more), make(obs, **more)
        env.start(0)
        for _ in range(13):
            env.send({SOLO: np.array([0, 1])})
            env.recv()
        again.load_state_dict(env.state_dict())
        tick = again.start(0)
        for _ in range(12):
            np.testing.assert_array_equal(tick.obs[SOLO], env.ticks.obs)
            for each in (env, again):
                each.send({SOLO: np.array([1, 0])})
                tick = each.recv()
        env.close(), again.close()


@pytest.mark.parametrize("rows", [1, 8])
def test_what_some_games_tell_is_no_return_and_no_success_of_others(rows: int) -> None:
    env = make(id="Tells-v0", kwargs={}, num_envs=rows)
    found = evaluate(env, lambda tick: {SOLO: np.zeros(rows, np.int64)}, 8, seed=3)
    assert [game.returns[SOLO] for game in found.games] == [4.0] * 8
    if rows == 8:
        assert {game.success for game in found.games} == {True, False}
