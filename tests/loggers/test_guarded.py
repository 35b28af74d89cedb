"""A logger that fails takes no run along; whatever ends a run saves first where it can."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import FAST
from rlexp.loggers import csv
from rlexp.loggers.base import Logger
from rlexp.loggers.guarded import Guarded
from rlexp.run_dir import RunDir

Main = Callable[..., tuple[int, str, str]]
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        step = self.rfile.read(int(self.headers["Content-Length"])).decode()
        open("got.txt", "a").write(step + "\\n")
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
PLUGIN = """
import os, signal, urllib.request
from dataclasses import dataclass
from rlexp.loggers.base import Logger
from rlexp.registry import register

@register("logger", "post", impl="rlexp_plugins:Post")
@dataclass
class PostConfig:
    name: str = "post"

class Post(Logger):
    def log(self, step, metrics):
        if step == 300:
            os.kill(int(os.environ["SERVER"]), signal.SIGKILL)
            os.waitpid(int(os.environ["SERVER"]), 0)
        url = "http://127.0.0.1:" + os.environ["PORT"]
        urllib.request.urlopen(url, str(step).encode(), timeout=5).close()

def broken(*_):
    raise ValueError("no ink")
"""


class Flaky(Logger):
    """Fails while it is told to."""

    def __init__(self) -> None:
        self.fails, self.steps = False, list[int]()

    def log(self, step: int, metrics: dict[str, float]) -> None:
        if self.fails:
            raise ConnectionError("gone")
        self.steps.append(step)

    def flush(self) -> None:
        if self.fails:
            raise ConnectionError("gone")


def test_rows_come_later_and_the_failure_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    flaky = Flaky()
    guarded = Guarded(flaky, told.append)
    for step in range(10):
        flaky.fails = step in (3, 4, 5)
        clock[0] += 8
        guarded.log(step, {})
        guarded.flush()
    assert flaky.steps == list(range(10))
    assert told == [
        "note: logger flaky failed: ConnectionError: gone; training continues, and it is tried "
        "again later"
    ]
    flaky.fails = True
    guarded.log(10, {})
    guarded.close()
    assert told[1:] == ["note: flaky lacks 1 rows of metrics; metrics.csv has them"]


def test_a_server_killed_in_the_middle_takes_no_run_along(
    main: Main, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_folder / "rlexp_plugins.py").write_text(PLUGIN)
    (own_folder / "conf/logger").mkdir(parents=True)
    (own_folder / "conf/logger/post.yaml").write_text("# @package logger.post\nname: post\n")
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        monkeypatch.setenv("PORT", server.stdout.readline().strip())
        monkeypatch.setenv("SERVER", str(server.pid))
        words = [*FAST[1:], "logger=[csv,post,console]", "agent=random", "total_steps=600"]
        try:
            code, _, err = main("train", *words, "log_every=100", "run_dir=run")
        finally:
            server.kill()  # where the run has not come so far
    assert code == 0, err
    assert err.count("logger post failed: URLError") == 1 and "lacks 4 rows" in err
    assert Path("got.txt").read_text().split() == ["100", "200"]
    rows = csv.read(RunDir(Path("run")).metrics)[1]
    assert [row["step"] for row in rows] == ["100", "200", "300", "400", "500", "600"]


def test_an_evaluation_that_fails_is_saved_before_and_done_again(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that is resumed equals one that never failed."""
    from rlexp import hooks, verify

    words = [*[w for w in FAST if not w.startswith("evaluation")], "agent=random",
             "total_steps=300", "log_every=100", "checkpoint.every=null", "evaluation.every=200",
             "evaluation.episodes=2", "evaluation.gif=false"]  # fmt: skip
    assert main("train", *words, "run_dir=straight")[0] == 0
    play = hooks.Evaluator._play

    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("no such rival")

    monkeypatch.setattr(hooks.Evaluator, "_play", broken)
    code, _, err = main("train", *words, "run_dir=run")
    assert code == 1 and "no such rival" in err and "up to step 200 is saved" in err
    assert [path.name for path in RunDir(Path("run")).full_checkpoints()][-1] == "step_000000200"
    monkeypatch.setattr(hooks.Evaluator, "_play", play)
    assert main("resume", "run")[0] == 0
    assert verify.compare(RunDir(Path("straight")), RunDir(Path("run"))).parts == []
