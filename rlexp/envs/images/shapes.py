"""Shapes drawn in code: eight shapes in eight colours make 64 classes of two attributes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlexp.envs.images.base import SIZE, Parts
from rlexp.seeds import derive

COLOURS = {
    "red": (220, 40, 40),
    "blue": (50, 90, 235),
    "green": (30, 165, 60),
    "yellow": (245, 225, 50),
    "white": (245, 245, 245),
    "purple": (160, 50, 190),
    "cyan": (60, 215, 225),
    "orange": (245, 140, 20),
}
FINE = 3  # samples a pixel and side: edges are smooth


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Five points, one of them up; r of an edge by its angle to the nearest point."""
    wedge = np.pi / 5
    angle = np.abs((np.arctan2(u, -v) + wedge) % (2 * wedge) - wedge)
    inner = 0.45
    edge = inner * np.sin(wedge) / (np.sin(wedge - angle) * inner + np.sin(angle))
    return np.hypot(u, v) <= edge


# Inside or not, of u (right) and v (down), both -1..1 over the shape's width.
SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": lambda u, v: u**2 + v**2 <= 0.9,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) <= 0.82,
    "triangle": lambda u, v: (v <= 0.8) & (abs(u) <= (v + 1) * 0.55),
    "plus": lambda u, v: (np.minimum(abs(u), abs(v)) <= 0.32) & (np.maximum(abs(u), abs(v)) <= 1),
    "ring": lambda u, v: (u**2 + v**2 <= 1) & (u**2 + v**2 >= 0.3),
    "star": _star,
    "bar": lambda u, v: (abs(u) <= 1) & (abs(v) <= 0.3),
    "moon": lambda u, v: (u**2 + v**2 <= 1) & ((u - 0.55) ** 2 + v**2 >= 0.6),
}


def _order() -> list[tuple[int, int]]:
    """(shape, colour) of every class, so that the first k x k are k shapes in k colours."""
    pairs = [(shape, colour) for shape in range(len(SHAPES)) for colour in range(len(COLOURS))]
    return sorted(pairs, key=lambda pair: (max(pair), pair))


class Shapes:
    """A shape of some size and place on dark gray. A class is (shape, colour): red_circle, …

    The first four classes are a circle and a square in red and blue, the first nine three shapes
    in three colours, and so on: half-known meanings can be told apart from whole ones.
    """

    name = "shapes"
    attributes: tuple[str, ...] = ("shape", "colour")

    def __init__(self, shift: int) -> None:
        self.shift = shift
        shapes, colours = list(SHAPES), list(COLOURS)
        self.pairs = {f"{colours[c]}_{shapes[s]}": (s, c) for s, c in _order()}
        self.classes = tuple(self.pairs)

    def draw(self, name: str, train: int, held_out: int, seed: int) -> Parts:
        shape, colour = self.pairs[name]
        parts = [
            picture(shape, colour, count, self.shift, np.random.default_rng(derive(seed, own)))
            for own, count in ((f"training {name}", train), (f"held out {name}", held_out))
        ]
        return parts[0], parts[1]

    def left(self, name: str, train: int) -> int | None:
        return None

    def attributes_of(self, name: str) -> tuple[int, ...]:
        return self.pairs[name]

    def held_out_by(self, name: str) -> str:
        return "draws"


def picture(
    shape: int, colour: int, count: int, shift: int, rng: np.random.Generator
) -> np.ndarray:
    """uint8 [count, 3, 32, 32]: radius 8 to 13 pixels, up to `shift` from the middle but whole;
    the colour is a little off."""
    radius = rng.uniform(8, 13, (count, 1))
    room = np.minimum(SIZE / 2 - radius, shift)
    centre = SIZE / 2 + room * rng.uniform(-1, 1, (count, 2))
    ink = np.array(list(COLOURS.values())[colour]) * rng.uniform(0.85, 1, (count, 1))
    ink += rng.uniform(-10, 10, (count, 3))
    ground = rng.uniform(0, 60, (count, 1)) * np.ones(3)
    at = (np.arange(SIZE * FINE) + 0.5) / FINE
    place = (at - centre[:, :, None]) / radius[:, :, None]  # [count, 2, 96]
    place = place.astype(np.float32)
    inside = list(SHAPES.values())[shape](place[:, 0, None, :], place[:, 1, :, None])
    cover = inside.reshape(count, SIZE, FINE, SIZE, FINE).mean((2, 4))[:, None]
    mixed = ink[:, :, None, None] * cover + ground[:, :, None, None] * (1 - cover)
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
