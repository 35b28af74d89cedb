"""The shipped tables: what they hold, and that damage is told in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlexp.envs import datasets
from rlexp.errors import UserError


def test_digits() -> None:
    samples = datasets.digits()
    assert samples.x.shape == (1797, 1, 8, 8) and samples.x.dtype == np.uint8
    assert np.bincount(samples.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # The first row of the first digit, a 0, in ink of 0 to 16.
    assert (samples.x[0, 0, 0] / (255 / 16)).round().tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert samples.y[0] == 0 and samples.x.max() == 255


def test_boston() -> None:
    samples = datasets.housing("boston", [])
    assert samples.x.shape == (506, 13)
    assert samples.y.mean(dtype=float) == pytest.approx(22.5328, abs=1e-4)
    assert samples.x[0, [0, 4, 12]].tolist() == pytest.approx([0.00632, 0.538, 4.98])
    assert samples.y.max() == 50
    dropped = datasets.housing("boston", ["B", "CRIM"])
    np.testing.assert_array_equal(dropped.x, np.delete(samples.x, [0, 11], axis=1))


def test_diabetes() -> None:
    samples = datasets.housing("diabetes", [])
    assert samples.x.shape == (442, 10) and (samples.y.min(), samples.y.max()) == (25, 346)
    assert samples.x[0].tolist() == pytest.approx([59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87])


def test_unknown_columns_and_none_left() -> None:
    with pytest.raises(UserError, match=r"env\.drop: boston has no column 'b': CRIM, ZN"):
        datasets.housing("boston", ["b"])
    with pytest.raises(UserError, match=r"env\.drop: diabetes has no column 'B'"):
        datasets.housing("diabetes", ["B"])
    with pytest.raises(UserError, match="leaves no column"):
        datasets.housing("diabetes", list(datasets.DIABETES))


def cut(data: bytes) -> bytes:
    return data[:1000]


def flip(data: bytes) -> bytes:
    return data[:500] + bytes([data[500] ^ 1]) + data[501:]


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("name", sorted(datasets.FILES))
def test_damaged_files_are_refused(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    good = (datasets.FOLDER / name).read_bytes()
    (tmp_path / name).write_bytes(damage(good))
    with pytest.raises(UserError, match=f"{name} is damaged .* install rlexp again"):
        datasets.read_bytes(name, tmp_path)
    (tmp_path / name).write_bytes(good)
    assert datasets.read_bytes(name, tmp_path) == good


def test_a_damaged_file_ends_a_run_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: Any, own_folder: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(datasets.FOLDER, folder)
    (folder / "digits.csv.gz").write_bytes(b"")
    monkeypatch.setattr(datasets.digits, "__defaults__", (folder,))
    code, out, err = main("train", "env=digits", "agent=classifier")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "is damaged (0 bytes; 57,523 were shipped)" in err
    (folder / "digits.csv.gz").unlink()
    code, out, err = main("train", "env=digits", "agent=classifier")
    assert code == 2 and err.count("\n") == 1 and "No such file" in err
    assert not (own_folder / "outputs").exists()


def test_split_is_a_partition_that_only_its_seed_decides() -> None:
    samples = datasets.Samples(np.arange(100)[:, None], np.arange(100))
    training, test = datasets.split(samples, 0.3333, 7)
    assert (len(training), len(test)) == (67, 33)
    assert sorted([*training.y, *test.y]) == list(range(100))
    np.testing.assert_array_equal(training.x[:, 0], training.y)
    np.testing.assert_array_equal(datasets.split(samples, 0.3333, 7)[1].y, test.y)
    assert (datasets.split(samples, 0.3333, 8)[1].y != test.y).any()
