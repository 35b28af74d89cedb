"""Sets of labelled 32x32 colour pictures, and the fixed part of one that a game is played with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rlexp.errors import UserError, did_you_mean

SIZE = 32


class ImageSet(Protocol):
    """Pictures by class. Whatever is random in them follows from the seed and the class alone:
    a class has the same pictures whichever others are in play, and however many.

    name        as in the config
    classes     names, in the order in which "the first n" takes them
    attributes  names of what else is known of a picture, such as shape and colour
    """

    name: str
    classes: tuple[str, ...]
    attributes: tuple[str, ...]

    def draw(self, name: str, train: int, held_out: int, seed: int) -> Parts:
        """(training, held out) pictures of a class, uint8 [train or held_out, 3, 32, 32].

        UserError where it has not as many.
        """
        ...

    def left(self, name: str, train: int) -> int | None:
        """Held-out pictures there are beside `train` for training; None for any number."""
        ...

    def attributes_of(self, name: str) -> tuple[int, ...]:
        """A value 0, 1, … for each of `attributes`."""
        ...

    def held_out_by(self, name: str) -> str:
        """What tells a class's held-out pictures from its training pictures."""
        ...


Parts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Split:
    """Pictures, class by class.

    images      uint8 [n, 3, 32, 32]
    classes     int64 [n], places in `Pictures.names`
    attributes  int64 [n, A]; A is 0 where nothing else is known
    """

    images: np.ndarray
    classes: np.ndarray
    attributes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class Pictures:
    """The classes in play and the fixed pictures of each: as many of one class as of another.

    `held_out_by` says of each class what is held out: "glyphs", "augmentations", "draws" or
    "pictures".
    """

    names: tuple[str, ...]
    attribute_names: tuple[str, ...]
    training: Split
    held_out: Split
    held_out_by: dict[str, str]


def chosen(images: ImageSet, classes: int | Sequence[object]) -> tuple[str, ...]:
    """The names that `env.classes` means: the first n, or those that are listed."""
    if isinstance(classes, int):
        if not 2 <= classes <= len(images.classes):
            raise UserError(
                f"env.classes={classes}: env.images={images.name} has 2 to "
                f"{len(images.classes)} classes to choose from"
            )
        return images.classes[:classes]
    names = tuple(map(str, classes))
    for name in names:
        if name not in images.classes:
            hint = did_you_mean(name, images.classes)
            raise UserError(f"env.classes: env.images={images.name} has no class {name!r}.{hint}")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"env.classes names {name} {names.count(name)} times: once is enough")
    if len(names) < 2:
        raise UserError("env.classes must be two classes or more: there is nothing to tell apart")
    return names


def collect(
    images: ImageSet, names: Sequence[str], train: int, held_out: int | None, seed: int
) -> Pictures:
    """`train` and `held_out` pictures of each class; None for 100, or fewer where no more are left.

    UserError where a class has too few.
    """
    if held_out is None:
        rest = [left for name in names if (left := images.left(name, train)) is not None]
        held_out = min([100, *rest])
    for name in names:
        left = images.left(name, train)
        if left is not None and left < max(held_out, 1):
            raise UserError(
                f"env.train_images={train} env.held_out_images={held_out}: env.images="
                f"{images.name} has {max(left, 0)} pictures of {name} left to hold out"
            )
    parts = [images.draw(name, train, held_out, seed) for name in names]
    values = np.array([images.attributes_of(name) for name in names], dtype=np.int64)
    values = values.reshape(len(names), len(images.attributes))
    splits = []
    for i, count in enumerate((train, held_out)):
        classes = np.repeat(np.arange(len(names)), count)
        split = Split(np.concatenate([part[i] for part in parts]), classes, values[classes])
        for array in (split.images, split.classes, split.attributes):
            array.setflags(write=False)  # several environments share them
        splits.append(split)
    told = {name: images.held_out_by(name) for name in names}
    return Pictures(tuple(names), images.attributes, splits[0], splits[1], told)
