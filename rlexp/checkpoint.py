"""One atomic save and verified load of everything a run needs to go on.

A checkpoint is a directory: state.json (numbers, RNGs, structure), weights.safetensors (what
plays), state.safetensors (what learns), segments/ (buffer blocks) and manifest.json with the size
and SHA-256 of each. It is written beside its final name, flushed and renamed, so that whatever has
a checkpoint's name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as dump_tensors

from rlexp import __version__, safe_files, step_folders
from rlexp.buffers.base import Segments
from rlexp.codec import flatten, unflatten
from rlexp.errors import UserError
from rlexp.types import State

FORMAT = 1
MANIFEST = step_folders.MANIFEST
WEIGHTS = "weights.safetensors"
BLOCK = ".safetensors.z"


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint says of itself."""

    step: int
    episodes: int
    kind: str  # "full", or "weights": enough to play, not to go on
    files: dict[str, dict[str, Any]]
    version: str


class CannotSave(Exception):
    """The disk is full or read-only; older checkpoints are as they were."""


@dataclass(frozen=True)
class Snapshot:
    """A state at one moment, copied, so that training may go on while it is written."""

    step: int
    episodes: int
    weights_only: bool
    structure: Any
    arrays: dict[str, np.ndarray]
    blocks: dict[str, dict[str, np.ndarray]]  # buffer blocks that are new or changed
    linked: dict[str, tuple[Path, dict[str, Any]]]  # the others: where they are, manifest entry


def snapshot(
    state: State, step: int, episodes: int, checkpoints: Path, weights_only: bool = False
) -> Snapshot:
    """Copy what `write` needs; blocks that the newest checkpoint has are only named."""
    structure, arrays, segments = flatten(_weights(state) if weights_only else state)
    known = _known_blocks(checkpoints) if segments else {}
    blocks: dict[str, dict[str, np.ndarray]] = {}
    linked: dict[str, tuple[Path, dict[str, Any]]] = {}
    for name, segment in segments.items():
        for index, version, views in segment.blocks():
            file = f"segments{name}/{index:06d}_{version}{BLOCK}"
            if file in known:
                linked[file] = known[file]
            else:
                blocks[file] = {k: np.array(v, order="C") for k, v in views.items()}
    copies = {name: np.array(array, order="C") for name, array in arrays.items()}
    return Snapshot(step, episodes, weights_only, structure, copies, blocks, linked)


def write(folder: Path, snap: Snapshot) -> None:
    """Write a snapshot to `folder`, all of it or nothing; CannotSave where the disk won't."""
    temporary = folder.parent / step_folders.WRITING
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write_files(temporary, snap)
        _sync(temporary)
        step_folders.put(temporary, folder)
        _sync(folder.parent)
    except OSError as ex:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CannotSave(f"can't save {folder}: {ex.strerror or ex}") from ex


def save(folder: Path, state: State, step: int, episodes: int, weights_only: bool = False) -> None:
    """Snapshot and write at once."""
    write(folder, snapshot(state, step, episodes, folder.parent, weights_only))


def _write_files(folder: Path, snap: Snapshot) -> None:
    files: dict[str, dict[str, Any]] = {}

    def put(name: str, data: bytes) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    playing = {name: a for name, a in snap.arrays.items() if "/weights/" in name}
    learning = {name: a for name, a in snap.arrays.items() if name not in playing}
    put(WEIGHTS, dump_tensors(playing))
    if learning:
        put("state.safetensors", dump_tensors(learning))
    put("state.json", json.dumps(snap.structure, allow_nan=False).encode())
    for name, block in snap.blocks.items():
        # Pictures of a game shrink to a tenth, faster than most disks write.
        put(name, zlib.compress(dump_tensors(block), 1))
    for name, (source, entry) in snap.linked.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, target)
        files[name] = entry
    about = {
        "format": FORMAT,
        "version": __version__,
        "step": snap.step,
        "episodes": snap.episodes,
        "kind": "weights" if snap.weights_only else "full",
        "files": files,
    }
    put(MANIFEST, json.dumps(about, indent=1, allow_nan=False).encode())


def manifest(folder: Path) -> Manifest:
    """Reads and checks the manifest; UserError where this is no checkpoint of ours."""
    path = folder / MANIFEST
    try:
        data = json.loads(safe_files.read_text(path, folder))
        if data["format"] != FORMAT:
            raise UserError(
                f"{folder} has checkpoint format {data['format']}; this rlexp reads {FORMAT}"
            )
        if not all(map(safe_files.is_relative, data["files"])):
            raise ValueError("a name leads out of the checkpoint")
        found = Manifest(
            data["step"], data["episodes"], data["kind"], data["files"], data["version"]
        )
    except FileNotFoundError:
        raise UserError(f"{folder} is no rlexp checkpoint: it has no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: not the manifest of a checkpoint") from None
    return found


def load(folder: Path, weights_only: bool = False) -> State:
    """The state tree of a checkpoint, every file held against the manifest first."""
    about = manifest(folder)
    wanted = ["state.json", WEIGHTS]
    if not weights_only and about.kind == "full":
        wanted = list(about.files)
    data = {name: _read(folder, name, about) for name in wanted if "segments" not in name}
    arrays: dict[str, np.ndarray] = {}
    try:
        for name, raw in data.items():
            if name.endswith(".safetensors"):
                arrays.update(load_tensors(raw))
        structure = json.loads(data["state.json"])
        if weights_only:
            structure = _weights(structure)
        found: dict[str, SavedSegments] = {}
        for name in wanted:
            if name.startswith("segments/"):
                path, _, block = name.removeprefix("segments").rpartition("/")
                found.setdefault(path, SavedSegments(folder, about, {})).names[block] = name
        state = unflatten(structure, arrays, _Segments(found, folder, about))
    except (SafetensorError, ValueError, KeyError) as ex:
        raise UserError(f"{folder} is damaged: {ex}") from ex
    assert isinstance(state, dict)
    return state


def verify(folder: Path) -> Manifest:
    """Hold every file against the manifest; UserError names the first that differs."""
    about = manifest(folder)
    for name in about.files:
        _read(folder, name, about)
    return about


@dataclass
class SavedSegments:
    """A buffer's blocks on disk, read one at a time."""

    folder: Path
    about: Manifest
    names: dict[str, str]

    def blocks(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """("index_version", arrays) of each."""
        for block, name in sorted(self.names.items()):
            raw = _read(self.folder, name, self.about)
            try:
                yield block.removesuffix(BLOCK), load_tensors(zlib.decompress(raw))
            except (zlib.error, SafetensorError) as ex:
                raise UserError(f"{self.folder} is damaged: {name}: {ex}") from ex

    def restore(self, into: Segments) -> None:
        for block, views in self.blocks():
            index, _, version = block.partition("_")
            into.load(int(index), int(version), views)


class _Segments(dict[str, SavedSegments]):
    """A buffer that was still empty has no blocks at all."""

    def __init__(self, found: dict[str, SavedSegments], folder: Path, about: Manifest) -> None:
        super().__init__(found)
        self.folder, self.about = folder, about

    def __missing__(self, name: str) -> SavedSegments:
        return SavedSegments(self.folder, self.about, {})


def _read(folder: Path, name: str, about: Manifest) -> bytes:
    entry = about.files.get(name)
    if entry is None:
        raise UserError(f"{folder} is damaged: its manifest does not list {name}")
    try:
        data = safe_files.read_bytes(folder / name, folder)
    except OSError as ex:
        raise UserError(f"{folder} is damaged: {name}: {ex.strerror}") from ex
    if len(data) != entry["bytes"]:
        raise UserError(f"{folder} is damaged: {name} has {len(data)} bytes, not {entry['bytes']}")
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise UserError(f"{folder} is damaged: {name} is not what was written")
    return data


def _known_blocks(checkpoints: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Blocks of the newest whole checkpoint: name → (path, manifest entry)."""
    for folder in reversed(step_folders.folders(checkpoints, "step")):
        try:
            about = manifest(folder)
        except UserError:
            continue
        names = [n for n in about.files if n.startswith("segments/")]
        return {n: (folder / n, about.files[n]) for n in names if (folder / n).is_file()}
    return {}


def _weights(tree: Any) -> Any:
    """Only the branches that end in "weights"."""
    if not isinstance(tree, dict):
        return None
    if "weights" in tree:
        return {"weights": tree["weights"]}
    found = {k: _weights(v) for k, v in tree.items()}
    return {k: v for k, v in found.items() if v}


def _sync(folder: Path) -> None:
    """Make a rename or new files in a directory durable."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
