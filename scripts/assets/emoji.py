"""Builds rlexp/envs/data/emoji.npz from the npm package emoji-datasource-google 16.0.0.

    npm pack emoji-datasource-google@16.0.0
    python scripts/assets/emoji.py emoji-datasource-google-16.0.0.tgz rlexp/envs/data/emoji.npz

One array a class, uint8 [glyphs, 32, 32, 4], RGBA, in the package's order; NAMES lists the glyphs
(the package's short names). The same tarball gives the same bytes. Only this script reads the
package; rlexp/envs/images/emoji.py reads what it wrote.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = 32
FOLDER = "package/img/google/64"
SHA256 = "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438"  # of the tarball
# The package's subcategories, less what a person would not call by the class's name.
SUBCATEGORIES = {
    "bird": ("animal-bird", {"feather", "wing", "hatching_chick"}),
    "bug": ("animal-bug", {"spider_web", "microbe", "worm", "snail"}),
    "fruit": ("food-fruit", set[str]()),
    "vegetable": ("food-vegetable", {"peanuts", "chestnut"}),
    "flower": ("plant-flower", {"rosette"}),
    "vehicle": (
        "transport-ground",
        {
            *("station", "manual_wheelchair", "motorized_wheelchair", "skateboard", "busstop"),
            *("roller_skate", "motorway", "railway_track", "oil_drum", "fuelpump", "wheel"),
            *("rotating_light", "traffic_light", "vertical_traffic_light", "octagonal_sign"),
            *("construction", "mountain_railway"),
        },
    ),
    "building": (
        "place-building",
        {"building_construction", "bricks", "rock", "wood", "statue_of_liberty"},
    ),
}
GLYPHS = {
    "lion": {"lion_face"},
    "rabbit": {"rabbit", "rabbit2"},
    "cat": {
        *("cat", "cat2", "black_cat", "smiley_cat", "smile_cat", "joy_cat", "heart_eyes_cat"),
        *("smirk_cat", "kissing_cat", "scream_cat", "crying_cat_face", "pouting_cat"),
    },
    "dog": {"dog", "dog2", "guide_dog", "service_dog", "poodle"},
    # Whales and dolphins are none, but look the part.
    "fish": {"fish", "tropical_fish", "blowfish", "shark", "whale", "whale2", "dolphin"},
}
ORDER = (
    *("lion", "rabbit", "cat", "dog", "bird", "bug", "fish"),
    *("fruit", "vegetable", "flower", "vehicle", "building"),
)


def belongs(entry: dict[str, Any], name: str) -> bool:
    """True for an entry of emoji.json that is one of the class's glyphs."""
    if name in GLYPHS:
        return entry["short_name"] in GLYPHS[name]
    subcategory, without = SUBCATEGORIES[name]
    return entry["subcategory"] == subcategory and entry["short_name"] not in without


def picture(data: bytes) -> np.ndarray:
    """uint8 [SIZE, SIZE, 4]; Pillow weighs colours by their alpha when it shrinks RGBA."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def build(tarball: Path) -> dict[str, np.ndarray]:
    """Every class's glyphs, and their names under NAME_names."""
    arrays: dict[str, np.ndarray] = {}
    with tarfile.open(tarball) as archive:
        entries = json.loads(read(archive, "package/emoji.json"))
        entries.sort(key=lambda entry: entry["sort_order"])
        for name in ORDER:
            chosen = [entry for entry in entries if belongs(entry, name)]
            files = [read(archive, f"{FOLDER}/{entry['image']}") for entry in chosen]
            arrays[name] = np.stack([picture(data) for data in files])
            arrays[f"{name}_names"] = np.array([entry["short_name"] for entry in chosen])
    return arrays


def read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None, name
    return member.read()


def write(arrays: dict[str, np.ndarray], path: Path) -> None:
    """As np.savez_compressed, but with a fixed date: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            file = io.BytesIO()
            np.save(file, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.getvalue())


def main() -> None:
    tarball, path = Path(sys.argv[1]), Path(sys.argv[2])
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{tarball} is not emoji-datasource-google 16.0.0")
    arrays = build(tarball)
    write(arrays, path)
    for name in ORDER:
        print(f"{name:<10}{len(arrays[name]):>3}  {', '.join(arrays[f'{name}_names'])}")
    data = path.read_bytes()
    print(f"{path}: {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
