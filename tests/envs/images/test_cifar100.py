"""CIFAR-100 through torchvision's own loader, on files in CIFAR's own format."""

from __future__ import annotations

import hashlib
import pickle
from http.client import IncompleteRead
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


def test_mistakes_are_one_line(folder: Path) -> None:
    assert "no class 'lio'. Did you mean 'lion'" in refused(folder, classes=("lio", "rabbit"))
    assert "env.train_images=7: cifar100 has 6 of lion" in refused(folder, train=7)
    assert "4 pictures of lion left" in refused(folder, held_out=5)
    told = refused(folder / "nothing")
    assert "env.download=true" in told and "env.images=emoji" in told
    file = folder / "cifar-100-python/test"
    whole = file.read_bytes()
    for damaged in (whole[:-1], b"", b"not what was published"):
        file.write_bytes(damaged)
        assert f"{file} is damaged" in refused(folder)
        assert f"{file} is damaged" in refused(folder, download=True)
    file.unlink()
    assert "CIFAR-100 is not in" in refused(folder)  # one file of three


class Bomb:
    """A pickle that writes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_pickle_of_somebody_elses_is_never_read(folder: Path, main: Any, name: str) -> None:
    """Refused by its MD5, through the command line."""
    trap, file = folder / "exploded", folder / "cifar-100-python" / name
    file.write_bytes(pickle.dumps(Bomb(trap)))
    before = sorted(folder.rglob("*"))
    overrides = ["env=signaling", "agent=ppo", "env.images=cifar100", f"env.data_dir={folder}"]
    code, out, err = main("train", *overrides)
    assert code == 2 and out == "" and err.count("\n") == 1 and f"{file} is damaged" in err
    assert not trap.exists() and sorted(folder.rglob("*")) == before
    pickle.loads(file.read_bytes())
    assert trap.exists()  # it would have


class Cut:
    """An answer that breaks off."""

    length = 10

    def __init__(self) -> None:
        self.parts = [b"12345"]

    def __enter__(self) -> Cut:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, size: int) -> bytes:
        if not self.parts:
            raise IncompleteRead(b"12345", 5)
        return self.parts.pop()


@pytest.mark.parametrize("way", ["offline", "cut", "wrong"])
def test_a_download_that_fails_is_one_line_and_leaves_nothing(
    tmp_path: Path, main: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def answer(*_: Any, **__: Any) -> Cut:
        if way == "offline":
            raise URLError("no route\nto host")
        cut = Cut()
        if way == "wrong":
            cut.parts.insert(0, b"")
        return cut

    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, **_: url)
    monkeypatch.setattr("urllib.request.urlopen", answer)
    overrides = ["env=signaling", "agent=ppo", "env.images=cifar100", "env.download=true"]
    code, out, err = main("train", *overrides, f"env.data_dir={tmp_path / 'a/b'}")
    lines = [line for line in err.splitlines() if line.startswith("rlexp: ")]
    assert code == 2 and out == "" and "Traceback" not in err and len(lines) == 1
    assert "CIFAR-100 can't be downloaded" in lines[0] and "env.images=emoji" in lines[0]
    told = {"offline": "no route to host", "cut": "IncompleteRead", "wrong": "corrupted"}
    assert told[way] in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_files_of_another_sum_are_never_unpickled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stock class knows the published sums: the fixture is not CIFAR to it."""
    monkeypatch.undo()
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    assert "is damaged, or not CIFAR-100's" in refused(folder)
