"""CIFAR-100 through torchvision's own loader, on files in CIFAR's own format."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torchvision

import rlexp
from rlexp import build
from rlexp.envs.images.cifar100 import SUPERCLASS_OF, SUPERCLASSES, Cifar100
from rlexp.envs.images.load import load
from rlexp.errors import UserError

NAMES = ["apple", "lion", "rabbit"]
TRAIN, TEST = 6, 4  # pictures a class


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cifar-100-python of three classes. Red tells the class, green the picture, blue the part;
    of its rows the first is brighter, so that axes can't be mistaken."""
    load.cache_clear()
    root = tmp_path / "cifar-100-python"
    root.mkdir()
    sums = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        labels = np.tile(np.arange(3), count)
        pictures = np.zeros((len(labels), 3, 32, 32), dtype=np.uint8)
        pictures[:, 0] = labels[:, None, None] * 50
        pictures[:, 1] = np.arange(len(labels))[:, None, None]
        pictures[:, 2] = 100 if part == "train" else 200
        pictures[:, :, 0] += 20
        entry = {
            "data": pictures.reshape(len(labels), 3072),
            "fine_labels": labels.tolist(),
            "coarse_labels": [0] * len(labels),
            "filenames": [f"{i}.png" for i in range(len(labels))],
            "batch_label": part,
        }
        (root / part).write_bytes(pickle.dumps(entry))
    meta = {"fine_label_names": NAMES, "coarse_label_names": ["all"]}
    (root / "meta").write_bytes(pickle.dumps(meta))
    for name in ("train", "test", "meta"):
        sums[name] = hashlib.md5((root / name).read_bytes()).hexdigest()

    class Fixture(torchvision.datasets.CIFAR100):
        train_list = [["train", sums["train"]]]
        test_list = [["test", sums["test"]]]
        meta = {"filename": "meta", "key": "fine_label_names", "md5": sums["meta"]}

    monkeypatch.setattr(torchvision.datasets, "CIFAR100", Fixture)
    return tmp_path


def test_pictures_by_class_and_part(folder: Path) -> None:
    cifar = Cifar100(str(folder), download=False)
    assert cifar.classes == tuple(NAMES)
    train, held = cifar.draw("rabbit", 5, 4, 0)
    assert train.shape == (5, 3, 32, 32) and held.shape == (4, 3, 32, 32)
    assert (train[:, 0, 1:] == 100).all() and (train[:, 0, 0] == 120).all()
    assert (train[:, 2, 1:] == 100).all() and (held[:, 2, 1:] == 200).all()
    assert sorted(set(held[:, 1, 1, 0].tolist())) == [2, 5, 8, 11]  # all there are
    assert len(set(train[:, 1, 1, 0].tolist())) == 5  # no picture twice
    other, _ = cifar.draw("rabbit", 5, 4, 1)
    assert not np.array_equal(train, other)


def test_the_game_plays_them(folder: Path) -> None:
    overrides = [
        "env=signaling", "agent=random", "env.images=cifar100", f"env.data_dir={folder}",
        "env.classes=[lion,rabbit]", "env.train_images=6",
    ]  # fmt: skip
    env = build.env(rlexp.compose(overrides).config.env)
    assert env.names == ("lion", "rabbit")
    obs, classes, attributes = env.split("held_out")
    assert len(obs) == 8  # null: all that are left
    assert (attributes[:, 0] == [SUPERCLASS_OF[env.names[c]] for c in classes]).all()


def test_there_are_twenty_superclasses_of_five() -> None:
    assert len(SUPERCLASSES) == 20 and len(SUPERCLASS_OF) == 100
    assert all(len(names.split()) == 5 for names in SUPERCLASSES.values())


def refused(folder: Path, **changes: Any) -> str:
    values = {
        "images": "cifar100", "classes": ("lion", "rabbit"), "train": 6, "held_out": 4, "seed": 0,
        "augmentation": None, "data_dir": str(folder), "download": False,
    }  # fmt: skip
    with pytest.raises(UserError) as error:
        load(**(values | changes))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_mistakes_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no class 'lio'. Did you mean 'lion'" in refused(folder, classes=("lio", "rabbit"))
    assert "env.train_images=7: cifar100 has 6 of lion" in refused(folder, train=7)
    assert "4 pictures of lion left" in refused(folder, held_out=5)
    told = refused(folder / "nothing")
    assert "env.download=true" in told and "env.images=emoji" in told
    (folder / "cifar-100-python/test").write_bytes(b"not what was published")
    assert "or damaged" in refused(folder)  # refused by its MD5, before it is unpickled

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no route\nto host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", offline)
    told = refused(folder / "nothing", download=True)
    assert "can't be downloaded" in told and "no route to host" in told


def test_files_of_another_sum_are_never_unpickled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stock class knows the published sums: the fixture is not CIFAR to it."""
    monkeypatch.undo()
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    assert "or damaged" in refused(folder)
