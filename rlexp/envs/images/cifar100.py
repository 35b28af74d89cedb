"""CIFAR-100 (Krizhevsky 2009), read by torchvision."""

from __future__ import annotations

import contextlib
import socket
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from rlexp.envs.images.base import Parts
from rlexp.errors import UserError
from rlexp.seeds import derive

URL_SIZE = "161 MiB"
SILENCE = 30.0  # seconds without a byte end a download
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

    CIFAR's files are pickles, which run code when they are read. Each file's MD5 is held against
    the published one first, here and again by torchvision, which reads them; nothing here unpickles
    anything.
    """
    from torchvision.datasets import CIFAR100
    from torchvision.datasets.utils import check_integrity

    home = folder / CIFAR100.base_folder
    meta = (CIFAR100.meta["filename"], CIFAR100.meta["md5"])
    missing = False
    for name, md5 in [*CIFAR100.train_list, *CIFAR100.test_list, meta]:
        if not (home / name).is_file():
            missing = True
        elif not check_integrity(home / name, md5):
            raise UserError(
                f"{home / name} is damaged, or not CIFAR-100's: its MD5 is not the published one. "
                f"Delete {home}; env.download=true gets it ({URL_SIZE})"
            )
    if missing and not download:
        raise UserError(
            f"CIFAR-100 is not in env.data_dir={folder}: env.download=true gets it ({URL_SIZE}); "
            "env.images=emoji needs no download"
        )
    try:
        if missing:
            _fetch(CIFAR100, folder)
        return CIFAR100(folder, train=train)
    except (OSError, RuntimeError, HTTPException) as ex:
        why = " ".join(str(getattr(ex, "reason", ex)).split()) or type(ex).__name__
        verb = "downloaded to" if missing else "read from"
        raise UserError(
            f"CIFAR-100 can't be {verb} env.data_dir={folder}: {why}; "
            "env.images=emoji needs no download"
        ) from ex


def _fetch(kind: Any, folder: Path) -> None:
    """Download and unpack; a download that fails leaves nothing behind."""
    from torchvision.datasets.utils import download_and_extract_archive

    archive = folder / kind.filename
    kept = archive.exists()
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        download_and_extract_archive(kind.url, folder, filename=kind.filename, md5=kind.tgz_md5)
    except BaseException:
        if not kept:
            archive.unlink(missing_ok=True)
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
    finally:
        socket.setdefaulttimeout(patience)
