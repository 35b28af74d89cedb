"""Random environments: odd spaces, renders, infos and results; played, or refused in one line.

A few cases run in the suite; the long mode runs a thousand:

    uv run pytest -n 0 -m fuzz tests/fuzz

A case is its seed: `_case(17)` makes the same environment wherever it is called.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    Graph,
    MultiBinary,
    MultiDiscrete,
    OneOf,
    Sequence,
    Space,
    Text,
    Tuple,
)

import odd_envs
import rlexp
from odd_envs import PICTURE
from rlexp import build
from rlexp.clock import Clock
from rlexp.envs import gym
from rlexp.errors import RunStopped, UserError
from rlexp.evaluate import evaluate
from rlexp.loop import train

FEW, MANY, CHUNK = 40, 1000, 50
AGENTS = {
    "random": [],
    "ppo": ["agent.rollout_steps=8", "agent.epochs=1"],
    "a2c": ["agent.rollout_steps=4"],
    "reinforce": ["agent.episodes=2"],
    "dqn": ["agent.learning_starts=8", "agent.batch_size=4"],
    "sac": ["agent.learning_starts=8", "agent.batch_size=4", "agent.hidden=[8]"],
}
REFUSALS = (UserError, RunStopped)


def _pick(rng: np.random.Generator, options: list[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def _box(rng: np.random.Generator) -> Space[Any]:
    kind = _pick(rng, [np.float32, np.float64, np.int32, np.int8, np.uint8, np.bool_, np.float16])
    shape = _pick(rng, [(), (0,), (1,), (3,), (2, 2), (2, 3, 4), (3, 40, 40), (40, 40), (40, 40, 1),
                        (4, 40, 40, 3), (2, 2, 2, 2, 2)])  # fmt: skip
    low, high = (0, 255) if kind is np.uint8 else (0, 1) if kind is np.bool_ else (-3, 5)
    if kind in (np.float32, np.float64) and rng.random() < 0.3:
        low, high = -math.inf, math.inf
    return Box(low, high, shape, kind)


def _space(rng: np.random.Generator, depth: int = 0) -> Space[Any]:
    makers: list[Any] = [
        lambda: _box(rng),
        lambda: _box(rng),
        lambda: PICTURE,
        lambda: Discrete(int(rng.integers(1, 5)), start=int(rng.integers(-3, 4))),
        lambda: MultiBinary(_pick(rng, [1, 3, [2, 3]])),
        lambda: MultiDiscrete(_pick(rng, [[2], [2, 3], [[2, 3], [1, 4]]])),
    ]
    if rng.random() < 0.2:
        makers = [lambda: Text(5), lambda: Sequence(Discrete(3)), lambda: Graph(Discrete(2), None),
                  lambda: OneOf((Discrete(2), Box(0, 1))), lambda: Dict({})]  # fmt: skip
    if depth < 2:
        count = int(rng.integers(1, 3))
        makers += [
            lambda: Dict({k: _space(rng, depth + 1) for k in "ba"[:count]}),
            lambda: Tuple([_space(rng, depth + 1) for _ in range(count)]),
        ]
    return _pick(rng, makers)()


def _odd(rng: np.random.Generator) -> Any:
    return _pick(rng, [None, math.nan, math.inf, -1, 0, 2.5, True, "x", b"x", [], [1], {}, {"a": 1},
                       np.float32(1), np.bool_(True), np.array(1.0), np.ones(1), np.ones((2, 2)),
                       np.array("x"), 1j, object(), 10**400, (), np.array([None])])  # fmt: skip


def _case(seed: int) -> tuple[str, dict[str, Any]]:
    """(agent, keywords of Odd)."""
    rng = np.random.default_rng(seed)
    kwargs: dict[str, Any] = {"obs": _space(rng), "reuse": bool(rng.random() < 0.3)}
    if rng.random() < 0.6:
        kwargs["actions"] = _space(rng)
    if rng.random() < 0.4:
        index, value, drop = int(rng.integers(5)), _odd(rng), rng.random() < 0.2

        def step(*result: Any) -> Any:
            return result[:index] if drop else (*result[:index], value, *result[index + 1 :])

        kwargs |= {"step": step, "at": _pick(rng, [1, 7])}
    if rng.random() < 0.15:
        value = _odd(rng)
        kwargs["reset"] = lambda obs: _pick(rng, [value, (obs, value), (value, {}), obs])
    if rng.random() < 0.5:
        image: Any = _odd(rng)
        if rng.random() < 0.7:
            shape = _pick(rng, [(), (4,), (4, 5), (4, 5, 1), (4, 5, 2), (4, 5, 3), (4, 5, 4),
                                (3, 9, 9), (0, 4, 3), (2, 4, 5, 3)])  # fmt: skip
            image = (rng.random(shape) * _pick(rng, [1, 255])).astype(_pick(
                rng, [np.uint8, np.float32, np.int64, np.bool_]))  # fmt: skip
        kwargs["render"] = lambda _: _pick(rng, [image, [image], list(np.atleast_1d(image))])
    if rng.random() < 0.2:
        kwargs["metadata"] = {"metadata": _pick(rng, [{}, {"render_fps": _odd(rng)}])}
    return _pick(rng, list(AGENTS)), kwargs


def _play(agent: str, kwargs: dict[str, Any]) -> None:
    """Build, train and evaluate as a run does."""
    given = [f"agent={agent}", *AGENTS[agent], "device=cpu", "device.threads=1"]
    config = rlexp.compose(given).config
    seen = {"pixels": False, "resize": None, "gray": False, "stack": 1}
    env = gym.make("Odd-v0", kwargs, [], 2, "thread", 1, None, **seen)  # type: ignore[arg-type]
    try:
        team = build.team(config, build.plan(config, env.spec))
        for _ in train(team, env, Clock(total_steps=24), 0):
            pass
        evaluate(env, team.policy(True, 0), 2, 0, [(0, 0)])
    finally:
        env.close()


def _check(seed: int) -> None:
    agent, kwargs = _case(seed)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            _play(agent, kwargs)
        except REFUSALS as ex:
            text = str(ex)
            assert "\n" not in text and 10 < len(text) < 500, (seed, text)
        except Exception as ex:
            ex.add_note(f"_case({seed}) = {agent}, {kwargs}")
            raise
    # Our own notes alone: a warning of NumPy's or Gymnasium's is a line that nobody asked for.
    lines = [str(w.message) for w in told if not _ours(w)]
    assert not lines, (seed, agent, kwargs, lines)


def _ours(warning: warnings.WarningMessage) -> bool:
    own = ("no pictures: ", "close() failed")
    return "rlexp" in warning.filename and str(warning.message).startswith(own)


@pytest.mark.parametrize("seed", range(FEW))
def test_an_odd_environment_is_played_or_refused(seed: int) -> None:
    _check(seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("chunk", range(FEW, MANY, CHUNK))
def test_a_thousand_odd_environments(chunk: int) -> None:
    for seed in range(chunk, min(chunk + CHUNK, MANY)):
        _check(seed)


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.fuzz)])
def test_what_is_refused_leaves_no_run(seed: int, main: Any, tmp_path: Any) -> None:
    """Of what the first step shows, by the command itself: one line and exit code 2."""
    rng = np.random.default_rng(seed)
    for nth in range(4 if seed == 3 else 40):
        value, index = _pick(rng, [None, "x", np.ones(1), math.nan]), int(rng.integers(1, 3))

        def step(*result: Any, value: Any = value, index: int = index) -> Any:
            return (*result[:index], value, *result[index + 1 :])

        gymnasium.register(
            "Fuzz-v0", entry_point=lambda step=step, **k: odd_envs.Odd(step=step, **k)
        )
        try:
            code, out, err = main("train", "env=gym", "env.id=Fuzz-v0", "agent=random",
                                  "total_steps=9", f"run_dir=run{nth}", "logger=[csv]")  # fmt: skip
        finally:
            del gymnasium.registry["Fuzz-v0"]
        assert code == 2 and err.count("\n") == 1 and not out, (index, value, err)
        assert not list(tmp_path.glob("run*"))
