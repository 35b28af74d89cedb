"""Pictures of the signaling game."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import rlexp
from rlexp import build
from rlexp.media import lexicon, signaling
from rlexp.media.pictures import Scene
from rlexp.run_dir import RunDir


class Shown:
    """Keeps what a picture sends to TensorBoard."""

    def __init__(self) -> None:
        self.images: dict[str, np.ndarray] = {}

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self.images[name] = picture


def test_five_samples_before_training(tmp_path: Path) -> None:
    config = rlexp.compose(["env=signaling", "env.classes=4", "agent=random"]).config
    env, shown = build.env(config.env), Shown()
    state = env.state_dict()
    run = RunDir(tmp_path)
    scene = Scene(run, config, None, env, lambda: env, shown)  # type: ignore[arg-type]
    signaling.Samples(scene).start()
    written = np.asarray(Image.open(run.media / "samples.png").convert("RGB"))
    assert shown.images["media/samples"].ndim == 3
    assert env.state_dict()["rng"] == state["rng"]  # training does not notice
    first = written
    signaling.Samples(scene).start()
    again = np.asarray(Image.open(run.media / "samples.png").convert("RGB"))
    np.testing.assert_array_equal(first, again)


def texts(figure: object) -> list[tuple[str, str, str]]:
    """(message, answer, its colour) of every picture."""
    return [
        (ax.get_title(), ax.get_xlabel(), ax.xaxis.label.get_color())
        for ax in figure.axes  # type: ignore[attr-defined]
        if ax.images
    ]


def test_samples_have_their_classes_below() -> None:
    images = np.zeros((3, 3, 32, 32), dtype=np.uint8)
    images[1, 0] = 200
    drawn = signaling.samples(images, ["lion", "red_circle", "lion"], "three")
    assert [t[1] for t in texts(drawn)] == ["lion", "red circle", "lion"]
    shown = drawn.axes[1].images[0].get_array()
    assert shown.shape == (32, 32, 3) and (shown[..., 0] == 200).all() and not shown[..., 1].any()


def test_messages_and_answers() -> None:
    images = np.zeros((7, 3, 32, 32), dtype=np.uint8)
    said = np.arange(14).reshape(7, 2) % 3
    targets, guesses = np.zeros(7, dtype=int), np.array([0] * 6 + [1])
    drawn = lexicon.games(images, said, targets, guesses, ["lion", "rabbit"], title="seven")
    found = texts(drawn)
    assert [t[0] for t in found] == ["0-1", "2-0", "1-2", "0-1", "2-0", "1-2", "0-1"]
    assert found[0][1:] == ("✓ lion", lexicon.RIGHT)
    assert found[6][1:] == ("✗ rabbit,\nis lion", lexicon.WRONG)
    assert len(drawn.axes) == 10  # two rows of five
