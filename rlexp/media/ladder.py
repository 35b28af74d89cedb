"""A ladder as a picture: ratings with intervals, and who beat whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlexp.media.plots import COLOURS, figure

GRAY = "#666666"


def draw(told: dict[str, Any], path: Path) -> Path:
    """PNG of what ladder.told gave."""
    players = told["players"]
    count = len(players)
    size = max(4.0, 0.4 * count + 1.6)
    drawn, axes = figure(1, 2)
    drawn.set_size_inches(2.1 * size, size)
    left, right = axes[0]
    place = np.arange(count)[::-1]
    runs = dict.fromkeys(player["run"] for player in players if player["run"])
    colours = {run: COLOURS[i % len(COLOURS)] for i, run in enumerate(runs)}
    for y, player in zip(place, players, strict=True):
        colour = colours[player["run"]] if player["run"] else GRAY
        left.plot(player["elo_ci"], [y, y], color=colour, linewidth=2)
        left.plot(player["elo"], y, "o", color=colour)
        left.annotate(
            f"{player['elo']:.0f}", (player["elo_ci"][1], y), (5, 0), textcoords="offset points",
            va="center", fontsize=8, color=colour,
        )  # fmt: skip
    left.set_yticks(place, [player["name"] for player in players])
    left.set_xlabel("Elo rating, with 95 % intervals")
    left.margins(x=0.15)
    left.grid(axis="x", alpha=0.3)
    _matrix(right, told)
    circles = told["intransitive"]
    drawn.suptitle(
        f"{told['games_each_pair']} games each pair; {circles['cycles']} of "
        f"{circles['triples']} triples go round in a circle",
        fontsize=10,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=120)
    return path


def _matrix(axes: Any, told: dict[str, Any]) -> None:
    """Points of the row's player against the column's, in per cent."""
    wins, draws = np.array(told["wins"], float), np.array(told["draws"], float)
    games = wins + draws + wins.T
    share = np.where(games > 0, (wins + draws / 2) / np.maximum(games, 1), np.nan) * 100
    axes.imshow(share, cmap="RdBu", vmin=0, vmax=100, aspect="equal")
    axes.grid(False)
    names = [player["name"] for player in told["players"]]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    for i, j in np.argwhere(~np.isnan(share)):
        ink = "white" if abs(share[i, j] - 50) > 35 else "black"
        axes.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=7, color=ink)
    axes.set_title("points of the row's player, %", fontsize=10)
