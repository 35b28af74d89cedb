"""Pictures of a language show the numbers they are about."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from rlexp import language
from rlexp.media import lexicon

# Class 0 says 0-0 three times and 0-1 once; class 1 says 1-1 once and 0-1 once.
MESSAGES = np.array([[0, 0], [0, 0], [0, 0], [0, 1], [1, 1], [0, 1]])
CLASSES = np.array([0, 0, 0, 0, 1, 1])
GUESSES = np.array([0, 0, 0, 0, 1, 0])
NAMES = ["lion", "rabbit"]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def labels(ax: object, which: str) -> list[str]:
    return [label.get_text() for label in getattr(ax, f"get_{which}ticklabels")()]


def test_a_message_as_text() -> None:
    assert lexicon.text(np.array([1, 0, 1, 1, 0])) == "1-0-1-1-0"


def test_the_table_by_hand() -> None:
    drawn = lexicon.table(MESSAGES, CLASSES, NAMES, GUESSES)
    cells, bars = drawn.axes
    assert labels(cells, "y") == ["0-0", "0-1", "1-1"]
    assert labels(cells, "x") == ["lion\n4", "rabbit\n2"]
    assert cells.images[0].get_array().tolist() == [[0.75, 0], [0.25, 0.5], [0, 0.5]]
    assert [t.get_text() for t in cells.texts] == ["75", "25", "50", "50"]
    right, wrong = bars.containers
    assert [bar.get_width() for bar in right] == pytest.approx([3 / 6, 1 / 6, 1 / 6])
    assert [bar.get_width() for bar in wrong] == pytest.approx([0, 1 / 6, 0])


def test_rare_messages_share_the_last_row() -> None:
    drawn = lexicon.table(MESSAGES, CLASSES, NAMES, GUESSES, rows=1)
    cells, bars = drawn.axes
    assert labels(cells, "y") == ["0-0", "2 more"]
    assert cells.images[0].get_array().tolist() == [[0.75, 0], [0.25, 1]]
    assert bars.containers[0][1].get_width() == pytest.approx(2 / 6)


def test_many_classes_and_one_that_never_came() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 29, 500)
    drawn = lexicon.table(rng.integers(0, 2, (500, 5)), classes, [f"c{k}" for k in range(30)])
    cells, bars = drawn.axes
    shares = cells.images[0].get_array()
    assert shares.shape == (13, 30) and not cells.texts
    np.testing.assert_allclose(shares.sum(0), [1.0] * 29 + [0.0])
    assert len(bars.containers) == 1
    drawn.canvas.draw()


def test_images_stand_beside_their_messages() -> None:
    x = images(6)
    drawn = lexicon.samples(x, MESSAGES, CLASSES, GUESSES, NAMES, rows=2, columns=4)
    first, second = drawn.axes[:4], drawn.axes[4:]
    assert first[0].get_ylabel() == "0-0\n50% of games"
    assert second[0].get_ylabel() == "0-1\n33% of games"
    shown = [ax for ax in drawn.axes if ax.images]
    for ax, game in zip(shown, [0, 1, 2, 3, 5], strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), x[game].transpose(1, 2, 0))
    assert first[0].get_xlabel() == "✓ lion" and second[1].get_xlabel() == "✗ lion,\nis rabbit"
    frames = [to_hex(ax.spines["left"].get_edgecolor()).upper() for ax in (first[0], second[1])]
    assert frames == [lexicon.RIGHT, lexicon.WRONG]
    drawn.canvas.draw()


def test_games_in_their_order() -> None:
    drawn = lexicon.games(images(6), MESSAGES, CLASSES, GUESSES, NAMES)
    assert [ax.get_title() for ax in drawn.axes[:6]] == ["0-0", "0-0", "0-0", "0-1", "1-1", "0-1"]
    assert drawn.get_suptitle() == "Messages and guesses: 5 of 6 right"
    drawn.canvas.draw()


def test_bars_are_the_information() -> None:
    attributes = np.stack([CLASSES, MESSAGES[:, 0]], axis=1)
    drawn = lexicon.positions(MESSAGES, CLASSES, attributes, ["kind", "colour"])
    frame, *bars = drawn.axes[0].containers
    assert [b.get_height() for b in frame] == pytest.approx(language.entropy_by_position(MESSAGES))
    told = language.information_by_position(MESSAGES, attributes)
    assert [[b.get_height() for b in bar] for bar in bars] == [
        pytest.approx(told[:, k]) for k in range(2)
    ]
    assert [bar.get_label() for bar in bars] == ["kind", "colour"]
    (only,) = lexicon.positions(MESSAGES, CLASSES).axes[0].containers[1:]
    assert [b.get_height() for b in only] == pytest.approx(
        language.information_by_position(MESSAGES, CLASSES)
    )
