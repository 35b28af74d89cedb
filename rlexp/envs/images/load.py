"""From the config's keys to the pictures in play."""

from __future__ import annotations

from functools import lru_cache

from rlexp.envs.images.base import ImageSet, Pictures, chosen, collect
from rlexp.envs.images.cifar100 import Cifar100
from rlexp.envs.images.digits import Digits
from rlexp.envs.images.emoji import Augmentation, Emoji
from rlexp.envs.images.shapes import Shapes


@lru_cache(maxsize=4)
def load(
    images: str,
    classes: int | tuple[str, ...],
    train: int,
    held_out: int | None,
    seed: int,
    augmentation: Augmentation,
    data_dir: str,
    download: bool,
) -> Pictures:
    """Drawn once: training and evaluation environments of a process share them."""
    found: ImageSet
    if images == "emoji":
        found = Emoji(augmentation)
    elif images == "shapes":
        found = Shapes(augmentation.shift)
    elif images == "digits":
        found = Digits()
    elif images == "cifar100":
        found = Cifar100(data_dir, download)
    else:
        raise ValueError(f"no image set {images!r}")
    return collect(found, chosen(found, classes), train, held_out, seed)
