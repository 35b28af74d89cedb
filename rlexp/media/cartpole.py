"""CartPole before training, as random play sees it, and each episode's loss and reward after it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rlexp.loggers.csv import read
from rlexp.media.pictures import Picture
from rlexp.media.plots import COLOURS, column, figure
from rlexp.seeds import derive

STATE = ("position", "velocity", "angle", "angular velocity")
COLUMNS = ("move", "action", "reward", *STATE, "terminated", "truncated")
SHOWN, SIDE, TILE = 20, 10, (100, 150)  # rows of the table, sheet of SIDE x SIDE, its [H, W]
Row = tuple[int, float, list[float], bool, bool]


class RandomPlay(Picture):
    """Before training: 100 random moves, as media/random_play.csv and .png and random_frames.png.

    It plays an environment of its own with numbers of its own: training does not notice.
    """

    def start(self) -> None:
        moves, frames = self._play(SIDE * SIDE)
        path = self.scene.run.media / "random_play.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="") as f:
            writer = csv.writer(f, lineterminator="\n")
            writer.writerow(COLUMNS)
            for number, (action, reward, state, *ends) in enumerate(moves, 1):
                values = [f"{x:.7g}" for x in state]
                writer.writerow([number, action, f"{reward:g}", *values, *ends])
        self.scene.save(table(moves[:SHOWN]), "random_play")
        if frames:
            picture = sheet(frames, [any(move[3:]) for move in moves])
            Image.fromarray(picture).save(self.scene.run.media / "random_frames.png")
            self.scene.logger.image(0, "media/random_frames", picture)

    def _play(self, count: int) -> tuple[list[Row], list[np.ndarray]]:
        """`count` moves of one row with the state each led to, and that state's pictures."""
        env = self.scene.make_env()
        seed = derive(self.scene.config.seed, "random play")
        rng = np.random.default_rng(seed)
        moves: list[Row] = []
        frames: list[np.ndarray] = []
        try:
            env.watch([0])
            seat, space = next(iter(env.spec.action_spaces.items()))
            env.start(seed)
            while len(moves) < count:
                env.send({seat: rng.integers(int(space.n), size=env.spec.num_envs)})  # type: ignore[attr-defined]
                tick = env.recv()
                t = tick.done[seat]
                assert isinstance(t.action, np.ndarray) and isinstance(t.next_obs, np.ndarray)
                ends = bool(t.terminated[0]), bool(t.truncated[0])
                state = [float(x) for x in t.next_obs[0]]
                moves.append((int(t.action[0]), float(t.reward[0]), state, *ends))
                picture = tick.pictures[0] if 0 in tick.pictures else env.render(0)
                if picture is not None:
                    frames.append(picture)
        finally:
            env.close()
        return moves, frames


def table(moves: list[Row]) -> Any:
    """A figure of the moves, one a line; a game's last line is coloured."""
    drawn, axes = figure(1, 1)
    drawn.set_size_inches(9.5, 0.4 + 0.25 * (len(moves) + 1))
    ax = axes[0, 0]
    ax.axis("off")
    texts = [
        [number, action, f"{reward:g}", *(f"{x:+.4f}" for x in state), *ends]
        for number, (action, reward, state, *ends) in enumerate(moves, 1)
    ]
    widths = [max(7, len(name) + 2) for name in COLUMNS]
    cells = ax.table(
        texts,
        colLabels=COLUMNS,
        colWidths=[width / sum(widths) for width in widths],
        bbox=[0, 0, 1, 1],
        cellLoc="right",
        colLoc="right",
    )
    cells.auto_set_font_size(False)
    cells.set_fontsize(8.5)
    for (row, _), cell in cells.get_celld().items():
        cell.set_linewidth(0)
        if row == 0:
            cell.set_text_props(fontweight="bold")
        elif any(moves[row - 1][3:]):
            cell.set_facecolor("#F6D5C3")
        elif row % 2 == 0:
            cell.set_facecolor("#F3F3F3")
    drawn.suptitle("Random play, and the state each action led to", fontsize=10)
    return drawn


def sheet(frames: list[np.ndarray], ends: list[bool]) -> np.ndarray:
    """Frames in rows of ten, RGB uint8, numbered; the last of each game has a coloured frame."""
    height, width = TILE
    picture = np.full((SIDE * height, SIDE * width, 3), 255, dtype=np.uint8)
    for i, (frame, end) in enumerate(zip(frames, ends, strict=False)):
        tile = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        colour = (213, 94, 0) if end else (215, 215, 215)
        cv2.rectangle(tile, (0, 0), (width - 1, height - 1), colour, 3 if end else 1)
        number = (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (120, 120, 120), 1, cv2.LINE_AA
        cv2.putText(tile, str(i + 1), *number)
        top, left = i // SIDE * height, i % SIDE * width
        picture[top : top + height, left : left + width] = tile
    return picture


class EpisodeCurves(Picture):
    """Mean loss and total reward of each episode, media/episodes.png; for `log_every=1ep`."""

    def finish(self, step: int) -> None:
        if self.scene.run.metrics.is_file():
            agent = self.scene.config.agent
            how = f"Adam, learning rate {getattr(agent, 'lr', float('nan')):g}"
            drawn = episodes(self.scene.run.metrics, f"{self.scene.title}: {how}")
            self.scene.save(drawn, "episodes", step)


def episodes(metrics: Path, title: str) -> Any:
    """A figure of every loss and the return in a metrics.csv, over episodes."""
    columns, rows = read(metrics)
    drawn, ((left, right),) = figure(1, 2)
    losses = [name for name in columns if name.startswith("loss/")]
    for name, colour in zip(losses, COLOURS, strict=False):
        left.plot(*_by_episode(rows, name), color=colour, linewidth=0.9, label=name)
    if len(losses) > 1:
        left.legend(fontsize=7, frameon=False)
    left.set_title("Mean loss of an episode", fontsize=9, loc="left")
    at, returns = _by_episode(rows, "train/episode_return")
    right.plot(at, returns, color=COLOURS[1], linewidth=0.9)
    right.set_title("Total reward of an episode", fontsize=9, loc="left")
    left.set_xlim(right.get_xlim())  # learning may begin later
    for ax in (left, right):
        ax.set_xlabel("episode", fontsize=8)
    drawn.suptitle(title, fontsize=10)
    return drawn


def _by_episode(rows: list[dict[str, str]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """(episodes, values) of a metric, where it was logged."""
    kept = [row for row in rows if row.get(name)]
    return column(kept, "train/episodes")[1], column(kept, name)[1]
