"""CIFAR-100 (Krizhevsky 2009), read by torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlexp.envs.images.base import Parts
from rlexp.errors import UserError
from rlexp.seeds import derive

URL_SIZE = "161 MiB"
# From the data set's page; torchvision leaves the superclass out.
SUPERCLASSES = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}
SUPERCLASS_OF = {name: i for i, names in enumerate(SUPERCLASSES.values()) for name in names.split()}


class Cifar100:
    """100 classes of 32x32 photographs: 500 of each to train on, 100 held out, as they come.

    Training pictures are drawn from CIFAR-100's training part, held-out ones from its test part.
    """

    name = "cifar100"
    attributes: tuple[str, ...] = ("superclass",)

    def __init__(self, data_dir: str, download: bool) -> None:
        folder = Path(data_dir).expanduser()
        self.parts = [read(folder, train, download) for train in (True, False)]
        self.classes = tuple(self.parts[0].classes)
        self.targets = [np.asarray(part.targets) for part in self.parts]

    def _places(self, name: str) -> list[np.ndarray]:
        """Where a class's pictures stand, in the training and in the test part."""
        return [np.flatnonzero(t == self.classes.index(name)) for t in self.targets]

    def draw(self, name: str, train: int, held_out: int, seed: int) -> Parts:
        found = []
        for part, places, count in zip(
            self.parts, self._places(name), (train, held_out), strict=True
        ):
            if count > len(places):
                raise UserError(f"env.train_images={train}: cifar100 has {len(places)} of {name}")
            rng = np.random.default_rng(derive(seed, f"cifar100 {name} {part.train}"))
            kept = np.sort(rng.permutation(places)[:count])
            found.append(np.ascontiguousarray(part.data[kept].transpose(0, 3, 1, 2)))
        return found[0], found[1]

    def left(self, name: str, train: int) -> int | None:
        return len(self._places(name)[1])

    def attributes_of(self, name: str) -> tuple[int, ...]:
        return (SUPERCLASS_OF[name],)

    def held_out_by(self, name: str) -> str:
        return "pictures"


def read(folder: Path, train: bool, download: bool) -> Any:
    """torchvision's data set; UserError, one line, where it can't be had.

    CIFAR's files are pickles, which run code when they are read. torchvision reads them, and only
    once their MD5 is that of the published ones; nothing here unpickles anything.
    """
    from torchvision import datasets

    try:
        return datasets.CIFAR100(folder, train=train, download=download)
    except (OSError, RuntimeError) as ex:
        why = " ".join(str(ex).split())
        if not download:
            raise UserError(
                f"CIFAR-100 is not in env.data_dir={folder}, or damaged: env.download=true gets it "
                f"({URL_SIZE}); env.images=emoji needs no download"
            ) from ex
        raise UserError(
            f"CIFAR-100 can't be downloaded to env.data_dir={folder}: {why}; "
            "env.images=emoji needs no download"
        ) from ex
