"""The data sets that rlexp ships (docs/data.md): read, checked, split."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlexp.errors import UserError

FOLDER = Path(__file__).parent / "data"
# Size in bytes and SHA-256 of each file.
FILES = {
    "digits.csv.gz": (57523, "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"),
    "boston_house_prices.csv": (
        35230,
        "04ea3ed0aa63691cfedf388349eafc1213e91e00f8e4d31747534692c0f1ce02",
    ),
    "diabetes_data_raw.csv.gz": (
        7073,
        "7fc0ded571454b1982210d3bb43f0aca44eae01a0b8654a3b24022bdb6b38009",
    ),
    "diabetes_target.csv.gz": (
        1050,
        "8e53f65eb811df43c206f3534bb3af0e5fed213bc37ed6ba36310157d6023803",
    ),
    "emoji.npz": (308503, "0d4086d377e267eee9736fca37912cb0c13c5219fd0e00b42eb8a21faba4bfc0"),
}
DIABETES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


@dataclass(frozen=True)
class Samples:
    """Inputs [n, …] and the answer of each [n]."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


def read(name: str, folder: Path = FOLDER) -> str:
    """The text of a shipped file, unpacked."""
    data = read_bytes(name, folder)
    return (gzip.decompress(data) if name.endswith(".gz") else data).decode()


def read_bytes(name: str, folder: Path = FOLDER) -> bytes:
    """A shipped file as it is; UserError when a byte of it is not as it was shipped."""
    path, (size, sha256) = folder / name, FILES[name]
    try:
        data = path.read_bytes()
    except OSError as ex:
        raise UserError(f"can't read {path}: {ex.strerror}; install rlexp again") from ex
    if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(
            f"{path} is damaged ({len(data):,} bytes; {size:,} were shipped): install rlexp again"
        )
    return data


def digits(folder: Path = FOLDER) -> Samples:
    """1,797 digits: pictures uint8 [1, 8, 8], ink 0..16 spread over 0..255; classes int64."""
    table = np.array([line.split(",") for line in read("digits.csv.gz", folder).split()], float)
    ink = table[:, :64].reshape(-1, 1, 8, 8)
    return Samples(np.rint(ink * (255 / 16)).astype(np.uint8), table[:, 64].astype(np.int64))


def housing(data: str, drop: list[str], folder: Path = FOLDER) -> Samples:
    """`boston` (506 x 13) or `diabetes` (442 x 10), less the columns to drop; float32."""
    if data == "boston":
        lines = read("boston_house_prices.csv", folder).split()
        names = [name.strip('"') for name in lines[0].split(",")][:-1]
        table = np.array([line.split(",") for line in lines[1:]], float)
        x, y = table[:, :-1], table[:, -1]
    else:
        names = list(DIABETES)
        rows = read("diabetes_data_raw.csv.gz", folder).splitlines()
        x = np.array([row.split() for row in rows], float)
        y = np.array(read("diabetes_target.csv.gz", folder).split(), float)
    unknown = [name for name in drop if name not in names]
    if unknown:
        raise UserError(f"env.drop: {data} has no column {unknown[0]!r}: {', '.join(names)}")
    kept = [i for i, name in enumerate(names) if name not in drop]
    if not kept:
        raise UserError("env.drop leaves no column to predict from")
    return Samples(x[:, kept].astype(np.float32), y.astype(np.float32))


def split(samples: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """(training, held out): a random `share` of the samples is held out, one at least."""
    count = min(max(1, round(share * len(samples))), len(samples) - 1)
    order = np.random.default_rng(seed).permutation(len(samples))
    kept, held = order[count:], order[:count]
    return Samples(samples.x[kept], samples.y[kept]), Samples(samples.x[held], samples.y[held])
