"""The config's pictures, and agents that end a run by themselves, through real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlexp
from conftest import FAST
from rlexp.loop import Turn, train
from rlexp.media.pictures import Picture
from rlexp.media.plots import figure

RUN = ["env=cartpole", "agent=random", *FAST, "total_steps=30", "run_dir=run"]
PLUGIN = Path(__file__).stem


class Counter(Picture):
    """Draws how many turns it saw."""

    turns = 0

    def start(self) -> None:
        type(self).turns = 0
        (self.scene.run.path / "started").touch()

    def turn(self, turn: Turn) -> None:
        type(self).turns += 1

    def finish(self, step: int) -> None:
        drawn, axes = figure(1, 1)
        axes[0, 0].bar([0], [self.turns])
        self.scene.save(drawn, "turns", step)


class Measures(Picture):
    """Logs a number of its own."""

    def metrics(self) -> dict[str, float]:
        return {"train/turn": 7.0}


class Broken(Picture):
    def turn(self, turn: Turn) -> None:
        raise RuntimeError("no ink")


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_pictures_are_drawn_at_start_turns_and_end(importable: None) -> None:
    import test_pictures

    rlexp.train([*RUN, "logger=[csv,tensorboard]", f"pictures=[{PLUGIN}:Counter]"])
    assert test_pictures.Counter.turns == 30
    assert Path("run/started").exists() and Path("run/media/turns.png").stat().st_size > 1000


def test_a_picture_that_fails_is_told_and_nothing_more(importable: None) -> None:
    rlexp.train([*RUN, f"pictures=[{PLUGIN}:Broken,{PLUGIN}:Counter]", "logger=[csv,console]"])
    assert Path("run/media/turns.png").exists()


def test_a_picture_may_log_what_it_measures(importable: None) -> None:
    from rlexp.loggers.csv import read

    rlexp.train([*RUN, f"pictures=[{PLUGIN}:Broken,{PLUGIN}:Measures]", "log_every=10"])
    _, rows = read(Path("run/metrics.csv"))
    assert [(row["step"], row["train/turn"]) for row in rows] == [
        ("10", "7.0"), ("20", "7.0"), ("30", "7.0"),
    ]  # fmt: skip


def test_an_unknown_picture_is_one_line(main: Any) -> None:
    code, _, err = main("train", *RUN, "pictures=[rlexp.media.plots:Nothing]")
    assert code == 2 and "pictures=rlexp.media.plots:Nothing" in err and not Path("run").exists()


class Stops:
    """A team that has learnt enough after three ticks."""

    overlap, count = False, 0

    @property
    def finished(self) -> bool:
        return self.count >= 3

    def act(self, tick: Any) -> Any:
        return {"agent": np.array([0])}

    def observe(self, tick: Any) -> None:
        self.count += 1

    def learn(self, clock: Any) -> None:
        return None


def test_a_team_that_is_finished_ends_the_run() -> None:
    from rlexp.clock import Clock
    from rlexp.envs.cartpole import CartPole

    clock = Clock(total_steps=100)
    assert len(list(train(Stops(), CartPole(1, 500), clock, 0))) == 3  # type: ignore[arg-type]
    again = Clock(total_steps=200)
    again.load_state_dict(clock.state_dict())
    assert not again.running
