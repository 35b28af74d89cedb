"""The figure of a sweep over sign and step size in the maze: who ends up walking in circles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlexp.agents.tabular_policy_gradient import softmax
from rlexp.envs.maze import Maze, expected_steps
from rlexp.media.maze import draw_policy, draw_walls
from rlexp.media.plots import COLOURS, figure
from rlexp.registry import sweep_figure
from rlexp.run_dir import RunDir


@dataclass
class Setting:
    """Policies [N, cells, 4] that the learners of one run ended with, and their exact steps [N]."""

    sign: str
    lr: float
    maze: Maze
    policies: np.ndarray
    steps: np.ndarray

    @property
    def name(self) -> str:
        return f"{self.sign}, lr {self.lr:g}"

    @property
    def bad(self) -> np.ndarray:
        """bool [N]: needs half as many steps again as the shortest way, or more."""
        return self.steps >= 1.5 * shortest(self.maze)


def shortest(maze: Maze) -> int:
    """Moves of the shortest way from start to goal."""
    reached = np.zeros(len(maze.following), dtype=bool)
    reached[maze.start_cell] = True
    moves = 0
    while not reached[maze.goal]:
        reached[maze.following[reached]] = True
        moves += 1
    return moves


def settings(runs: list[RunDir]) -> list[Setting]:
    """What the last checkpoints of the runs hold."""
    from rlexp import build, checkpoint, locate
    from rlexp.config.compose import load

    found = []
    for run in runs:
        config: Any = load(run.config)
        maze: Any = build.env(config.env, 1)
        state = checkpoint.load(locate.choose_checkpoint(run, "last"), weights_only=True)
        (agent,) = state["team"].values()
        policies = softmax(np.asarray(agent["weights"]["theta"]), ~maze.walls)
        steps = expected_steps(maze, policies)
        found.append(Setting(config.agent.sign, config.agent.lr, maze, policies, steps))
    return found


@sweep_figure
def lock_in(folder: Path, runs: list[RunDir]) -> Path:
    """Share of bad ends, the distribution of expected steps, and one of the bad policies."""
    found = settings(runs)
    drawn, (axes,) = figure(1, 3)
    best = shortest(found[0].maze)
    for i, setting in enumerate(found):
        colour = COLOURS[i % len(COLOURS)]
        share = setting.bad.mean()
        axes[0].barh(i, 100 * share, color=colour)
        axes[0].annotate(f"{100 * share:.1f} %", (100 * share, i), (3, 0),
                         textcoords="offset points", fontsize=7, va="center")  # fmt: skip
        steps = np.sort(np.minimum(setting.steps, 1e9))
        above = 1.0 - np.arange(len(steps)) / len(steps)
        axes[1].step(steps, 100 * above, where="pre", color=colour, linewidth=1.5,
                     label=setting.name)  # fmt: skip
    axes[0].set_yticks(range(len(found)), [setting.name for setting in found], fontsize=8)
    axes[0].invert_yaxis()
    axes[0].grid(False)
    axes[0].margins(x=0.15)
    axes[0].set_title(f"Bad ends, {1.5 * best:g} moves or more: % of learners", fontsize=9,
                      loc="left")  # fmt: skip
    axes[1].set_xscale("log")
    axes[1].set_title("Learners that need more moves, %", fontsize=9, loc="left")
    axes[1].set_xlabel("expected moves to the goal, exactly", fontsize=8)
    axes[1].legend(fontsize=7, frameon=False)
    _example(axes[2], found)
    count = len(found[0].steps)
    drawn.suptitle(f"Policy gradient in a maze, {count} learners each", fontsize=10)
    path = folder / "lock_in.png"
    drawn.savefig(path, dpi=120)
    return path


def _example(ax: Any, found: list[Setting]) -> None:
    """The policy in the middle of the bad ones, of the setting that has most of them."""
    worst = max(found, key=lambda setting: setting.bad.mean())
    draw_walls(ax, worst.maze)
    if not worst.bad.any():
        ax.set_title("No learner ended badly", fontsize=9, loc="left")
        return
    rows = np.flatnonzero(worst.bad)
    row = rows[np.argsort(worst.steps[rows])[len(rows) // 2]]
    draw_policy(ax, worst.maze, worst.policies[row])
    title = f"One of {worst.name}: {worst.steps[row]:,.0f} moves expected"
    ax.set_title(title, fontsize=9, loc="left")
