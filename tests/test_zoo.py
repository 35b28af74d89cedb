"""What is shipped in zoo/ still plays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rlexp
from rlexp import checkpoint

ZOO = Path(__file__).parents[1] / "zoo"
NAMES = sorted(p.name for p in ZOO.iterdir() if p.is_dir())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_whole_and_plays(name: str) -> None:
    folder = ZOO / name
    assert (folder / "README.md").is_file() and any((folder / "media").glob("*.gif"))
    assert json.loads((folder / "evaluations.json").read_text())
    (found,) = (folder / "checkpoints" / "archive").iterdir()
    about = checkpoint.verify(found)
    assert about.kind == "weights"
    assert sum(entry["bytes"] for entry in about.files.values()) < 10e6
    loaded = rlexp.load(folder, overrides=["evaluation.max_steps=60"])
    games, _ = loaded.play(2, greedy=False, seed=0)
    rivals = {game.rival for game in games.games}  # as many games against each
    assert len(games.games) == 2 * len(rivals) and all(game.length > 10 for game in games.games)
    if "" not in rivals:
        assert rivals == {"random", "wait", "safe_random", "hunter"}
    if name.startswith("mario"):  # it walks: 60 moves of a player that stands earn nothing
        assert all(next(iter(game.returns.values())) > 150 for game in games.games)
