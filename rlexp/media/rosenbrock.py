"""The way down Rosenbrock's valley, over its contours."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rlexp.envs.rosenbrock import Rosenbrock, rosenbrock
from rlexp.media import gif
from rlexp.media.pictures import Picture
from rlexp.media.plots import COLOURS, figure, pixels
from rlexp.types import SOLO

MOST = 20_000  # steps that are drawn at most
FRAMES = 40


class Path(Picture):
    """The game of row 0: path.png, path.txt and path.gif.

    The game is played again at the end: with no chance in it, it comes out the same.
    """

    def finish(self, step: int) -> None:
        env = self.scene.make_env()
        assert isinstance(env, Rosenbrock)
        steps = min(step // self.scene.env.spec.num_envs, env.max_steps or MOST, MOST)
        x = self._play(env, steps)
        value = rosenbrock(torch.tensor(x), env.a, env.b).numpy()
        text = f"step {steps:,}: x = ({x[-1, 0]:.5f}, {x[-1, 1]:.5f}), f = {value[-1]:.3g}"
        self.scene.logger.note(text)
        (self.scene.run.media / "path.txt").parent.mkdir(parents=True, exist_ok=True)
        (self.scene.run.media / "path.txt").write_text(text + "\n")
        drawn, (axes,) = figure(1, 2)
        self._landscape(axes[0], env, x)
        axes[0].plot(x[:, 0], x[:, 1], color=COLOURS[1], linewidth=1.6)
        axes[0].plot(*x[0], "o", color=COLOURS[1], markersize=5, label="start")
        axes[0].plot(*x[-1], "s", color=COLOURS[1], markersize=4, label="end", zorder=3)
        axes[0].plot(*env.goal, "*", color=COLOURS[2], markersize=13, label="minimum", zorder=2.5)
        axes[0].legend(fontsize=7, frameon=True, framealpha=0.85, loc="lower left")
        axes[0].set_title(f"x = ({x[-1, 0]:.5f}, {x[-1, 1]:.5f})", fontsize=9, loc="left")
        axes[1].plot(np.arange(len(value)), value, color=COLOURS[0], linewidth=1.5)
        axes[1].set_yscale("log")
        axes[1].set_title("f(x)", fontsize=9, loc="left")
        axes[1].set_xlabel("step", fontsize=8)
        drawn.suptitle(self.scene.title, fontsize=10)
        self.scene.save(drawn, "path", step)
        self._animate(env, x, value, step)

    def _play(self, env: Rosenbrock, steps: int) -> np.ndarray:
        """Points [steps + 1, 2] of row 0, the start included."""
        act = self.scene.team.policy(greedy=True, seed=0)
        tick, points = env.start(0), [env.x[0].copy()]
        for _ in range(steps):
            env.send(act(tick))
            tick = env.recv()
            info = tick.done[SOLO].info
            points.append(np.array([info["x0"][0], info["x1"][0]]))
        return np.array(points)

    def _landscape(self, ax: Any, env: Rosenbrock, x: np.ndarray) -> None:
        low, high = env.window()
        low, high = np.minimum(low, x.min(0) - 0.2), np.maximum(high, x.max(0) + 0.2)
        grid = np.meshgrid(np.linspace(low[0], high[0], 240), np.linspace(low[1], high[1], 240))
        height = rosenbrock(torch.tensor(np.stack(grid, -1)), env.a, env.b).numpy()
        levels = np.logspace(-1, np.log10(height.max()), 14)
        ax.contour(*grid, height, levels=levels, colors="#888888", linewidths=0.6)
        ax.contourf(*grid, np.log10(height + 1e-2), levels=24, cmap="Blues_r", alpha=0.6)
        ax.grid(False)
        ax.set_xlabel("x0", fontsize=8)
        ax.set_ylabel("x1", fontsize=8)

    def _animate(self, env: Rosenbrock, x: np.ndarray, value: np.ndarray, step: int) -> None:
        drawn, axes = figure(1, 1)
        ax = axes[0, 0]
        self._landscape(ax, env, x)
        ax.plot(*env.goal, "*", color=COLOURS[2], markersize=9)
        (trail,) = ax.plot([], [], color=COLOURS[1], linewidth=1.6)
        (head,) = ax.plot([], [], "o", color=COLOURS[1], markersize=6)
        # The first steps are long and the last ones short: shown at even times on a log scale.
        shown = np.unique(np.geomspace(1, len(x), FRAMES).round().astype(int)) - 1
        frames = []
        for last in shown:
            trail.set_data(x[: last + 1, 0], x[: last + 1, 1])
            head.set_data(x[last : last + 1, 0], x[last : last + 1, 1])
            ax.set_title(f"step {last:,}: f = {value[last]:.3g}", fontsize=9, loc="left")
            frames.append(pixels(drawn))
        path = gif.write(self.scene.run.media / "path.gif", frames, fps=6)
        self.scene.logger.gif(step, "media/path_moving", path)
