"""Noto's emoji: a few glyphs a class, made many by augmentation."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rlexp.envs import datasets
from rlexp.envs.images.base import SIZE, Parts
from rlexp.seeds import derive


@dataclass(frozen=True)
class Augmentation:
    """How a glyph becomes a picture.

    flip        mirrored left to right, half of the time
    shift       moved by up to this many pixels, down and across
    brightness  the glyph's colours times a number from 1 - brightness to 1 + brightness
    background  "random": one colour a picture; "white"
    """

    flip: bool
    shift: int
    brightness: float
    background: str

    def draw(self, glyphs: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """uint8 [count, 3, 32, 32] of glyphs uint8 [G, 32, 32, 4]: each as often as any other."""
        which = rng.permutation(np.arange(count) % len(glyphs))
        # Every number is drawn whether it is used or not: one key does not move the others.
        mirrored, moves = rng.random(count) < 0.5, rng.random((count, 2))
        light, colours = rng.random(count), rng.uniform(0, 255, (count, 3))
        pictures = glyphs[which]
        if self.flip:
            pictures[mirrored] = pictures[mirrored, :, ::-1]
        shift = self.shift
        room = np.pad(pictures, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
        corner = (moves * (2 * shift + 1)).astype(int)
        across = np.arange(SIZE) + corner[:, :, None]  # [count, 2, 32]
        rows, columns = across[:, 0, :, None], across[:, 1, None, :]
        pictures = room[np.arange(count)[:, None, None], rows, columns].astype(np.float64)
        alpha = pictures[..., 3:] / 255
        factor = 1 + self.brightness * (2 * light - 1)
        ink = np.minimum(pictures[..., :3] * factor[:, None, None, None], 255)
        ground = colours if self.background == "random" else np.full_like(colours, 255)
        mixed = ink * alpha + ground[:, None, None, :] * (1 - alpha)
        return np.ascontiguousarray(np.rint(mixed).astype(np.uint8).transpose(0, 3, 1, 2))


class Emoji:
    """Twelve classes of the npm package emoji-datasource-google 16.0.0 (docs/data.md).

    Where a class has three glyphs or more, a third of them is held out, drawn by the seed, and
    held-out pictures show those alone. The lion's one glyph and the rabbit's two are on both
    sides: there, held-out pictures differ by augmentation only.
    """

    name = "emoji"
    attributes: tuple[str, ...] = ()

    def __init__(self, augmentation: Augmentation) -> None:
        self.augmentation = augmentation
        self.drawings, self.names = glyphs()
        self.classes = tuple(self.drawings)

    def glyphs_of(self, name: str, seed: int) -> tuple[list[int], list[int]]:
        """(training, held out): places in `drawings[name]` and `names[name]`."""
        count = len(self.drawings[name])
        if count < 3:
            return list(range(count)), list(range(count))
        order = np.random.default_rng(derive(seed, f"emoji glyphs of {name}")).permutation(count)
        held = round(count / 3)
        return sorted(order[held:].tolist()), sorted(order[:held].tolist())

    def held_out_by(self, name: str) -> str:
        return "glyphs" if len(self.drawings[name]) >= 3 else "augmentations"

    def draw(self, name: str, train: int, held_out: int, seed: int) -> Parts:
        parts = [
            self.augmentation.draw(
                self.drawings[name][which],
                count,
                np.random.default_rng(derive(seed, f"emoji {part} {name}")),
            )
            for part, which, count in zip(
                ("training", "held out"),
                self.glyphs_of(name, seed),
                (train, held_out),
                strict=True,
            )
        ]
        return parts[0], parts[1]

    def left(self, name: str, train: int) -> int | None:
        return None

    def attributes_of(self, name: str) -> tuple[int, ...]:
        return ()


@lru_cache(maxsize=1)
def glyphs() -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """(RGBA uint8 [G, 32, 32, 4], short names [G]) of every class, as they are shipped."""
    file = io.BytesIO(datasets.read_bytes("emoji.npz"))
    with np.load(file, allow_pickle=False) as arrays:
        classes = [name for name in arrays.files if not name.endswith("_names")]
        drawings = {name: arrays[name] for name in classes}
        names = {name: arrays[f"{name}_names"].tolist() for name in classes}
    return drawings, names
