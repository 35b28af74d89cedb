"""`rlexp.load(RUN).act`: on what the environment's user holds it plays what evaluation plays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import register, registry
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

import rlexp
from rlexp import build
from rlexp.evaluate import evaluate
from rlexp.trained_agent import TrainedAgent
from rlexp.types import Tick

SHORT = ["total_steps=100", "device=cpu", "device.threads=1"]
PPO = ["agent=ppo", "agent.rollout_steps=8", "agent.hidden=[16]"]
IMAGE = Box(0, 255, (40, 48, 3), np.uint8)
STACKED = ["env.gray=true", "env.resize=[36,36]", "env.stack=3"]
MOVES = 10


class Odd(gymnasium.Env):
    """Shows random observations of any space, and keeps the actions it was given."""

    taken: list[Any] = []
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, obs: Any, actions: Any, render_mode: str | None = None) -> None:
        self.observation_space, self.action_space, self.render_mode = obs, actions, render_mode
        self.moves = 0

    def _see(self) -> Any:
        self.observation_space.seed(int(self.np_random.integers(1 << 30)))
        return self.observation_space.sample()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.moves = 0
        return self._see(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert self.action_space.contains(action), (self.action_space, action)
        Odd.taken.append(np.array(action).tolist())
        self.moves += 1
        return self._see(), 1.0, self.moves == MOVES, False, {}

    def render(self) -> np.ndarray:
        return np.random.default_rng(self.moves).integers(255, size=(80, 90, 3), dtype=np.uint8)


THREE = Discrete(3, start=-1)
ZOO: dict[str, tuple[Any, Any, list[str]]] = {
    "discrete-start": (Discrete(5, start=-2), THREE, PPO),
    "table": (Discrete(5, start=-2), THREE, ["agent=q_learning"]),
    "dict": (Dict({"z": Box(-1, 1, (2, 2)), "a": Discrete(3, start=4)}), THREE, PPO),
    "tuple": (Tuple((Discrete(3), Dict({"b": MultiBinary(2)}))), MultiBinary(3), PPO),
    "multidiscrete-2d": (MultiDiscrete([[3, 4], [2, 5]]), MultiDiscrete([2, 3], start=[5, 1]), PPO),
    "float64": (Box(-9.0, 9.0, (3,), np.float64), Box(-2.0, 0.3, (2,), np.float64), PPO),
    "sac": (Box(-9.0, 9.0, (3,), np.float64), Box(-2.0, 0.3, (2,), np.float64), ["agent=sac"]),
    "actions-2d": (Box(-9, 9, (2,)), MultiBinary([2, 3]), PPO),
    "multidiscrete-actions-2d": (Box(-9, 9, (2,)), MultiDiscrete([[2, 3], [3, 2]]), PPO),
    "action-without-shape": (Box(-9, 9, (2,)), Box(-1, 1, ()), PPO),
    "integer-actions": (Box(-9, 9, (2,)), Box(-1, 1, (2,), np.int32), PPO),
    "text": (Dict({"arm": Box(-1, 1, (2,)), "mission": Text(9)}), THREE, PPO),
    "integers": (Box(-9, 9, (2, 2), np.int16), THREE, PPO),
    "image": (IMAGE, THREE, [*PPO, *STACKED]),
    "gray-image": (Box(0, 255, (40, 48), np.uint8), THREE, [*PPO, "env.stack=2"]),
    "channel-first": (Box(0, 255, (4, 40, 48), np.uint8), Discrete(2), PPO),
    "image-in-dict": (Dict({"eye": IMAGE, "arm": Box(-1, 1, (2,))}), THREE, [*PPO, *STACKED]),
    "rendered": (Discrete(2), THREE, [*PPO, *STACKED, "env.pixels=true"]),
    "memory": (IMAGE, THREE, [
        "agent=dreamer", "env.resize=[32,32]", "agent.deter=16", "agent.hidden=16",
        "agent.units=16", "agent.stoch=4", "agent.classes=4", "agent.depth=2", "agent.bins=15",
    ]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def odd() -> Iterator[None]:
    for name, (obs, actions, _) in ZOO.items():
        register(f"Odd-{name}-v0", Odd, kwargs={"obs": obs, "actions": actions})
    yield
    for name in ZOO:
        del registry[f"Odd-{name}-v0"]


class Untrained:
    """What `rlexp.load` gives of a run that has not learnt anything yet."""

    def __init__(self, *overrides: str) -> None:
        self.config = rlexp.compose([*SHORT, *overrides]).config
        env = build.env(self.config.env)
        self.spec = env.spec
        self.team = build.team(self.config, build.plan(self.config, env.spec))
        env.close()

    def agent(self) -> TrainedAgent:
        """One that has not played yet."""
        return TrainedAgent(
            next(iter(self.spec.observation_spaces.values())),
            next(iter(self.spec.action_spaces.values())),
            self.spec.translator,
            lambda greedy: self.team.agent.policy(greedy, 0),  # type: ignore[attr-defined]
        )


def evaluated(loaded: Untrained, episodes: int, seed: int) -> list[Any]:
    """What `evaluate` plays in one row: the agent's actions."""
    env, taken = build.env(loaded.config.env, 1, evaluation=True), []
    Odd.taken = []  # without the step that tries an environment out
    policy = loaded.team.policy(True, 0)

    def act(tick: Tick) -> Any:
        actions = policy(tick)
        taken.append(np.array(next(iter(actions.values()))[0]).tolist())
        return actions

    evaluate(env, act, episodes, seed, max_steps=30)
    env.close()
    return taken


def first_seed(seed: int) -> int:
    """The seed of the only row."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


@pytest.mark.parametrize("name", ZOO)
def test_odd_spaces(name: str) -> None:
    """The environment itself gets the same actions from a user's loop and from `evaluate`."""
    loaded = Untrained("env=gym", f"env.id=Odd-{name}-v0", *ZOO[name][2])
    agent = loaded.agent()
    evaluated(loaded, 2, seed=3)
    played = list(Odd.taken)
    assert len(played) == 2 * MOVES

    Odd.taken = []
    env = gymnasium.make(f"Odd-{name}-v0", render_mode="rgb_array")
    env.reset(seed=first_seed(3))
    for _ in range(2):
        obs, ended, first = env.reset()[0], False, True
        while not ended:
            shown = env.render() if name == "rendered" else obs
            obs, _, ended, _, _ = env.step(agent.act(shown, first=first))
            first = False
    assert Odd.taken == played


@pytest.mark.parametrize("name", [n for n in ZOO if n not in ("rendered", "memory")])
def test_a_batch_is_rows_played_apart(name: str) -> None:
    space = ZOO[name][0]
    loaded = Untrained("env=gym", f"env.id=Odd-{name}-v0", *ZOO[name][2])
    agent = loaded.agent()
    env = gymnasium.make_vec(f"Odd-{name}-v0", num_envs=3, vectorization_mode="sync")
    actions = env.single_action_space
    steps = [env.reset(seed=0)[0]]
    steps += [env.step(env.action_space.sample())[0] for _ in range(4)]
    firsts = [np.ones(3, dtype=bool), *[np.zeros(3, dtype=bool)] * 4]
    firsts[3] = np.array([False, True, False])
    together = [agent.act(obs, first=first) for obs, first in zip(steps, firsts, strict=True)]
    assert all(len(batch) == 3 for batch in together)
    for row in range(3):
        alone = loaded.agent()
        for obs, first, batch in zip(steps, firsts, together, strict=True):
            one = gymnasium.vector.utils.iterate(env.observation_space, obs)
            action = alone.act(list(one)[row], first=first[row])
            assert actions.contains(action), (actions, action)
            np.testing.assert_allclose(action, batch[row], rtol=1e-5)
    samples = [space.sample() for _ in range(2)]
    # A list of observations is a batch, too; two gray images look like a stack of two.
    assert len(agent.act(samples, spaces="environment")) == 2


def test_what_the_agent_sees_is_taken_as_before() -> None:
    """Observations of rlexp.gym_env, and with them the agent's own actions."""
    loaded = Untrained("env=gym", "env.id=Odd-dict-v0", *PPO)
    agent = loaded.agent()
    env = rlexp.gym_env(["env=gym", "env.id=Odd-dict-v0"])
    obs, _ = env.reset(seed=0)
    for _ in range(5):
        action = agent.act(obs)
        assert env.action_space.contains(action)
        obs, *_ = env.step(action)
    assert agent.act(np.stack([obs] * 4)).shape == (4,)
    env.close()


def test_where_both_fit_the_environment_is_meant_unless_told() -> None:
    loaded = Untrained("env=gym", "env.id=Odd-table-v0", "agent=q_learning")
    agent = loaded.agent()
    table = np.zeros((5, 3))
    table[:, 1], table[4, 2] = 1.0, 2.0
    loaded.team.agent.q.q[:] = table  # type: ignore[attr-defined]
    assert agent.act(2) == 1 and agent.act(1) == 0  # states 4 and 3, actions 2 and 1
    assert agent.act(4, spaces="agent") == 2 and agent.act(3, spaces="agent") == 1
    with pytest.raises(ValueError, match=r"holds 4, which is outside a number -2\.\.2"):
        agent.act(4)
    with pytest.raises(ValueError, match="spaces='raw' must be one of 'auto', 'environment'"):
        agent.act(4, spaces="raw")


SHIPPED: dict[str, list[str]] = {
    "bandit": ["agent=epsilon_greedy"],
    "cartpole": PPO,
    "catcher": PPO,
    "digits": ["agent=classifier"],
    "gridworld": ["agent=q_learning"],
    "housing": ["agent=regressor"],
    "line": ["agent=regressor"],
    "maze": ["agent=sarsa"],
    "rosenbrock": ["agent=gradient_descent"],
    "sine": ["agent=regressor"],
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_environments(name: str) -> None:
    loaded = Untrained(f"env={name}", "env.num_envs=2", *SHIPPED[name])
    agent = loaded.agent()
    played = evaluated(loaded, 1, seed=3)[:20]
    env = build.env(loaded.config.env, 1, evaluation=True)
    tick, taken = env.start(3), []
    for _ in range(len(played)):
        (obs,), (seat,) = tick.obs.values(), tick.obs
        mask = None if tick.legal is None else tick.legal[seat][0]
        action = agent.act(obs[0] if obs.ndim else obs, first=tick.first[0], action_mask=mask)
        assert env.spec.action_spaces[seat].contains(np.asarray(action))
        taken.append(np.array(action).tolist())
        env.send({seat: np.asarray(action)[None]})
        tick = env.recv()
    assert taken == played


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["env.show_action=true", "env.crop=[32,8]", "env.resize=[64,64]", "env.actions=complex"],
        ["env.gray=false", "env.stack=1"],
    ],
)
def test_mario_from_the_games_screen(more: list[str]) -> None:
    """The user holds the game package's own environment, and an action for four frames."""
    from nes_py.wrappers import JoypadSpace

    from rlexp.envs.mario import ACTIONS, Emulator

    loaded = Untrained("env=mario", "env.max_steps=30", *PPO, *more)
    agent = loaded.agent()
    played = evaluated(loaded, 1, seed=3)
    game = Emulator(target=(1, 1))
    env = JoypadSpace(game, ACTIONS[loaded.config.env.actions])
    screen, taken = env.reset()[0], []
    for step in range(len(played)):
        action = agent.act(screen, first=step == 0)
        assert env.action_space.contains(action)
        taken.append(int(action))
        for _ in range(loaded.config.env.skip):
            screen, _, ended, _, _ = env.step(action)
            if ended:
                break
    assert taken == played and len(taken) == 30
    with pytest.raises(ValueError, match=r"obs is \(84, 84, 3\) uint8; .*\(240, 256, 3\) uint8"):
        agent.act(np.zeros((84, 84, 3), np.uint8))
    env.close()


def test_self_play_and_seats() -> None:
    overrides = [
        "env=bomberman",
        "agent=ppo",
        "self_play.enabled=true",
        "env.num_envs=2",
        "agent.vision=board",
    ]
    loaded = Untrained(*overrides, "env.mask=true", "agent.rollout_steps=8")
    agent = loaded.agent()
    space = next(iter(loaded.spec.observation_spaces.values()))
    mask = np.zeros(6, dtype=np.int8)
    for allowed in range(6):
        mask[:] = np.arange(6) == allowed
        assert agent.act(space.sample(), action_mask=mask) == allowed
    rows = np.stack([space.sample()] * 3)
    assert agent.act(rows, action_mask=np.eye(6)[[5, 0, 3]]).tolist() == [5, 0, 3]
    with pytest.raises(ValueError, match=r"action_mask has shape \(5,\)"):
        agent.act(space.sample(), action_mask=np.ones(5))
    with pytest.raises(ValueError, match="allows no action"):
        agent.act(space.sample(), action_mask=np.zeros(6))


@pytest.mark.parametrize(
    ("name", "obs", "message"),
    [
        ("dict", {"z": np.zeros((2, 2))}, r"obs is \{'z': \(2, 2\) float64\}; .*'a': a number 4"),
        ("dict", {"z": np.zeros((2, 2)), "a": 0}, r"obs\['a'\] holds 0, .* 4\.\.6"),
        ("dict", {"z": np.zeros((2, 2)), "a": "x"}, r"'a': str\}; one observation has"),
        ("dict", {"z": np.zeros((2, 2)), "a": np.array("x")}, r"obs\['a'\] holds <U1; .* numbers"),
        ("dict", {"z": np.zeros(2), "a": 4}, r"'z': \(2,\) float64, 'a': 4\}; one observation"),
        ("dict", np.zeros(4), r"obs is \(4,\) float64; one observation has \{.* or \(7,\)"),
        ("dict", None, "obs is NoneType; one observation has"),
        ("dict", [], r"obs is \(0,\) float64; one observation"),
        ("float64", np.zeros((0, 3)), r"obs is \(0, 3\) float64; one observation has \(3,\)"),
        ("float64", [[1, 2, 3], [1, 2]], "obs is .*; one observation"),
        ("float64", {"a": np.zeros(3)}, "obs is {'a'"),
        ("discrete-start", 0.5, r"holds 0.5, which is outside a number -2\.\.2"),
        ("discrete-start", np.nan, "holds nan, which is outside"),
        ("discrete-start", [0, 3], "holds 3, which is outside"),
        ("gray-image", np.full((40, 48), 0.5), r"holds 0.5, which is outside \(40, 48\) uint8"),
        ("gray-image", np.full((40, 48), 300), "holds 300, which is outside"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(name: str, obs: Any, message: str) -> None:
    loaded = Untrained("env=gym", f"env.id=Odd-{name}-v0", *ZOO[name][2])
    agent = loaded.agent()
    with pytest.raises(ValueError, match=message) as told:
        agent.act(obs)
    assert "\n" not in str(told.value)


def test_first_is_one_a_row() -> None:
    loaded = Untrained("env=gym", "env.id=Odd-float64-v0", *PPO)
    agent = loaded.agent()
    with pytest.raises(ValueError, match=r"first has shape \(3,\); one bool a row is \(2,\)"):
        agent.act(np.zeros((2, 3)), first=np.ones(3, dtype=bool))
