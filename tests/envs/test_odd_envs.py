"""Environments that break the rules: one line that says what they returned, and no traceback."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple

import odd_envs
import rlexp
from odd_envs import PICTURE
from rlexp import build
from rlexp.clock import Clock
from rlexp.envs import gym
from rlexp.envs.rendering import to_rgb
from rlexp.errors import RunStopped, UserError
from rlexp.evaluate import evaluate
from rlexp.loop import train
from rlexp.types import SOLO

RUN = ["agent=random", "total_steps=40", "logger=[csv]", "evaluation.every=20",
       "evaluation.episodes=1", "run_dir=run", "device=cpu"]  # fmt: skip


def make(**kwargs: Any) -> Any:
    changes = {key: kwargs.pop(key) for key in ("pixels", "stack", "resize") if key in kwargs}
    given = {"pixels": False, "resize": None, "gray": False, "stack": 1} | changes
    return gym.make("Odd-v0", kwargs, [], 2, "thread", 1, None, **given)


def trained(agent: str, **kwargs: Any) -> Any:
    """An agent that has played Odd for a while, and learnt."""
    small = {
        "ppo": ["agent.rollout_steps=20"],
        "dqn": ["agent.learning_starts=20"],
        "sac": ["agent.learning_starts=20", "agent.hidden=[8]", "agent.batch_size=8"],
    }.get(agent, [])
    config = rlexp.compose([f"agent={agent}", *small, "device=cpu", "device.threads=1"]).config
    env = make(**kwargs)
    team = build.team(config, build.plan(config, env.spec))
    turns = list(train(team, env, Clock(total_steps=60), 0))
    assert any(turn.metrics for turn in turns)
    env.close()
    return team


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"step": lambda o, r, te, tr, i: (o, r, te, i)},
         r"step\(\) returned 4 values \(observation, reward, done, info: the API before"),
        ({"step": lambda *_: None}, r"step\(\) returned None; it must return 5"),
        ({"step": lambda o, r, *x: (o, None, *x)}, r"returned the reward None"),
        ({"step": lambda o, r, *x: (o, np.ones(1), *x)},
         r"returned the reward float64 of shape \(1,\); it must be a finite number"),
        ({"step": lambda o, r, *x: (o, math.nan, *x)}, "returned the reward nan"),
        ({"step": lambda o, r, *x: (o, 10**400, *x)}, "returned the reward"),
        ({"step": lambda o, r, *x: (o, 1 + 2j, *x)}, r"returned the reward \(1\+2j\)"),
        ({"step": lambda o, r, *x: (o, "1", *x)}, "returned the reward '1'"),
        ({"step": lambda o, r, te, tr, i: (o, r, None, tr, i)}, "returned terminated=None"),
        ({"step": lambda o, r, te, tr, i: (o, r, te, 2, i)}, "returned truncated=2"),
        ({"step": lambda o, r, te, tr, i: (o, r, te, tr, None)}, "returned the info None"),
        ({"step": lambda o, r, te, tr, i: (o, r, te, tr, [1])}, "the info a list of 1"),
        ({"step": lambda o, *x: (None, *x)}, "returned the observation None, which does not fit"),
        ({"step": lambda o, *x: (np.zeros(3), *x)}, r"its shape is \(3,\), not \(2,\)"),
        ({"step": lambda o, *x: ([[1], [1, 2]], *x)}, "which does not fit Box"),
        ({"step": lambda o, *x: (np.array(["a", "b"]), *x)}, "it holds no real numbers"),
        ({"reset": lambda o: o}, r"reset\(\) returned float32 of shape \(2,\); it must return"),
        ({"reset": lambda o: (o, None)}, r"reset\(\) returned a tuple of 2"),
        ({"reset": lambda o: (o[:1], {})}, r"reset\(\) returned the observation"),
        ({"obs": Discrete(3, start=1), "step": lambda o, *x: (7, *x)}, "it must be 1 to 3"),
        ({"obs": PICTURE, "step": lambda o, *x: (o[:4], *x)}, r"its shape is \(4, 9, 3\)"),
        ({"obs": PICTURE, "step": lambda o, *x: (o / 255, *x)}, "other numbers than 0 to 255"),
        ({"obs": Dict({"a": Discrete(3), "b": Box(0, 1)}), "step": lambda o, *x: ({"a": 1}, *x)},
         "returned the observation a dict with 'a', which does not fit Dict.*: 'b'"),
        ({"obs": MultiDiscrete([2, 3]), "step": lambda o, *x: (np.array([5, 5]), *x)},
         "does not fit MultiDiscrete"),
        ({"obs": Box(0, 1, (0,))}, r"the observation Box\(.*\) is empty"),
        ({"obs": Dict({})}, "hold nothing that agents can see"),
        ({"obs": Text(9)}, "hold nothing that agents can see"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("late", [False, True])
def test_what_was_returned_is_said_in_one_line(
    kwargs: dict[str, Any], message: str, late: bool
) -> None:
    """At once where the first step shows it, which is before a run has a directory."""
    if not late:
        with pytest.raises(UserError, match=f"^env.id=Odd-v0: .*{message}") as caught:
            make(**kwargs)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 320
    elif "step" in kwargs:
        env = make(**kwargs, at=4)
        env.start(0)
        with pytest.raises(UserError, match=f"^env.id=Odd-v0: .*{message}"):
            for _ in range(4):
                env.send({SOLO: np.zeros(2, np.int64)})
                env.recv()
        env.close()


def test_a_refused_environment_leaves_no_run_behind(main: Any) -> None:
    gymnasium.register("OddStep-v0", entry_point=lambda **k: odd_envs.Odd(step=_four, **k))
    try:
        code, out, err = main("train", "env=gym", "env.id=OddStep-v0", *RUN)
    finally:
        del gymnasium.registry["OddStep-v0"]
    assert code == 2 and err.startswith("rlexp: env.id=OddStep-v0: step() returned 4 values")
    assert err.count("\n") == 1 and out == "" and not Path("run").exists()


def _four(obs: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
    return obs, reward, terminated, info


@pytest.mark.parametrize(
    "step",
    [
        lambda o, r, te, tr, i: (o.tolist(), np.float32(r), np.bool_(te), int(tr), i),
        lambda o, r, te, tr, i: (o.astype(np.float64), int(r), np.array(te), np.int8(tr), i),
        lambda o, r, te, tr, i: [o[::-1][::-1], True, te, tr, {1: 2, "text": "a", "big": 10**400}],
        lambda o, r, te, tr, i: (tuple(o), np.array(r), te, tr, {"none": None, "x": np.ones(3)}),
        lambda o, r, te, tr, i: (o * 1e9, r, te, tr, {"complex": 1j, "nested": {"a": 1}}),
    ],
)
def test_what_is_unusual_but_clear_is_taken(step: Any) -> None:
    result = evaluate(make(step=step), lambda _: {SOLO: np.zeros(2, np.int64)}, 4, 0)
    assert [(g.length, g.returns[SOLO]) for g in result.games] == [(5, 5.0)] * 4


@pytest.mark.parametrize(
    ("shown", "pixel"),
    [
        (np.full((4, 5, 3), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 5, 4), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 5, 1), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 5), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 5), 9, np.uint8).tolist(), [9, 9, 9]),
        (np.full((3, 4, 5), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 5, 3), 0.5), [128, 128, 128]),
        (np.full((4, 5, 3), 200.4), [200, 200, 200]),
        (np.full((4, 5, 3), np.nan), [0, 0, 0]),
        (np.full((4, 5), True), [255, 255, 255]),
        (np.full((4, 5, 3), 300), [255, 255, 255]),
        (np.full((5, 4, 3), 9, np.uint8).transpose(1, 0, 2)[::-1], [9, 9, 9]),
        ([np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 9, np.uint8)], [9, 9, 9]),
    ],
)
def test_images_of_every_kind_become_rgb(shown: Any, pixel: list[int]) -> None:
    image = to_rgb(shown)
    assert image is not None and image.shape == (4, 5, 3) and image.dtype == np.uint8
    assert image[2, 3].tolist() == pixel and image.flags.c_contiguous
    assert not isinstance(shown, np.ndarray) or not np.may_share_memory(image, shown)


def _raises(_: int) -> Any:
    raise RuntimeError("no display")


def _changes_size(move: int) -> Any:
    return np.zeros((4 + move, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("render", "note"),
    [
        (_raises, "no pictures: RuntimeError: no display"),
        (lambda _: "a board", "no pictures: ValueError: render() gave 'a board'"),
        (lambda _: np.zeros((4, 5, 2)), "no pictures: ValueError: render() gave float64 of shape"),
        (lambda _: np.zeros((0, 5, 3), np.uint8), "no pictures: ValueError"),
        (lambda _: None, ""),
        (lambda _: [], ""),
        (_changes_size, None),
    ],
)
def test_drawing_never_ends_a_run(render: Any, note: str | None) -> None:
    gymnasium.register("OddDraws-v0", entry_point=lambda **k: odd_envs.Odd(render=render, **k))
    try:
        rlexp.train(["env=gym", "env.id=OddDraws-v0", *RUN, "evaluation.mp4=true"])
    finally:
        del gymnasium.registry["OddDraws-v0"]
    log = Path("run/run.log").read_text()
    assert json.loads(Path("run/status.json").read_text())["state"] == "finished"
    if note is not None:
        assert note in log and log.count("no pictures: ") - 1 == bool(note)
        assert log.count("no GIF, no video") == 1


def test_a_gif_that_can_not_be_written_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> Any:
        raise RuntimeError("no colors left")

    monkeypatch.setattr("rlexp.media.gif.write", write)
    monkeypatch.setattr("rlexp.media.plots.curves", write)
    rlexp.train(["env=gridworld", *RUN])
    log = Path("run/run.log").read_text()
    assert log.count("no GIF: RuntimeError: no colors left") == 1
    assert "no learning curves: RuntimeError: no colors left" in log
    assert json.loads(Path("run/status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize("modes", [[None], [None, "human"], ["human", "ansi", None]])
def test_a_render_mode_that_is_refused_is_not_asked_for(modes: list[str | None]) -> None:
    env = make(modes=modes)
    env.start(0)
    assert env.render(0) is None
    env.close()


@pytest.mark.parametrize(
    ("metadata", "fps"),
    [({}, 30), (None, 30), ({"render_fps": None}, 30), ({"render_fps": "fast"}, 30),
     ({"render_fps": 0}, 30), ({"render_fps": 0.5}, 1), ({"render_fps": math.inf}, 30),
     ({"render_fps": np.float32(12)}, 12)],
)  # fmt: skip
def test_frames_per_second_are_a_number(metadata: Any, fps: int) -> None:
    env = make(metadata={"metadata": metadata})
    assert env.spec.fps == fps
    env.close()


def test_closing_that_fails_is_told_and_no_more() -> None:
    def fails() -> None:
        raise OSError("already gone")

    gymnasium.register("OddClose-v0", entry_point=lambda **k: odd_envs.Odd(close=fails, **k))
    try:
        with pytest.warns(UserWarning, match=r"close\(\) failed: OSError: already gone"):
            rlexp.train(["env=gym", "env.id=OddClose-v0", *RUN])
    finally:
        del gymnasium.registry["OddClose-v0"]
    assert json.loads(Path("run/status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize(
    ("agent", "actions"),
    [
        ("ppo", MultiBinary([2, 3])),
        ("reinforce", MultiDiscrete([[2, 3], [4, 2]])),
        ("ppo", Box(-1, 1, ())),
        ("sac", Box(-1, 1, ())),
        ("a2c", Box(0, 3, (), np.int64)),
        ("sac", Box(np.float64(-2), 2, (2, 2), np.float64)),
        ("dqn", Discrete(3, start=-1)),
    ],
)
def test_actions_of_every_shape_reach_the_environment(agent: str, actions: Space[Any]) -> None:
    trained(agent, actions=actions)  # Odd asserts that its space contains them


@pytest.mark.parametrize(
    ("agent", "obs"),
    [
        ("ppo", Box(-1, 1, ())),
        ("ppo", Box(0, 1, (3,), np.bool_)),
        ("dqn", Box(0, 255, (5,), np.uint8)),
        ("ppo", Dict({"a": Tuple((Discrete(2), MultiBinary([2, 2]))), "b": Box(0, 1, (2, 2))})),
        ("dqn", Discrete(3, start=-1)),
    ],
)
def test_observations_of_every_kind_are_learnt_from(agent: str, obs: Space[Any]) -> None:
    trained(agent, obs=obs)


class Mission(Space[str]):
    """Strings, as MiniGrid's missions: no Text, and nothing that Gymnasium could flatten."""

    def __init__(self) -> None:
        super().__init__(dtype=str)

    def sample(self, *_: Any, **__: Any) -> str:
        return "go to the door"

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


@pytest.mark.parametrize("text", [Mission(), Text(12)])
def test_text_is_left_out_and_said_once(text: Space[Any]) -> None:
    inner = Dict({"mission": text, "direction": Discrete(4)})
    env = make(obs=Tuple((Box(0, 1, (2,)), text, inner)))
    assert env.spec.observation_spaces[SOLO].shape == (2 + 4,)
    assert env.spec.notes == ("env.id=Odd-v0: text is left out of the observations: 1, 2.mission",)
    assert env.start(0).obs[SOLO].shape == (2, 6)
    env.close()
    seen = Dict({"mission": text, "n": Discrete(4)})
    gymnasium.register("OddText-v0", entry_point=lambda **k: odd_envs.Odd(obs=seen, **k))
    try:
        rlexp.train(["env=gym", "env.id=OddText-v0", *RUN])
    finally:
        del gymnasium.registry["OddText-v0"]
    assert Path("run/run.log").read_text().count("text is left out") == 1


def test_minigrid_s_missions() -> None:
    pytest.importorskip("minigrid")
    env = gym.make("minigrid:MiniGrid-Empty-5x5-v0", {}, [], 1, "thread", 1, None, False, [84, 84],
                   False, 1)  # fmt: skip
    assert env.spec.notes[0].endswith("text is left out of the observations: mission")
    assert env.start(0).obs[SOLO].shape == (1, 3 * 84 * 84 + 4)
    env.close()


@pytest.mark.parametrize(
    ("shape", "seen"),
    [((4, 40, 48, 3), (12, 40, 48)), ((4, 40, 48, 1), (4, 40, 48)), ((2, 3, 40, 48), (6, 40, 48))],
)
def test_a_stack_of_images_is_one_image_of_more_channels(shape: Any, seen: Any) -> None:
    """What FrameStackObservation gives of RGB."""
    env = make(obs=Box(0, 255, shape, np.uint8))
    assert env.spec.observation_spaces[SOLO] == Box(0, 255, seen, np.uint8)
    obs: Any = env.start(0).obs[SOLO]
    raw = Box(0, 255, shape, np.uint8)
    raw.seed(0)
    expected = raw.sample()
    if shape[-1] <= 3:
        expected = np.moveaxis(expected, -1, 1)
    np.testing.assert_array_equal(obs[0], expected.reshape(seen))
    env.close()
    trained("ppo", obs=Box(0, 255, shape, np.uint8))


ENDS: list[tuple[str, str]] = [
    ("exit", r"^odd_envs.py, line \d+: step called sys.exit\(0\)$"),
    ("interrupt", r"^odd_envs.py, line \d+: step raised KeyboardInterrupt\(\)$"),
]


@pytest.mark.parametrize("way", ["thread", "process"])
@pytest.mark.parametrize(("how", "message"), ENDS)
def test_an_environment_that_ends_python_ends_the_run_and_says_so(
    way: str, how: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    env = gym.make("odd_envs:Ends-v0", {"how": how}, [], 2, way, 1, None, False, None, False, 1)
    env.start(0)
    with pytest.raises(RunStopped, match=message):
        for _ in range(3):
            env.send({SOLO: np.zeros(2, np.int64)})
            env.recv()
    env.close()


def test_a_process_that_ends_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    for how, error, message in (
        ("os._exit", RunStopped, "process ended by itself with exit code 0"),
        ("raise", RuntimeError, "TwoWords: a b"),
    ):
        kwargs = {"how": how}
        env = gym.make("odd_envs:Ends-v0", kwargs, [], 1, "process", 1, None, False, None, False, 1)
        env.start(0)
        with pytest.raises(error, match=message) as caught:
            for _ in range(3):
                env.send({SOLO: np.zeros(1, np.int64)})
                env.recv()
        env.close()
    assert "In the environment's process:" in caught.value.__notes__[0]


def test_sys_exit_in_an_environment_is_exit_code_1(
    rlexp: Callable[..., Any], tmp_path: Path
) -> None:
    source = Path(odd_envs.__file__).read_text()
    (tmp_path / "rlexp_plugins.py").write_text(source)
    given = ["env=gym", "env.id=Ends-v0", *RUN]
    done = rlexp("train", *given, "env.kwargs={how: exit}")
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith("called sys.exit(0)")
    assert "Traceback" not in done.stderr
    status = json.loads(Path("run/status.json").read_text())
    assert status["state"] == "failed" and "sys.exit(0)" in status["error"]
    # While it is tried out there is no run yet.
    done = rlexp("train", *given, "env.kwargs={how: exit, at: 1}", "run_dir=other")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not Path("other").exists()
