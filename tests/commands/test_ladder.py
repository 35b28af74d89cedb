"""`rlexp ladder` and `rlexp play` on tiny runs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlexp
from conftest import FAST
from rlexp import ladder
from rlexp.cli import main

GAME = ["env=bomberman", "env.limit=15", "env.num_envs=4", "env.width=5", "env.height=5",
        "env.bricks=2", "env.lives=2", "self_play.enabled=true", "agent=ppo", "agent.hidden=[8]",
        "agent.vision=board", "agent.rollout_steps=4", "agent.batch_size=16"]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with three archived checkpoints, and one that sees and is masked otherwise."""
    folder = tmp_path_factory.mktemp("ladder")
    common = [*GAME, *FAST, "total_steps=96"]
    rlexp.train([*common, "checkpoint.archive_every=32", f"run_dir={folder}/one"])
    other = ["env.observation=planes", "env.turned=true", "env.mask=true"]
    rlexp.train([*common, *other, f"run_dir={folder}/two"])
    return folder / "one", folder / "two"


def test_a_ladder(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    one, two = map(str, runs)
    assert main(["ladder", one, two, "games=4", "most=2", "rivals=wait,random", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    names = {player["name"] for player in told["players"]}
    assert names == {"one 32", "one 96", "two 96", "wait", "random"}
    wins, draws = np.array(told["wins"]), np.array(told["draws"])
    games = wins + wins.T + draws
    assert (games == 4 * (1 - np.eye(5))).all() and (draws == draws.T).all()
    ratings = [player["elo"] for player in told["players"]]
    assert ratings == sorted(ratings, reverse=True) and min(ratings) < 1200 < max(ratings)
    for player in told["players"]:
        assert player["elo_ci"][0] <= player["elo_ci"][1] and 0 <= player["points"] <= 1
    assert told["intransitive"]["triples"] <= 10
    assert len(list((runs[0] / "media").glob("ladder_*.png"))) == 1
    assert json.loads(next((runs[0] / "eval").glob("ladder_*.json")).read_text()) == told
    assert main(["ladder", one, two, "games=4", "most=2", "rivals=wait,random", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told  # the same seed, the same games
    checkpoint = str(next((runs[0] / "checkpoints/archive").glob("step_*")))
    assert main(["ladder", checkpoint, "games=2", "rivals=hunter"]) == 0
    out = capsys.readouterr().out
    assert "hunter" in out and "circles: 0 of 0 triples" in out and "picture:" in out


def test_who_can_meet(own_folder: Path) -> None:
    """Players of one game that pay otherwise can; a checkpoint named twice plays once."""
    paid = ["env.brick_reward=0.4", "env.fee=0", "total_steps=16"]
    rlexp.train([*GAME, *FAST, "total_steps=16", "run_dir=one"])
    rlexp.train([*GAME, *FAST, *paid, "run_dir=two"])
    players, _ = ladder.gather(["one", "two", "one/checkpoints/last"], False, None, ["wait"])
    assert [player.name for player in players] == ["one 16", "two 16", "wait"]


def test_steps_in_short() -> None:
    told = {999: "999", 1000: "1k", 15_360: "15.4k", 999_400: "999k", 999_999: "1M",
            1_500_000: "1.5M", 12_340_000: "12.3M", 1_234_000_000: "1234M"}  # fmt: skip
    assert {step: ladder.short(step) for step in told} == told


def test_points_go_to_whom_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    """wait against random: the one that bombs itself loses from either corner."""
    config = rlexp.compose([*GAME[:7], "env.limit=80"]).config.env
    from rlexp import build

    players = [ladder.Player("wait", code=-2), ladder.Player("random", code=-1)]
    monkeypatch.setattr(ladder, "MOST_ROWS", 3)  # games in several parts
    table = ladder.round_robin(players, lambda rows: build.env(config, rows), 8, 0)
    assert table.wins[0, 1] + table.draws[0, 1] == 8 and table.wins[0, 1] >= 5
    assert table.knock_outs[0, 1] >= 3 and table.knock_outs[1, 0] == 0


def test_other_views_see_the_same_game(runs: tuple[Path, Path]) -> None:
    """Turned planes of another run's board, and moves back on it: as in a game of its own."""
    from rlexp import build

    players, make_env = ladder.gather([str(runs[0]), str(runs[1])], True, 1, [])
    arena: Any = make_env(3)
    lens = players[-1].lens
    lens.share(arena)
    config = rlexp.compose([*GAME[:7], "env.observation=planes", "env.turned=true",
                            "env.mask=true"]).config.env  # fmt: skip
    twin: Any = build.env(config, 3)
    seen, own = arena.start(5), twin.start(5)
    for _ in range(10):
        for seat in seen.obs:
            np.testing.assert_array_equal(lens.observe(seat, slice(None)), own.obs[seat])
            np.testing.assert_array_equal(lens.legal_rows(seat), own.legal[seat])
        actions = {seat: np.array([2, 3, 5]) for seat in own.obs}
        framed = {seat: arena.frame(seat, lens.frame(seat, a)) for seat, a in actions.items()}
        arena.send(framed)
        twin.send(actions)
        seen, own = arena.recv(), twin.recv()


def test_mistakes_are_told_in_one_line(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    one = str(runs[0])
    rlexp.train([*GAME, *FAST, "total_steps=16", "env.lives=3", "run_dir=other"])
    rlexp.train(["env=cartpole", "agent=random", *FAST, "total_steps=20", "run_dir=pole"])
    Path("foreign").mkdir()
    capsys.readouterr()
    for arguments, told in (
        (["ladder", one, "other"], "other was not trained by the rules of"),
        (["ladder", "pole"], "pole is no run of a game for two"),
        (["ladder", one, "rivals=huntr"], "no rival 'huntr'. Did you mean 'hunter'"),
        (["ladder", one, "game=3"], "unknown key 'game'. Did you mean 'games'"),
        (["ladder", one, "games=1"], "games=1 must be a whole number, at least 2"),
        (["ladder"], "usage"),
        (["ladder", "foreign"], "foreign is no run of rlexp"),
        (["play", one], "needs a terminal"),
        (["play", one, "speed=fast"], "speed=fast must be a number"),
        (["play", one, "greedy=maybe"], "greedy=maybe must be true or false"),
        (["play", one, "sped=1"], "unknown key 'sped'. Did you mean 'speed'"),
    ):
        code = main(arguments)
        out, err = capsys.readouterr()
        text = out if told == "usage" else err
        assert code == 2 and told in text, (arguments, out, err)
        assert told == "usage" or len(err.strip().splitlines()) == 1


def test_a_person_plays(runs: tuple[Path, Path]) -> None:
    """Keys through a terminal: three moves, one that is none, and leaving."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "rlexp.cli", "play", str(runs[1]), "seat=player_1"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                               env=os.environ | {"TERM": "xterm"})  # fmt: skip
    os.close(slave)
    shown, limit = b"", time.monotonic() + 100

    def wait_for(text: bytes) -> None:
        nonlocal shown
        while text not in shown and time.monotonic() < limit:
            if select.select([master], [], [], 1)[0]:
                try:
                    shown += os.read(master, 65536)
                except OSError:  # the other end is closed
                    break
        assert text in shown, shown[-3000:]

    wait_for(b"step 0")
    for number, key in enumerate((b"\x1b[A", b" ", "xö.".encode(), b"a"), 1):
        os.write(master, key)
        wait_for(f"step {number}".encode())
    os.write(master, b"q")
    wait_for(b"won 0, lost 0, drawn 0\r\n")
    assert b"step 5" not in shown  # keys that mean nothing are no moves
    assert process.wait(20) == 0
    os.close(master)
