"""What the presets of maze and grid world draw, through real runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rlexp
from rlexp.envs.maze import Maze
from rlexp.media import lock_in
from rlexp.run_dir import RunDir

QUIET = ["logger=csv", "device=cpu", "device.threads=1", "evaluation.every=null"]
SHORT = ["env.max_steps=30", "run_dir=run"]
SOURCE = ["#######", "#S    #", "# # ###", "# #   #", "# ### #", "#   #G#", "#######"]


def test_the_maze_is_drawn() -> None:
    rlexp.train(["experiment=maze", *QUIET, "total_episodes=60", "run_dir=run"])
    for name in ("start", "learning"):
        picture = np.asarray(Image.open(f"run/media/{name}.png").convert("L"))
        assert picture.shape[1] > picture.shape[0] > 200 and picture.std() > 10
    gif = Image.open("run/media/last_episode.gif")
    durations = []
    for frame in range(gif.n_frames):  # type: ignore[attr-defined]
        gif.seek(frame)
        durations.append(gif.info["duration"])
    assert len(durations) >= 5 and set(durations) == {1000}
    assert "picture" not in Path("run/run.log").read_text()


def test_many_learners_are_drawn_too() -> None:
    run = ["experiment=maze_fast", *QUIET, "env.num_envs=5", "agent.max_episodes=10"]
    rlexp.train([*run, "run_dir=run"])
    assert Path("run/media/learning.png").stat().st_size > 10_000


@pytest.mark.parametrize("preset", ["gridworld_q_learning", "gridworld_sarsa"])
def test_the_grid_world_is_drawn(preset: str) -> None:
    rlexp.train([f"experiment={preset}", *QUIET, "total_episodes=20", *SHORT])
    for name in ("values", "loss"):
        assert Path(f"run/media/{name}.png").stat().st_size > 10_000
    assert "picture" not in Path("run/run.log").read_text()


def test_the_shortest_way() -> None:
    assert lock_in.shortest(Maze(SOURCE, 1, "inverse", None)) == 4
    assert lock_in.shortest(Maze(["#####", "#S G#", "#####"], 1, "step", None)) == 1


def test_the_figure_of_the_sweep() -> None:
    run = ["env=maze", "agent=tabular_policy_gradient", *QUIET, "env.num_envs=20"]
    runs = []
    for sign, lr in (("minus", 0.5), ("plus", 1.0)):
        where = f"run_dir={sign}"
        rlexp.train([*run, f"agent.sign={sign}", f"agent.lr={lr}", where, "total_steps=20_000"])
        runs.append(RunDir(Path(sign)))
    minus, plus = lock_in.settings(runs)
    assert (minus.name, plus.name) == ("minus, lr 0.5", "plus, lr 1")
    assert minus.steps.shape == (20,) and (minus.steps >= 4).all()
    path = lock_in.lock_in(Path("."), runs)
    assert path.stat().st_size > 10_000
