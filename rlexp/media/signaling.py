"""Pictures of the signaling game: some of what is played with (language.py: what was said)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlexp.envs.signaling import Signaling
from rlexp.media.pictures import Picture
from rlexp.media.plots import figure
from rlexp.seeds import derive

SHOWN = 5


class Samples(Picture):
    """Before training: five training pictures, each with its class; media/samples.png."""

    def start(self) -> None:
        env = self.scene.env
        assert isinstance(env, Signaling)
        part = env.pictures.training
        rng = np.random.default_rng(derive(self.scene.config.seed, "samples"))
        shown = rng.choice(len(part), size=min(SHOWN, len(part)), replace=False)
        names = [env.names[c] for c in part.classes[shown]]
        title = f"Training pictures of {self.scene.config.env.images}"  # type: ignore[attr-defined]
        self.scene.save(samples(part.images[shown], names, title), "samples")


def samples(images: np.ndarray, names: Sequence[str], title: str) -> Any:
    """A figure of pictures, uint8 [n, 3, H, W], in a row, each with its name below."""
    drawn, axes = _sheet(images, len(images), 2.0)
    for ax, name in zip(axes, names, strict=True):
        ax.set_xlabel(name.replace("_", " "), fontsize=10)
    drawn.suptitle(title, fontsize=10)
    return drawn


def _sheet(images: np.ndarray, wide: int, tall: float) -> tuple[Any, list[Any]]:
    """(figure, axes [n]): the pictures in rows of `wide`, `tall` inches each, without axes."""
    rows = -(-len(images) // wide)
    drawn, axes = figure(rows, wide)
    drawn.set_size_inches(1.75 * wide, tall * rows + 0.3)
    for ax in axes.flat:
        ax.grid(False)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
    for ax, picture in zip(axes.flat, images, strict=False):
        ax.imshow(picture.transpose(1, 2, 0), interpolation="nearest")
    return drawn, list(axes.flat)[: len(images)]
