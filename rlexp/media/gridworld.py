"""Pictures of a grid world and of the action values that are learnt in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlexp.agents.td_control import TDControl
from rlexp.envs.gridworld import MOVES, GridWorld
from rlexp.loggers.csv import read
from rlexp.media.maze import by_episode, plain_ticks
from rlexp.media.pictures import Picture
from rlexp.media.plots import COLOURS, figure

INK = "#333333"


class Values(Picture):
    """media/values.png: the four action values in each cell, and the greedy move as an arrow."""

    def finish(self, step: int) -> None:
        agent, world = getattr(self.scene.team, "agent", None), self.scene.env
        if not isinstance(agent, TDControl) or not isinstance(world, GridWorld):
            raise TypeError("this picture is for env=gridworld agent=q_learning or sarsa")
        drawn, axes = figure(1, 1)
        drawn.set_size_inches(1.25 * world.columns + 0.9, 1.25 * world.rows + 0.6)
        draw_values(drawn, axes[0, 0], world, agent.action_values(0))
        drawn.suptitle(f"Action values: {self.scene.title}", fontsize=10)
        self.scene.save(drawn, "values", step)


class Loss(Picture):
    """media/loss.png: mean loss of each episode, and its length."""

    def finish(self, step: int) -> None:
        _, rows = read(self.scene.run.metrics)
        learners = self.scene.env.spec.num_envs
        drawn, (axes,) = figure(1, 2)
        shown = (("loss/td", "Squared error, mean of an episode"),
                 ("train/episode_length", "Moves of an episode"))  # fmt: skip
        for ax, (name, title) in zip(axes, shown, strict=True):
            episodes, values = by_episode(rows, name, learners)
            ax.plot(episodes, values, color=COLOURS[5], linewidth=0.7, label="an episode")
            width = min(50, len(values))
            if width > 1:
                mean = np.convolve(values, np.ones(width) / width, mode="valid")
                ax.plot(episodes[width - 1 :], mean, color=COLOURS[1], linewidth=1.5,
                        label=f"mean of the last {width}")  # fmt: skip
            if (values > 0).any():
                ax.set_yscale("log")
            ax.set_title(title, fontsize=9, loc="left")
            ax.set_xlabel("episode", fontsize=8)
        plain_ticks(axes[1])
        axes[0].legend(fontsize=7, frameon=False)
        drawn.suptitle(self.scene.title, fontsize=10)
        self.scene.save(drawn, "loss", step)


def draw_values(drawn: Any, ax: Any, world: GridWorld, q: np.ndarray) -> None:
    """q [cells, 4] as four triangles a cell, red below zero and blue above."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    living = world.free & ~world.ends
    limit = float(np.abs(q[living]).max()) or 1.0
    colours = ScalarMappable(Normalize(-limit, limit), "RdBu")
    ax.set(xlim=(0, world.columns), ylim=(world.rows, 0), aspect="equal")
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    for cell, values in enumerate(q):
        row, col = divmod(cell, world.columns)
        corners = {"x": [col, col + 1, col + 1, col], "y": [row, row, row + 1, row + 1]}
        kind = world.drawn[row, col]
        if not living[cell]:
            colour, text = ("#444444", "") if kind == "#" else ("#CCEBE0", "goal")
            ax.fill(corners["x"], corners["y"], color=colour)
            ax.text(col + 0.5, row + 0.5, text, fontsize=10, ha="center", va="center", color=INK)
            continue
        _draw_cell(ax, row, col, values, colours, limit)
        if kind in "S-":
            name = {"S": "start", "-": "pit"}[kind]
            ax.text(col + 0.04, row + 0.04, name, fontsize=6.5, va="top", color=INK,
                    bbox={"facecolor": "white", "alpha": 0.8, "pad": 0.8, "lw": 0})  # fmt: skip
    for line in range(world.rows + 1):
        ax.axhline(line, color=INK, linewidth=1.2)
    for line in range(world.columns + 1):
        ax.axvline(line, color=INK, linewidth=1.2)
    bar = drawn.colorbar(colours, ax=ax, shrink=0.8, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)


def _draw_cell(ax: Any, row: int, col: int, values: np.ndarray, colours: Any, limit: float) -> None:
    x, y = col + 0.5, row + 0.5
    best = int(values.argmax())
    for action, ((down, right), value) in enumerate(zip(MOVES, values, strict=True)):
        # The triangle between the middle and the two corners of this side.
        ends = [(x + right / 2 + side * down / 2, y + down / 2 + side * right / 2)
                for side in (-1, 1)]  # fmt: skip
        ax.fill(*zip((x, y), *ends, strict=True), color=colours.to_rgba(value), lw=0)
        ax.plot(*zip(ends[0], (x, y), ends[1], strict=True), color="white", linewidth=0.8)
        weight = "bold" if action == best else "normal"
        ink = "white" if abs(value) > 0.6 * limit else INK
        ax.text(x + 0.33 * right, y + 0.36 * down, f"{value:.2f}", fontsize=7.5, color=ink,
                ha="center", va="center", weight=weight)  # fmt: skip
    down, right = MOVES[best]
    ax.annotate("", (x + 0.17 * right, y + 0.17 * down), (x - 0.15 * right, y - 0.15 * down),
                arrowprops={"arrowstyle": "-|>", "color": COLOURS[4], "lw": 2.2, "shrinkA": 0,
                            "shrinkB": 0, "mutation_scale": 12})  # fmt: skip
