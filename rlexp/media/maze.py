"""Pictures of a maze and of the policies that are learnt in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rlexp.agents.tabular_policy_gradient import TabularPolicyGradient, softmax
from rlexp.envs.maze import MOVES, Maze, expected_steps
from rlexp.loggers.csv import read
from rlexp.media import gif
from rlexp.media.pictures import Picture, Scene
from rlexp.media.plots import COLOURS, column, figure
from rlexp.seeds import derive
from rlexp.types import SOLO, Metrics, Seat, Tick, Tree

INK = "#333333"
TICKS = [digit * 10**power for power in range(7) for digit in (1, 2, 4)]


def policies(scene: Scene) -> np.ndarray:
    """pi(a|s), [N, cells, 4], legal moves only, also in cells that no learner has seen yet."""
    agent, maze = getattr(scene.team, "agent", None), scene.env
    if not isinstance(agent, TabularPolicyGradient) or not isinstance(maze, Maze):
        raise TypeError("this picture is for env=maze agent=tabular_policy_gradient")
    return softmax(agent.theta, ~maze.walls)


class Start(Picture):
    """media/start.png: the maze, the policy before any learning, and a game played by it."""

    def start(self) -> None:
        scene = self.scene
        policy = policies(scene)[0]
        path, _ = play(scene, seed=derive(scene.config.seed, "picture of a random game"))
        maze: Any = scene.env
        drawn, (axes,) = figure(1, 3)
        drawn.set_size_inches(10.5, 3.75)
        for ax in axes:
            draw_walls(ax, maze)
        draw_policy(axes[1], maze, policy)
        draw_path(axes[2], maze, path)
        steps = expected_steps(maze, policy[None])[0]
        axes[0].set_title("The maze, cells numbered", fontsize=9, loc="left")
        axes[1].set_title(f"Before learning: {steps:.1f} moves expected", fontsize=9, loc="left")
        axes[2].set_title(f"A game of that policy: {len(path) - 1} moves", fontsize=9, loc="left")
        scene.save(drawn, "start")


class Learning(Picture):
    """media/learning.png: steps and change of each episode, and the policy in the end.

    Logs the exact expected number of steps, mean over learners, as train/expected_steps. With many
    learners, who are not at the same episode at the same time: that mean, and how they end.
    """

    def metrics(self) -> Metrics:
        steps = expected_steps(self.scene.env, policies(self.scene))  # type: ignore[arg-type]
        return {"train/expected_steps": float(steps.mean())}

    def finish(self, step: int) -> None:
        scene = self.scene
        maze: Any = scene.env
        _, rows = read(scene.run.metrics)
        drawn, (axes,) = figure(1, 3)
        many = maze.spec.num_envs > 1
        along = by_move if many else by_episode
        exact = along(rows, "train/expected_steps", maze.spec.num_envs)
        change = along(rows, "train/policy_change", maze.spec.num_envs)
        if not many:
            played = along(rows, "train/episode_length", 1)
            axes[0].plot(*played, color=COLOURS[5], linewidth=0.8, label="played")
        label = "expected, exactly" + (", mean of learners" if many else "")
        axes[0].plot(*exact, color=COLOURS[1], linewidth=1.6, label=label)
        axes[0].set_title("Steps of an episode", fontsize=9, loc="left")
        axes[0].legend(fontsize=7, frameon=False)
        axes[1].plot(*change, color=COLOURS[0], linewidth=0.8)
        axes[1].set_title("Change of the policy by an episode", fontsize=9, loc="left")
        stop = getattr(scene.config.agent, "stop_change", None)
        if stop is not None:
            axes[1].axhline(stop, color=INK, linewidth=0.8, linestyle=":")
            axes[1].annotate("learning stops", (0, stop), (3, 3), textcoords="offset points",
                             fontsize=7, color=INK)  # fmt: skip
        for ax in axes[:2]:
            ax.set_yscale("log")
            ax.set_xlabel("moves of each learner" if many else "episode", fontsize=8)
        plain_ticks(axes[0])
        self._end(axes[2], maze)
        learners = f", {maze.spec.num_envs} learners" if many else ""
        drawn.suptitle(scene.title + learners, fontsize=10)
        scene.save(drawn, "learning", step)

    def _end(self, ax: Any, maze: Maze) -> None:
        policy = policies(self.scene)
        steps = expected_steps(maze, policy)
        if len(steps) > 1:
            ax.hist(steps, bins=30, color=COLOURS[2])
            ax.yaxis.get_major_locator().set_params(integer=True)
            ax.axvline(steps.max(), color=INK, linewidth=0.8, linestyle=":")
            ax.set_title(f"Learners by expected steps in the end, {steps.max():.2f} at most",
                         fontsize=9, loc="left")  # fmt: skip
            return
        draw_walls(ax, maze)
        draw_policy(ax, maze, policy[0])
        ax.set_title(f"In the end: {steps[0]:.2f} moves expected", fontsize=9, loc="left")


class LastEpisode(Picture):
    """media/last_episode.gif: a game of the policy as it is in the end."""

    def finish(self, step: int) -> None:
        scene = self.scene
        policies(scene)
        _, frames = play(scene, seed=derive(scene.config.seed, "picture of the last game"))
        path = gif.write(scene.run.media / "last_episode.gif", frames, scene.env.spec.fps)
        scene.logger.gif(step, "media/last_episode", path)


def play(scene: Scene, seed: int, limit: int = 300) -> tuple[list[int], list[np.ndarray]]:
    """(cells, pictures) of one game that the team samples, in an environment of its own."""
    env = scene.make_env()
    act: Callable[[Tick], dict[Seat, Tree]] = scene.team.policy(greedy=False, seed=seed)
    env.watch([0])
    tick = env.start(seed)
    cells, frames = [int(np.asarray(tick.obs[SOLO])[0])], []
    try:
        while len(cells) <= limit:
            picture = env.render(0)
            assert picture is not None
            frames.append(picture)
            env.send(act(tick))
            tick = env.recv()
            done = tick.done[SOLO]
            cells.append(int(np.asarray(done.next_obs)[0]))
            if done.ended[0]:
                frames.append(tick.pictures[0])
                break
    finally:
        env.close()
    return cells, frames


def plain_ticks(ax: Any) -> None:
    """1, 2, 4, 10, … on a logarithmic axis of counts."""
    low, high = ax.get_ylim()
    ticks = [t for t in TICKS if low <= t <= high]
    ax.set_yticks(ticks, [f"{t:,}" for t in ticks])
    ax.set_yticks([], minor=True)


def by_episode(
    rows: list[dict[str, str]], name: str, learners: int
) -> tuple[np.ndarray, np.ndarray]:
    """(episodes of a learner, values) of a metric."""
    kept = [row for row in rows if row.get(name)]
    _, values = column(kept, name)
    return np.array([float(row["train/episodes"]) / learners for row in kept]), values


def by_move(rows: list[dict[str, str]], name: str, learners: int) -> tuple[np.ndarray, np.ndarray]:
    """(moves of a learner, values) of a metric."""
    steps, values = column(rows, name)
    return steps / learners, values


def centre(maze: Maze, cell: int) -> tuple[float, float]:
    """(x, y) of a cell's middle; y grows downwards."""
    row, col = divmod(cell, maze.columns)
    return col + 0.5, row + 0.5


def draw_walls(ax: Any, maze: Maze) -> None:
    """Walls, numbers, start and goal on axes of one unit a cell."""
    ax.set(xlim=(-0.06, maze.columns + 0.06), ylim=(maze.rows + 0.06, -0.06), aspect="equal")
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    for cell, colour, letter in ((maze.start_cell, "#D6E6F4", "S"), (maze.goal, "#CCEBE0", "G")):
        row, col = divmod(cell, maze.columns)
        ax.fill([col, col + 1, col + 1, col], [row, row, row + 1, row + 1], color=colour, zorder=0)
        ax.text(col + 0.92, row + 0.08, letter, fontsize=9, color=INK,
                ha="right", va="top")  # fmt: skip
    for cell, closed in enumerate(maze.walls):
        row, col = divmod(cell, maze.columns)
        size = 8 if maze.columns <= 4 else 5.5
        ax.text(col + 0.08, row + 0.08, str(cell), fontsize=size, color="#777777", va="top")
        sides = (((col, col + 1), (row, row)), ((col + 1, col + 1), (row, row + 1)),
                 ((col, col + 1), (row + 1, row + 1)), ((col, col), (row, row + 1)))  # fmt: skip
        for (x, y), wall in zip(sides, closed, strict=True):
            ax.plot(x, y, color=INK if wall else "#DDDDDD", linewidth=2.5 if wall else 0.6,
                    solid_capstyle="round", zorder=2 if wall else 1)  # fmt: skip


def draw_policy(ax: Any, maze: Maze, policy: np.ndarray) -> None:
    """Arrows as long as the moves are likely; in small mazes probabilities [cells, 4] beside."""
    small = max(maze.rows, maze.columns) <= 4
    for cell, chances in enumerate(policy):
        if cell == maze.goal:
            continue
        x, y = centre(maze, cell)
        for (down, right), chance in zip(MOVES, chances, strict=True):
            if chance <= 0.005:
                continue
            tip = (x + right * (0.08 + 0.3 * chance), y + down * (0.08 + 0.3 * chance))
            width = (0.8 + 1.6 * chance) if small else (0.4 + 0.8 * chance)
            ax.annotate("", tip, (x, y), arrowprops={"arrowstyle": "-|>", "color": COLOURS[0],
                        "lw": width, "shrinkA": 0, "shrinkB": 0,
                        "mutation_scale": 10 if small else 5})  # fmt: skip
            beside = (x + 0.27 * right + 0.2 * abs(down), y + 0.27 * down + 0.13 * abs(right))
            if small:
                ax.text(*beside, f"{chance:.2f}".removeprefix("0"), fontsize=6.5, color=INK,
                        ha="center", va="center")  # fmt: skip


def draw_path(ax: Any, maze: Maze, path: list[int]) -> None:
    """The way through the cells, dark at first and light at last; its corners are shaken a little,
    so that moves to and fro can be told apart."""
    from matplotlib import colormaps

    shake = np.random.default_rng(0).uniform(-0.17, 0.17, size=(len(path), 2))
    points = np.array([centre(maze, cell) for cell in path]) + shake
    colours = colormaps["plasma"](np.linspace(0.0, 0.85, max(2, len(path) - 1)))
    for i, colour in enumerate(colours[: len(path) - 1]):
        ax.plot(*points[i : i + 2].T, color=colour, linewidth=1.4, solid_capstyle="round")
    ax.plot(*points[0], "o", color=colours[0], markersize=5)
    ax.plot(*points[-1], "s", color=colours[-1], markersize=6)
