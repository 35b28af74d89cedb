"""A resumed run that can't bring its games back begins new ones, and joins nothing to the old."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

import rlexp
from rlexp import build, checkpoint, codec, going_on
from rlexp.agents.reward_scale import RewardScale
from rlexp.agents.sarsa import Sarsa
from rlexp.agents.tabular_policy_gradient import TabularPolicyGradient
from rlexp.buffers.base import Storage
from rlexp.buffers.frames import FrameBuffer
from rlexp.buffers.replay import ReplayBuffer
from rlexp.buffers.sequence import SequenceBuffer
from rlexp.clock import Clock
from rlexp.config.compose import load
from rlexp.envs.simultaneous import Moves, SimultaneousEnv
from rlexp.loop import train
from rlexp.run_dir import RunDir
from rlexp.types import SOLO, EnvSpec, Seat, State, Transition, Tree
from tiny import epsilon

ROWS = np.arange(2)


def vectors(shape: tuple[int, ...] = (1,), dtype: Any = np.float32, stack: int = 1) -> EnvSpec:
    box = Box(0, 255, shape, dtype)
    return EnvSpec({SOLO: box}, {SOLO: Discrete(2)}, 2, frame_stack=stack, action_masks=False)


def step(number: int, shape: tuple[int, ...] = (1,), dtype: Any = np.float32) -> Transition:
    """From observation `number` to the next, for a reward of the same number, in two rows."""
    obs, no = np.full((2, *shape), number, dtype=dtype), np.zeros(2, dtype=bool)
    reward = np.full(2, number, dtype=np.float32)
    return Transition(ROWS, obs, np.zeros(2, dtype=int), reward, obs + dtype(1), no, no)


def test_replay_looks_no_further_than_the_cut() -> None:
    buffer = ReplayBuffer(100, vectors(), SOLO, Storage())
    buffer.truncate(ROWS)  # nothing is there: nothing happens
    for number in (1, 2, 100, 101):
        if number == 100:
            buffer.truncate(np.array([1]))
            versions = buffer.data.versions.copy()
            buffer.truncate(np.array([1]))  # it has ended
            np.testing.assert_array_equal(buffer.data.versions, versions)
        buffer.add(step(number))
    batch = buffer.sample(500, np.random.default_rng(0), n_step=3)
    columns = batch.obs[:, 0], batch.reward, batch.next_obs[:, 0], batch.discount
    found = set(zip(*(column.tolist() for column in columns), strict=True))
    assert (2.0, 2.0, 3.0, 1.0) in found and (1.0, 3.0, 3.0, 1.0) in found  # row 1 was cut
    assert (2.0, 203.0, 102.0, 1.0) in found  # row 0 was not


def test_frames_of_two_games_are_not_stacked() -> None:
    shape = (2, 2, 2)
    buffer = FrameBuffer(100, vectors(shape, np.uint8, stack=2), SOLO, Storage())
    for number in (1, 2, 100, 101):
        if number == 100:
            buffer.truncate(ROWS)
        buffer.add(step(number, shape, np.uint8))
    batch = buffer.sample(500, np.random.default_rng(0), n_step=3)
    newest = batch.obs[:, 1, 0, 0], batch.next_obs[:, 1, 0, 0]
    columns = newest[0], batch.reward, newest[1], batch.discount
    found = set(zip(*(column.tolist() for column in columns), strict=True))
    assert found == {(1, 3, 3, 1), (2, 2, 3, 1), (100, 201, 102, 1), (101, 101, 102, 1)}


def test_a_new_game_opens_in_the_sequence() -> None:
    buffer = SequenceBuffer(40, vectors(), SOLO, Storage())
    for number in (1, 2, 100, 101):
        if number == 100:
            buffer.truncate(np.array([1]))
        buffer.add(step(number), np.ones((2, 2), dtype=np.float32))
    arrays = buffer.data.arrays
    assert arrays["obs"][20:26, 0].tolist() == [1, 2, 3, 100, 101, 102]
    assert arrays["first"][20:26].tolist() == [True, False, False, True, False, False]
    assert arrays["reward"][20:26].tolist() == [0, 1, 2, 0, 100, 101]
    assert not arrays["first"][1:5].any()
    assert not arrays["terminated"].any()


def test_reward_scale_begins_anew() -> None:
    scale = RewardScale(1.0)
    scale.update(ROWS, np.array([3.0, 4.0]), np.zeros(2, dtype=bool))
    scale.truncate(np.array([1, 5]))
    assert scale.returns.tolist() == [3.0, 0.0]


class Unsure(gymnasium.Env[Any, Any]):
    """Shows which game of the process this is, and the move; every move pays the game's number."""

    observation_space = Box(0, 1000, (2,), np.float32)
    action_space = Discrete(2)
    metadata = {"render_modes": ["rgb_array"]}
    games = 0

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def render(self) -> None:
        return None

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        Unsure.games += 1
        self.number, self.move = Unsure.games, 0
        return self._see(), {}

    def _see(self) -> np.ndarray:
        return np.array([self.number, self.move], dtype=np.float32)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.move += 1
        return self._see(), float(self.number), self.move == 9, False, {}


@pytest.fixture(params=[True, False], ids=["nondeterministic", "replayed"])
def unsure(request: pytest.FixtureRequest) -> Any:
    """Registered as what it is, or as a game that can be replayed, which then fails."""
    gymnasium.register("Unsure-v0", Unsure, nondeterministic=request.param)
    yield
    gymnasium.registry.pop("Unsure-v0")


SHORT = ["env=gym", "env.id=Unsure-v0", "env.num_envs=2", "env.vectorization=thread",
         "evaluation.every=null", "logger=[csv]", "device=cpu", "device.threads=1"]  # fmt: skip
AGENTS = {
    "dqn": ["agent=dqn", "agent.learning_starts=1000"],
    "ppo": ["agent=ppo", "agent.rollout_steps=64", "agent.batch_size=64"],
    "reinforce": ["agent=reinforce", "agent.episodes=100", "agent.baseline=value"],
    "dreamer": ["agent=dreamer", "agent.learning_starts=1000"],
}


@pytest.mark.filterwarnings("ignore:the game of row")
@pytest.mark.parametrize("kind", sorted(AGENTS))
def test_a_resumed_run_joins_no_two_games(unsure: None, kind: str) -> None:
    """Stopped after five moves of a game of nine, in two rows."""
    rlexp.train([*SHORT, *AGENTS[kind], "total_steps=28", "run_dir=run"])
    going_on.resume("run", ["total_steps=60"])
    run = RunDir(Path("run"))
    config = load(run.config)
    env = build.env(config.env)
    team: Any = build.team(config, build.plan(config, env.spec))
    team.load_state_dict(checkpoint.load(run.full_checkpoints()[-1])["team"])
    env.close()
    agent = team.agent
    if kind == "dqn":
        batch = agent.buffer.sample(500, np.random.default_rng(0), n_step=5)
        number = batch.obs[:, 0]
        np.testing.assert_array_equal(batch.next_obs[:, 0], number)
        np.testing.assert_array_equal(batch.reward, number * (batch.next_obs - batch.obs)[:, 1])
        np.testing.assert_array_equal(batch.discount == 0, batch.next_obs[:, 1] == 9)
    elif kind == "ppo":
        columns = {name: np.stack(values) for name, values in agent.rollout.columns.items()}
        game, ended = columns["obs"][:, :, 0], columns["ended"]
        changes = game[1:] != game[:-1]
        np.testing.assert_array_equal(ended[:-1], changes)
        assert changes.sum() == 2 * 3 and (ended & ~columns["terminated"])[13].all()
        assert np.isfinite(columns["next_value"][13]).all()
    elif kind == "reinforce":
        games = [game["obs"] for game in agent.finished_games]
        assert sorted(len(game) for game in games) == [5, 5, 9, 9, 9, 9]
        assert all((game[:, 0] == game[0, 0]).all() for game in games)
    else:
        arrays = agent.buffer.data.arrays
        filled = slice(0, int(agent.buffer.rings.written[0]))
        game = arrays["obs"][filled, 0]
        assert arrays["first"][filled].tolist() == [True, *(game[1:] != game[:-1])]
        assert len(np.unique(game)) == 4 and arrays["terminated"][filled].sum() == 2


def cells(number: int, mask: np.ndarray) -> Transition:
    """From cell `number` to the next by action 0, for a reward of -1, in two rows."""
    obs, no = np.full(2, number), np.zeros(2, dtype=bool)
    reward = np.full(2, -1.0, dtype=np.float32)
    return Transition(
        ROWS, obs, np.zeros(2, dtype=int), reward, obs + 1, no, no, next_action_mask=mask
    )


def test_sarsa_learns_from_a_last_move_whose_next_is_never_made() -> None:
    def made() -> Sarsa:
        return Sarsa(
            Discrete(9), Discrete(2), 2, torch.device("cpu"), 0, hidden=None, init=0.0, gamma=1.0,
            lr=1.0, epsilon=epsilon(kind="constant", start=0.5), eval_epsilon=0.0,
        )  # fmt: skip

    agent, again = made(), made()
    agent.q.q[:, 2] = [5.0, 99.0]  # type: ignore[union-attr]
    agent.observe(cells(1, np.array([[True, False]] * 2)))
    agent.learn(Clock())
    again.load_state_dict(codec.unflatten(*codec.flatten(agent.state_dict())))
    again.truncate(np.array([1]))
    assert again.action_values(1)[1, 0] == -1 + 5 and again.action_values(0)[1, 0] == 0
    again.observe(cells(7, np.ones((2, 2), dtype=bool)))
    again.learn(Clock())
    assert again.action_values(1)[1, 0] == -1 + 5  # learnt from once
    assert again.action_values(0)[1, 0] == -1  # was not cut: cell 7 followed


def test_policy_gradient_closes_an_episode_that_was_cut() -> None:
    agent = TabularPolicyGradient(
        Discrete(9), Discrete(2), 2, 0, lr=0.1, lr_decay=None, sign="minus", stop_change=None,
        max_episodes=None,
    )  # fmt: skip
    agent.observe(cells(1, np.ones((2, 2), dtype=bool)))
    agent.learn(Clock())
    agent.truncate(np.array([1]))
    assert agent.episodes.tolist() == [0, 1] and agent.returns.tolist() == [-1, 0]
    assert agent.counts.any((1, 2)).tolist() == [True, False]
    assert agent.theta[1, 1, 0] != 1 and (agent.theta[0] == 1).all()


class Duel(SimultaneousEnv):
    """Two seats that see which game of the process this is; it can't be saved."""

    games = 0

    def __init__(self) -> None:
        box = Box(0, 1000, (2,), np.float32)
        seats = ("left", "right")
        super().__init__(
            EnvSpec(dict.fromkeys(seats, box), dict.fromkeys(seats, Discrete(2)), 2, resume="none")
        )
        self.number, self.move = np.zeros(2), np.zeros(2)

    def reset_rows(self, rows: np.ndarray) -> None:
        Duel.games += 1
        self.number[rows], self.move[rows] = Duel.games, 0

    def step_rows(self, actions: dict[Seat, Tree]) -> Moves:
        self.move = self.move + 1
        reward, over = self.number.copy(), self.move == 9
        info: dict[str, np.ndarray] = {}
        return Moves(
            actions, dict.fromkeys(self.seats, reward), over, np.zeros_like(over),
            dict.fromkeys(self.seats, info),
        )  # fmt: skip

    def observe(self, seat: Seat, rows: np.ndarray | slice) -> np.ndarray:
        return np.stack([self.number, self.move], 1).astype(np.float32)[rows]

    def game_state(self) -> State:
        return {}

    def load_game_state(self, state: State) -> None: ...


@pytest.mark.parametrize("self_play", [False, True])
def test_no_seat_joins_two_games(self_play: bool) -> None:
    """An agent at each seat, and one learner that also stores its rival's view."""
    keys = ["agent=dqn", "agent.learning_starts=1000", "buffer.capacity=400", "device=cpu",
            "device.threads=1"]  # fmt: skip
    if self_play:
        keys += ["self_play.enabled=true", "self_play.both_views=true", "self_play.evaluate=[]"]
    config = rlexp.compose(keys).config

    def made() -> tuple[Any, Duel]:
        env = Duel()
        return build.team(config, build.plan(config, env.spec)), env

    (team, env), (again, new_env) = made(), made()
    for _ in train(team, env, Clock(total_steps=28), 0):
        pass
    again.load_state_dict(team.state_dict())
    for _ in train(again, new_env, Clock(total_steps=32), 0):
        pass
    agents = [again.agent] if self_play else [solo.agent for solo in again.solos.values()]
    for agent in agents:
        assert len(agent.buffer) == (120 if self_play else 60)
        batch = agent.buffer.sample(500, np.random.default_rng(0), n_step=5)
        number = batch.obs[:, 0]
        np.testing.assert_array_equal(batch.reward, number * (batch.next_obs - batch.obs)[:, 1])
