"""Checkpoints: whole or not there, checked when read, and cheap where little changed."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlexp import checkpoint, codec
from rlexp.buffers.base import Segments
from rlexp.errors import UserError


def state(segments: Segments | None = None) -> dict[str, Any]:
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {
        "clock": {"steps": 7},
        "team": {
            "agent": {
                "weights": {"online": net.state_dict()},
                "optimizer": optimizer.state_dict(),
                "rng": np.random.default_rng(3).bit_generator.state,
                "buffer": {"head": 3, "data": segments} if segments else None,
            }
        },
        "numbers": [1, 2.5, float("inf"), True, None, "x", (1, "y"), np.float32(0.5)],
        "empty": {"array": np.zeros((0, 3)), "zero_d": torch.tensor(2.0), "flag": np.array(True)},
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    return bool(a == b)


def segments(length: int = 100, block: int = 10) -> Segments:
    found = Segments(length, block)
    found.arrays = {"x": np.zeros((length, 2)), "y": np.zeros(length, dtype=np.uint8)}
    return found


def test_everything_comes_back(tmp_path: Path) -> None:
    saved = state()
    checkpoint.save(tmp_path / "step_1", saved, 7, 2)
    loaded = checkpoint.load(tmp_path / "step_1")
    assert same(dict(saved["team"]), loaded["team"])
    assert same(saved["numbers"], [*loaded["numbers"][:-1], np.float32(loaded["numbers"][-1])])
    assert same(saved["empty"], loaded["empty"])
    about = checkpoint.manifest(tmp_path / "step_1")
    assert (about.step, about.episodes, about.kind) == (7, 2, "full")


def test_weights_alone(tmp_path: Path) -> None:
    saved = state()
    checkpoint.save(tmp_path / "full", saved, 7, 2)
    checkpoint.save(tmp_path / "weights", saved, 7, 2, weights_only=True)
    online = saved["team"]["agent"]["weights"]["online"]
    for name in ("full", "weights"):
        loaded = checkpoint.load(tmp_path / name, weights_only=True)
        assert loaded.keys() == {"team"}
        assert same(dict(online), loaded["team"]["agent"]["weights"]["online"])
    assert {p.name for p in (tmp_path / "weights").iterdir()} == {
        "manifest.json",
        "state.json",
        "weights.safetensors",
    }


def test_only_changed_blocks_are_written(tmp_path: Path) -> None:
    one, two = tmp_path / "step_000000001", tmp_path / "step_000000002"
    data = segments()
    data.arrays["x"][:] = 1
    data.touch(np.arange(100))
    checkpoint.save(one, state(data), 1, 0)
    data.arrays["x"][55] = 2
    data.touch(55)
    checkpoint.save(two, state(data), 2, 0)
    first = {p.name: p.stat().st_ino for p in one.rglob("segments/**/*.saf*")}
    second = {p.name: p.stat().st_ino for p in two.rglob("segments/**/*.saf*")}
    assert len(first) == len(second) == 10
    assert len(second.items() - first.items()) == 1
    again = segments()
    checkpoint.load(two)["team"]["agent"]["buffer"]["data"].restore(again)
    np.testing.assert_array_equal(again.arrays["x"], data.arrays["x"])
    np.testing.assert_array_equal(again.versions, data.versions)


def test_an_empty_buffer(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "step_1", state(segments()), 1, 0)
    again = segments()
    checkpoint.load(tmp_path / "step_1")["team"]["agent"]["buffer"]["data"].restore(again)
    assert not again.versions.any()


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "state.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "byte", "gone"])
def test_damage_is_named(tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "step_1"
    checkpoint.save(folder, state(), 1, 0)
    data = bytearray((folder / name).read_bytes())
    if damage == "cut":
        (folder / name).write_bytes(data[: len(data) // 2])
    elif damage == "byte":
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
    else:
        (folder / name).unlink()
    with pytest.raises(UserError, match=f"step_1 is damaged: {name}"):
        checkpoint.load(folder)


def test_a_damaged_block_is_named(tmp_path: Path) -> None:
    data = segments()
    data.touch(np.arange(100))
    checkpoint.save(tmp_path / "step_1", state(data), 1, 0)
    block = next((tmp_path / "step_1").rglob("segments/**/000003_*.safetensors.z"))
    block.write_bytes(block.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match="damaged: segments/.*000003_1.safetensors.z"):
        checkpoint.load(tmp_path / "step_1")["team"]["agent"]["buffer"]["data"].restore(segments())


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    folder = tmp_path / "step_1"
    checkpoint.save(folder, state(), 1, 0)
    evil = pickle.dumps(Bomb())
    (folder / "weights.safetensors").write_bytes(evil)
    manifest = json.loads((folder / "manifest.json").read_text())
    import hashlib

    entry = {"bytes": len(evil), "sha256": hashlib.sha256(evil).hexdigest()}
    manifest["files"]["weights.safetensors"] = entry  # even one that passes as whole
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load(folder)
    assert not Path("exploded").exists()


def test_foreign_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no rlexp checkpoint"):
        checkpoint.load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"hello": 1}')
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="format 99; this rlexp reads 1"):
        checkpoint.load(tmp_path)


def test_a_failed_save_leaves_the_old_one(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "step_1", state(), 1, 0)
    broken = state()
    broken["bad"] = object()
    with pytest.raises(TypeError, match="can't hold object"):
        checkpoint.save(tmp_path / "step_1", broken, 1, 0)
    assert checkpoint.load(tmp_path / "step_1")["clock"] == {"steps": 7}


def test_keys_that_are_no_strings() -> None:
    tree = {"a": {1: "x", (2, 3): "y"}, codec.KIND: "taken"}
    assert codec.unflatten(*codec.flatten(tree)) == tree
