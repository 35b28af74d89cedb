"""scikit-learn's hand-written digits as 32x32 colour pictures."""

from __future__ import annotations

import cv2
import numpy as np

from rlexp.envs import datasets
from rlexp.envs.images.base import SIZE, Parts
from rlexp.seeds import derive


class Digits:
    """Classes "0" to "9", 174 to 183 pictures each; the seed draws which of them are held out."""

    name = "digits"
    attributes: tuple[str, ...] = ()
    classes = tuple("0123456789")

    def __init__(self) -> None:
        self.samples = datasets.digits()

    def draw(self, name: str, train: int, held_out: int, seed: int) -> Parts:
        pictures = self.samples.x[self.samples.y == int(name), 0]
        rng = np.random.default_rng(derive(seed, f"digits {name}"))
        pictures = pictures[rng.permutation(len(pictures))[: train + held_out]]
        large = [cv2.resize(p, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) for p in pictures]
        colour = np.repeat(np.stack(large)[:, None], 3, axis=1)
        return colour[:train], colour[train:]

    def left(self, name: str, train: int) -> int | None:
        return int((self.samples.y == int(name)).sum()) - train

    def attributes_of(self, name: str) -> tuple[int, ...]:
        return ()

    def held_out_by(self, name: str) -> str:
        return "pictures"
