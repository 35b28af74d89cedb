"""Pictures of supervised runs: a fit over its data, predicted against actual, what was confused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlexp.envs.supervised import Supervised
from rlexp.loggers.csv import read
from rlexp.loop import Turn
from rlexp.media import gif
from rlexp.media.pictures import Picture, Scene
from rlexp.media.plots import COLOURS, column, figure, matrix, pixels
from rlexp.statistics import confusion
from rlexp.types import SOLO, Tick

BLUE, ORANGE, GREEN = COLOURS[:3]
DARK = "#333333"


def predict(scene: Scene, x: np.ndarray) -> np.ndarray:
    """What the agent says now of inputs [n, …]: numbers or classes [n]."""
    act = scene.team.policy(greedy=True, seed=0)
    answer = act(Tick(obs={SOLO: x}, first=np.ones(len(x), dtype=bool)))[SOLO]
    assert isinstance(answer, np.ndarray)
    return answer.reshape(len(x))


def r_squared(predicted: np.ndarray, actual: np.ndarray) -> float:
    """1 - squared error / squared distance from the mean."""
    around = float(np.square(actual - actual.mean(dtype=float)).sum(dtype=float))
    return 1.0 - float(np.square(predicted - actual).sum(dtype=float)) / around


def write(scene: Scene, name: str, lines: list[str]) -> Path:
    """Lines of text as media/NAME.txt, and to the loggers."""
    path = scene.run.media / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    scene.logger.note("\n".join(lines))
    return path


class Fit(Picture):
    """A function of one number over its data: fit.png, fit.txt, and how it came about: fit.gif.

    What the GIF shows is kept in fit.csv, a line a shown step, so that a resumed run has it all.
    """

    GRID = np.linspace(0, 1, 101, dtype=np.float32)[:, None]
    PACE = 1.12  # each shown update is this many times the one before

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        assert isinstance(scene.env, Supervised)
        self.training, self.test = scene.env.training, scene.env.test
        self.rows = scene.env.spec.num_envs
        self.kept = scene.run.media / "fit.csv"
        self.shown = {round(self.PACE**k) for k in range(150)}

    def start(self) -> None:
        self._keep(0)

    def turn(self, turn: Turn) -> None:
        if turn.clock.steps // self.rows in self.shown:
            self._keep(turn.clock.steps)

    def finish(self, step: int) -> None:
        self._keep(step)
        lines = self._facts()
        write(self.scene, "fit", lines)
        drawn, (axes,) = figure(1, 2)
        self._data(axes[0])
        axes[0].plot(self.GRID, predict(self.scene, self.GRID), color=ORANGE, label="prediction")
        axes[0].legend(fontsize=7, frameon=False)
        axes[0].set_title(lines[0], fontsize=9, loc="left")
        from matplotlib.ticker import LogLocator

        steps, loss = column(read(self.scene.run.metrics)[1], "loss/fit")
        axes[1].plot(steps / self.rows, loss, color=BLUE, linewidth=1.5)
        axes[1].set_yscale("log")
        axes[1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes[1].yaxis.set_major_formatter("{x:g}")
        axes[1].yaxis.set_minor_formatter("")
        axes[1].set_title("Mean squared error of the batches", fontsize=9, loc="left")
        axes[1].set_xlabel("update", fontsize=8)
        drawn.suptitle(self.scene.title, fontsize=10)
        self.scene.save(drawn, "fit", step)
        self._animate(step)

    def _facts(self) -> list[str]:
        """How good the fit is; the two numbers of a straight line beside least squares'."""
        said = predict(self.scene, self.training.x)
        true = predict(self.scene, self.test.x)
        lines = [
            f"R² {r_squared(said, self.training.y):.4f} on the data, "
            f"{r_squared(true, self.test.y):.4f} on the true curve"
        ]
        low, middle, high = predict(self.scene, np.array([[0.0], [0.5], [1.0]], np.float32))
        if abs((low + high) / 2 - middle) < 1e-4 * max(1.0, abs(middle)):
            slope, intercept = np.polyfit(self.training.x[:, 0].astype(float), self.training.y, 1)
            lines.append(
                f"W {high - low:.4f}, b {low:.4f}; least squares: {slope:.4f}, {intercept:.4f}"
            )
        return lines

    def _data(self, ax: Any) -> None:
        ax.plot(self.training.x, self.training.y, "o", color=BLUE, markersize=3, alpha=0.6,
                label="training data")  # fmt: skip
        ax.plot(self.test.x, self.test.y, color=DARK, linewidth=0.9, linestyle=":",
                label="true mean")  # fmt: skip
        ax.set_xlabel("x", fontsize=8)

    def _keep(self, step: int) -> None:
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        values = ",".join(f"{v:.6g}" for v in predict(self.scene, self.GRID))
        with open(self.kept, "a") as f:
            f.write(f"\n{step},{values}")  # on a line of its own, also after half a line

    def _animate(self, last: int) -> None:
        curves = read_curves(self.kept, last)
        drawn, axes = figure(1, 1)
        ax = axes[0, 0]
        self._data(ax)
        (fit,) = ax.plot(self.GRID, np.zeros(len(self.GRID)), color=ORANGE, linewidth=2,
                         label="prediction")  # fmt: skip
        drawn.legend(loc="outside lower center", ncols=3, fontsize=7, frameon=False)
        reach = [*self.training.y, *curves[max(curves)]]
        pad = 0.05 * (max(reach) - min(reach))
        ax.set_ylim(min(*reach, 0) - pad, max(reach) + pad)
        frames = []
        for at in sorted(curves):
            fit.set_ydata(curves[at])
            ax.set_title(f"update {at // self.rows:,}", fontsize=9, loc="left")
            frames.append(pixels(drawn))
        path = gif.write(self.scene.run.media / "fit.gif", frames, fps=8)
        self.scene.logger.gif(last, "media/fit_moving", path)


def read_curves(path: Path, last: int) -> dict[int, np.ndarray]:
    """Step → predictions, up to step `last`, of what `Fit` kept.

    A resumed run repeats what was kept after its checkpoint: the same lines again.
    """
    curves: dict[int, np.ndarray] = {}
    for line in path.read_text().splitlines():
        step, *values = line.split(",")
        if len(values) == len(Fit.GRID) and int(step) <= last:
            curves[int(step)] = np.array(values, dtype=float)
    return curves


class Scatter(Picture):
    """Predicted against actual, both axes from 0: scatter.png, scatter.txt."""

    def finish(self, step: int) -> None:
        env = self.scene.env
        assert isinstance(env, Supervised)
        drawn, axes = figure(1, 1)
        drawn.set_size_inches(4.6, 4.6)
        ax, top, lines = axes[0, 0], 0.0, []
        for samples, name, colour in (
            (env.training, "training", BLUE),
            (env.test, "held out", ORANGE),
        ):
            said = predict(self.scene, samples.x)
            error = float(np.square(said - samples.y).mean(dtype=float))
            fit = f"{name}: squared error {error:.2f}, R² {r_squared(said, samples.y):.3f}"
            lines.append(f"{fit}, {len(samples)} samples")
            ax.plot(samples.y, said, "o", color=colour, markersize=3.5, alpha=0.6, label=fit)
            top = max(top, float(samples.y.max()), float(said.max()))
        ax.plot([0, top], [0, top], color=DARK, linewidth=0.9, linestyle=":")
        ax.set_xlim(0, top * 1.05)
        ax.set_ylim(0, top * 1.05)
        ax.set_aspect("equal")
        ax.set_xlabel("actual", fontsize=8)
        ax.set_ylabel("predicted", fontsize=8)
        ax.legend(fontsize=7, frameon=False, loc="upper left")
        ax.set_title(self.scene.title, fontsize=9, loc="left")
        self.scene.save(drawn, "scatter", step)
        write(self.scene, "scatter", lines)


class Confusion(Picture):
    """On the held-out samples: confusion.png, report.txt, and the mistakes: mistakes.png."""

    SHOWN = 24

    def finish(self, step: int) -> None:
        env = self.scene.env
        assert isinstance(env, Supervised)
        said, actual = predict(self.scene, env.test.x), env.test.y
        classes = int(max(said.max(), actual.max())) + 1
        counts = confusion(actual, said, classes)
        write(self.scene, "report", report(counts))
        self._matrix(counts, step)
        wrong = np.flatnonzero(said != actual)
        if len(wrong) and env.test.x.ndim == 4:
            self._mistakes(env.test.x[wrong], said[wrong], actual[wrong], step)

    def _matrix(self, counts: np.ndarray, step: int) -> None:
        drawn, axes = figure(1, 1)
        drawn.set_size_inches(4.8, 4.8)
        ax, classes = axes[0, 0], len(counts)
        matrix(ax, counts)
        ax.set_xticks(range(classes))
        ax.set_yticks(range(classes))
        ax.set_xlabel("predicted", fontsize=8)
        ax.set_ylabel("actual", fontsize=8)
        right, total = int(np.trace(counts)), int(counts.sum())
        ax.set_title(f"{self.scene.title}: {right} of {total} right, {right / total:.1%}",
                     fontsize=9, loc="left")  # fmt: skip
        self.scene.save(drawn, "confusion", step)

    def _mistakes(self, x: np.ndarray, said: np.ndarray, actual: np.ndarray, step: int) -> None:
        count = min(self.SHOWN, len(x))
        wide = min(8, count)
        drawn, axes = figure(-(-count // wide), wide)
        drawn.set_size_inches(1.1 * max(wide, 3), 1.35 * len(axes) + 0.4)
        for ax in axes.flat:
            ax.axis("off")
        for ax, picture, wrong, right in zip(axes.flat, x, said, actual, strict=False):
            ax.imshow(picture.transpose(1, 2, 0).squeeze(), cmap="gray_r")
            ax.set_title(f"{right}, not {wrong}", fontsize=8)
        drawn.suptitle(f"{count} of {len(x)} mistakes: what it is, not what was said", fontsize=9)
        self.scene.save(drawn, "mistakes", step)


def report(counts: np.ndarray) -> list[str]:
    """Precision, recall and F1 of each class of a confusion matrix, and their plain means."""
    hits = np.diag(counts).astype(float)
    precision = hits / np.maximum(counts.sum(0), 1)
    recall = hits / np.maximum(counts.sum(1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    lines = [f"{'class':>8}{'precision':>11}{'recall':>8}{'F1':>8}{'samples':>9}"]
    for k, numbers in enumerate(zip(precision, recall, f1, counts.sum(1), strict=True)):
        lines.append(_line(str(k), *numbers))
    lines.append(_line("mean", precision.mean(), recall.mean(), f1.mean(), counts.sum()))
    lines.append(f"{'right':>8}{hits.sum() / counts.sum():>27.4f}{counts.sum():>9}")
    return lines


def _line(name: str, precision: float, recall: float, f1: float, samples: int) -> str:
    return f"{name:>8}{precision:>11.4f}{recall:>8.4f}{f1:>8.4f}{samples:>9}"
