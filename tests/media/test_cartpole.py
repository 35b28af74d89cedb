"""CartPole's pictures, through a real run."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

import rlexp
from conftest import FAST
from rlexp.envs.cartpole import CartPole
from rlexp.media.cartpole import TILE, episodes, sheet
from rlexp.types import SOLO

RUN = ["experiment=cartpole_dqn", *FAST, "logger=[csv,console]", "total_episodes=45"]


def test_random_play_and_episode_curves(capsys: object) -> None:
    rlexp.train([*RUN, "run_dir=run"])
    with open("run/media/random_play.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 100 and set(rows[0]) == {
        "move", "action", "reward", "position", "velocity", "angle", "angular velocity",
        "terminated", "truncated",
    }  # fmt: skip
    assert {row["action"] for row in rows} == {"0", "1"}
    state = [[float(row[name]) for name in list(row)[3:7]] for row in rows]
    env = CartPole(1, 500)
    env.start(0)
    env.state = np.array([state[0]])
    env.send({SOLO: np.array([int(rows[1]["action"])])})
    after = env.recv().done[SOLO].next_obs[0]  # CartPole's rules lead from one line to the next
    np.testing.assert_allclose(after, state[1], rtol=1e-5, atol=1e-6)
    for row, (_, _, angle, _) in zip(rows, state, strict=True):
        assert (row["terminated"] == "True") == (abs(angle) > 12 * 2 * np.pi / 360)
    with Image.open("run/media/random_frames.png") as picture:
        assert picture.size == (10 * TILE[1], 10 * TILE[0])
    assert Path("run/media/random_play.png").stat().st_size > 10_000
    assert Path("run/media/episodes.png").stat().st_size > 5_000
    drawn = episodes(Path("run/metrics.csv"), "title")
    _, reward = drawn.axes
    (line,) = reward.lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 46))
    with open("run/metrics.csv", newline="") as f:
        lengths = [float(row["train/episode_length"]) for row in csv.DictReader(f)]
    np.testing.assert_array_equal(line.get_ydata(), lengths)  # a reward of 1 a move
    told = capsys.readouterr().err  # type: ignore[attr-defined]
    assert told.count("\nstep ") == 3  # after 20, 40 and 45 episodes


def test_the_sheet_marks_ends() -> None:
    frames = [np.full((200, 300, 3), 255, dtype=np.uint8)] * 12
    picture = sheet(frames, [False] * 10 + [True, False])
    height, width = TILE
    assert tuple(picture[height, 0]) == (213, 94, 0) and tuple(picture[0, 0]) != (213, 94, 0)
    assert (picture[2 * height + 5 :] == 255).all()
