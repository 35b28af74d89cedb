"""Pictures of a language: which message stands for which class, on which images, and how.

Functions of what was said in n games, as in `rlexp.language`; each gives a matplotlib figure that
the caller saves (`Scene.save`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlexp import language
from rlexp.media.plots import COLOURS, figure, matrix
from rlexp.statistics import confusion

INK, PALE = "#333333", "#BBBBBB"
RIGHT, WRONG = COLOURS[2], COLOURS[1]  # green and a red that colour-blind readers tell apart
LABELLED = 20  # more classes than these have no numbers in their cells


def text(message: np.ndarray) -> str:
    """A message as people read it: 1-0-1-1-0."""
    return "-".join(map(str, np.asarray(message).tolist()))


def table(
    messages: np.ndarray,
    classes: np.ndarray,
    names: Sequence[str],
    guesses: np.ndarray | None = None,
    rows: int = 12,
    title: str = "",
) -> Any:
    """Messages x classes: the share of a class's games that came with the message.

    The `rows` most frequent messages, one class's together; all others in a last row. Beside each
    its share of all games, split into right and wrong where `guesses` are given.
    """
    said = language.codes(messages)
    words = np.unique(messages, axis=0)
    kept = np.argsort(-np.bincount(said), kind="stable")[:rows]
    games = np.zeros((len(words), len(names)), dtype=np.int64)
    np.add.at(games, (said, classes), 1)
    kept = kept[np.lexsort((-games[kept].sum(1), games[kept].argmax(1)))]
    labels = [text(words[k]) for k in kept]
    right = np.zeros(len(words)) if guesses is None else np.bincount(
        said, weights=classes == guesses, minlength=len(words)
    )  # fmt: skip
    lines, hits = games[kept], right[kept]
    if len(kept) < len(words):
        labels.append(f"{len(words) - len(kept)} more")
        lines = np.vstack([lines, games.sum(0) - lines.sum(0)])
        hits = np.append(hits, right.sum() - hits.sum())
    drawn, axes = figure(1, 2)
    wide = min(9.0, max(1.8, 0.62 * len(names)))
    longest = 0.075 * max(map(len, labels))
    drawn.set_size_inches(wide + 1.9 + longest, 0.27 * len(labels) + 1.5)
    axes[0, 0].get_gridspec().set_width_ratios([wide, 1.5])
    _cells(axes[0, 0], lines / np.maximum(games.sum(0), 1), labels, names, games.sum(0))
    _marginals(axes[0, 1], lines.sum(1) / len(said), None if guesses is None else hits / len(said))
    drawn.suptitle(title or f"{len(words)} messages in {len(said):,} games", fontsize=10)
    return drawn


def _percent(share: float) -> str:
    """A share as people read it; one that is not nothing is not written as 0."""
    return "<1" if 0 < share < 0.01 else f"{100 * share:.0f}"


def _cells(
    ax: Any, share: np.ndarray, labels: list[str], names: Sequence[str], games: np.ndarray
) -> None:
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.grid(False)
    few = len(names) <= LABELLED
    if few:
        for row, col in np.argwhere(share > 0):
            ink = "white" if share[row, col] > 0.55 else INK
            ax.text(col, row, _percent(share[row, col]), ha="center", va="center",
                    fontsize=8, color=ink)  # fmt: skip
    crowded = len(names) > 6
    counted = "{} ({:,})" if crowded else "{}\n{:,}"
    shown = [counted.format(name, count) if few else name
             for name, count in zip(names, games, strict=True)]  # fmt: skip
    ax.set_xticks(range(len(names)), shown, fontsize=7.5 if few else 6, rotation=90 * crowded)
    ax.set_yticks(range(len(labels)), labels, fontsize=8, family="monospace")
    ax.set_xlabel("class, and its games" if few else "class", fontsize=8)
    ax.set_title("% of the class's games" if few else "share of the class's games",
                 fontsize=9, loc="left")  # fmt: skip


def _marginals(ax: Any, share: np.ndarray, right: np.ndarray | None) -> None:
    at = np.arange(len(share))
    if right is None:
        ax.barh(at, share, color=COLOURS[0], height=0.7)
    else:
        ax.barh(at, right, color=RIGHT, height=0.7, label="right")
        ax.barh(at, share - right, left=right, color=WRONG, height=0.7, label="wrong")
        ax.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0),
                  ncols=2, columnspacing=0.8, handlelength=1)  # fmt: skip
    for y, value in zip(at, share, strict=True):
        ax.text(value, y, f" {_percent(value)}", va="center",
                fontsize=7.5, color=INK)  # fmt: skip
    ax.set_ylim(len(share) - 0.5, -0.5)
    ax.set_xlim(0, 1.25 * max(share))
    ax.set_yticks([])
    ax.set_xticks([])
    ax.grid(False)
    ax.spines["bottom"].set_visible(False)
    ax.set_title("% of all games", fontsize=9, loc="left")


def samples(
    images: np.ndarray,
    messages: np.ndarray,
    classes: np.ndarray,
    guesses: np.ndarray,
    names: Sequence[str],
    rows: int = 6,
    columns: int = 8,
    title: str = "",
) -> Any:
    """Images uint8 [n, 3, H, W] in rows, a message each, the most frequent first.

    `columns` of each message's games, evenly spread over them (and so over its classes, where
    these come one after the other); the guess below, framed green or red.
    """
    said = language.codes(messages)
    often = np.bincount(said)
    kept = np.argsort(-often, kind="stable")[:rows]
    drawn, axes = figure(len(kept), columns)
    drawn.set_size_inches(0.95 * columns + 1.3, 1.22 * len(kept) + 0.5)
    for line, message in zip(axes, kept, strict=True):
        games = np.flatnonzero(said == message)
        for ax in line[len(games) :]:
            ax.axis("off")
        for ax, game in zip(line, _spread(games, columns), strict=False):
            _image(ax, images[game], names, classes[game], guesses[game])
        label = f"{text(messages[said == message][0])}\n{len(games) / len(said):.0%} of games"
        line[0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center", labelpad=6)
    drawn.suptitle(title or "Images with the same message; below, the guess", fontsize=10)
    return drawn


def _spread(games: np.ndarray, most: int) -> np.ndarray:
    return games[np.linspace(0, len(games) - 1, min(most, len(games))).astype(int)]


def games(
    images: np.ndarray,
    messages: np.ndarray,
    classes: np.ndarray,
    guesses: np.ndarray,
    names: Sequence[str],
    columns: int = 5,
    title: str = "",
) -> Any:
    """Every image uint8 [n, 3, H, W] given, its message above, the guess below, green or red."""
    count = len(images)
    drawn, axes = figure(-(-count // columns), columns)
    wide = max(1.2, 0.085 * len(text(messages[0])))
    drawn.set_size_inches(wide * columns + 0.2, (wide + 0.5) * len(axes) + 0.4)
    for ax in axes.flat[count:]:
        ax.axis("off")
    for game, ax in enumerate(axes.flat[:count]):
        _image(ax, images[game], names, classes[game], guesses[game])
        ax.set_title(text(messages[game]), fontsize=8, family="monospace", pad=3)
    right = int((np.asarray(classes) == guesses).sum())
    drawn.suptitle(title or f"Messages and guesses: {right} of {count} right", fontsize=10)
    return drawn


def _image(ax: Any, image: np.ndarray, names: Sequence[str], actual: int, guess: int) -> None:
    colour = RIGHT if actual == guess else WRONG
    ax.imshow(np.asarray(image).transpose(1, 2, 0), interpolation="nearest")
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set(visible=True, color=colour, linewidth=2)
    said = f"✓ {names[guess]}" if actual == guess else f"✗ {names[guess]},\nis {names[actual]}"
    ax.set_xlabel(said, fontsize=7, color=colour, labelpad=2)


def confused(
    classes: np.ndarray, guesses: np.ndarray, names: Sequence[str], title: str = ""
) -> Any:
    """Classes x guesses: how many games of each class were taken for which, shaded by its share."""
    counts = confusion(classes, guesses, len(names))
    drawn, axes = figure(1, 1)
    ax, few = axes[0, 0], len(names) <= LABELLED
    side = min(9.0, 2.6 + 0.36 * len(names))
    drawn.set_size_inches(side + 0.6, side)
    matrix(ax, counts, numbers=few)
    size = 8 if few else 5
    shown = [name.replace("_", " ") for name in names]
    ax.set_xticks(range(len(names)), shown, fontsize=size, rotation=90 * (len(names) > 4))
    ax.set_yticks(range(len(names)), shown, fontsize=size)
    ax.set_xlabel("the receiver named", fontsize=8)
    ax.set_ylabel("the sender saw", fontsize=8)
    drawn.suptitle(title or "Which class was taken for which", fontsize=9)
    return drawn


def positions(
    messages: np.ndarray,
    classes: np.ndarray,
    attributes: np.ndarray | None = None,
    attribute_names: Sequence[str] = (),
    title: str = "",
) -> Any:
    """Bars: what the symbol at each position tells about the class, or about each attribute.

    The grey frame is the symbol's entropy, which no information exceeds.
    """
    entropy = language.entropy_by_position(messages)
    if attributes is None:
        told = language.information_by_position(messages, classes)[:, None]
        labels = ["class"]
    else:
        told = language.information_by_position(messages, attributes)
        given = list(attribute_names)
        labels = given or [f"attribute {k + 1}" for k in range(told.shape[1])]
    length, kinds = told.shape
    drawn, axes = figure(1, 1)
    drawn.set_size_inches(max(4.2, 0.8 * length + 1.6), 2.9)
    ax, width = axes[0, 0], 0.8 / kinds
    at = np.arange(1, length + 1)
    ax.bar(at, entropy, width=0.86, color="none", edgecolor=PALE, linewidth=1.2,
           label="entropy of the symbol")  # fmt: skip
    for k, label in enumerate(labels):
        ax.bar(at + (k - (kinds - 1) / 2) * width, told[:, k], width=0.92 * width,
               color=COLOURS[k % len(COLOURS)], label=label)  # fmt: skip
    ax.set_xticks(at)
    ax.grid(axis="x", visible=False)
    ax.set_ylim(0, 1.05 * max(entropy.max(), 0.1))
    ax.set_xlabel("position in the message", fontsize=8)
    ax.set_ylabel("bits", fontsize=8)
    ax.set_title(title or "Information by position", fontsize=9, loc="left")
    drawn.legend(loc="outside lower center", ncols=min(4, kinds + 1), fontsize=7, frameon=False)
    return drawn
