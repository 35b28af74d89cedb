"""Bomberman in a terminal."""

from __future__ import annotations

from typing import Any

from rlexp.envs.bomberman.moments import Board
from rlexp.envs.bomberman.sprites import seen_codes

FLOOR = "on grey89"
# Of each code that a seat sees: two characters and their style.
CELLS = (
    ("  ", FLOOR), ("  ", "on grey37"), ("▒▒", "orange4 on tan"), ("☻ ", f"bold blue {FLOOR}"),
    ("☻ ", f"bold red {FLOOR}"), ("● ", f"bold black {FLOOR}"), ("☻●", f"bold blue {FLOOR}"),
    ("☻●", f"bold red {FLOOR}"), ("+●", f"green {FLOOR}"), ("+*", f"green {FLOOR}"),
)  # fmt: skip


def text(moment: Board, seat: int) -> Any:
    """A rich Text: the board with the seat in blue, ticks beside bombs, flames, lives, scores."""
    from rich.text import Text

    found = Text()
    mine, theirs = (f"{moment.lives[i]} lives, {moment.score[i]:.3f}" for i in (seat, 1 - seat))
    found.append(f"step {moment.step}   ")
    found.append(f"you: {mine}", style="bold blue")
    found.append(f"   rival: {theirs}\n", style="bold red")
    codes = seen_codes(moment.codes, seat)
    for y in range(codes.shape[1]):
        for x in range(codes.shape[0]):
            shown, style = CELLS[codes[x, y]]
            if moment.timers[x, y]:
                shown = shown[0] + str(min(9, moment.timers[x, y]))
            if moment.flames[x, y]:
                style = style.replace(FLOOR, "on orange1")
            found.append(shown, style=style)
        found.append("\n")
    return found
