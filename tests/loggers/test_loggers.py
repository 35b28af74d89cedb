"""What lands in metrics.csv and TensorBoard, and what a resumed run cuts back."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import rlexp
from rlexp.clock import Clock
from rlexp.errors import UserError
from rlexp.loggers.base import About, flat
from rlexp.loggers.console import ConsoleLogger, short
from rlexp.loggers.csv import CsvLogger, read
from rlexp.loggers.tensorboard import TensorBoardLogger
from rlexp.media import gif
from rlexp.metrics import Meter
from rlexp.run_dir import RunDir
from rlexp.types import SOLO, Episode


def about(path: Path, step: int = 0) -> About:
    return About(RunDir(path), {"seed": 1, "agent": {"lr": 0.5, "hidden": [3]}}, step)


def test_csv_grows_columns_and_keeps_every_digit(tmp_path: Path) -> None:
    logger = CsvLogger()
    logger.start(about(tmp_path))
    logger.log(1, {"b": 0.1 + 0.2})
    logger.log(2, {"a": 1.0, "b": 2.0})
    logger.close()
    with open(tmp_path / "metrics.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == ["step", "b", "a"]
    assert float(rows[0]["b"]) == 0.1 + 0.2 and rows[0]["a"] == ""
    assert [row["step"] for row in rows] == ["1", "2"]


def test_csv_is_cut_back_on_resume(tmp_path: Path) -> None:
    logger = CsvLogger()
    logger.start(about(tmp_path))
    for step in range(1, 6):
        logger.log(step, {"x": float(step)} | ({"late": 1.0} if step > 3 else {}))
    logger.close()
    with open(tmp_path / "metrics.csv", "a") as f:
        f.write("6,6.0,")  # a process that died while writing
    logger = CsvLogger()
    logger.start(about(tmp_path, step=3))
    logger.log(4, {"x": 40.0})
    logger.close()
    columns, rows = read(tmp_path / "metrics.csv")
    assert columns == ["step", "x"]
    assert [row["x"] for row in rows] == ["1.0", "2.0", "3.0", "40.0"]


def test_a_new_run_starts_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,x\n1,1.0\n")
    logger = CsvLogger()
    logger.start(about(tmp_path))
    logger.close()
    assert read(tmp_path / "metrics.csv") == (["step"], [])


def events(path: Path) -> EventAccumulator:
    found = EventAccumulator(str(path / "tb"), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def test_tensorboard_has_metrics_a_gif_and_hyperparameters(tmp_path: Path) -> None:
    logger = TensorBoardLogger(gifs=True)
    logger.start(about(tmp_path))
    for step in range(5):
        logger.log(step, {"train/return": float(step)})
    frames = [np.full((4, 6, 3), i * 60, dtype=np.uint8) for i in range(3)]
    path = gif.write(tmp_path / "media/a.gif", frames, 10)
    logger.gif(4, "eval/game", path)
    logger.finish({"score": 3.0})
    logger.close()
    found = events(tmp_path)
    assert [e.value for e in found.Scalars("train/return")] == [0, 1, 2, 3, 4]
    (image,) = found.Images("eval/game")
    assert image.encoded_image_string == path.read_bytes()
    assert image.encoded_image_string.startswith(b"GIF89a")
    plugins = found.summary_metadata
    assert any("hparams" in name for name in plugins)


def test_tensorboard_is_cut_back_on_resume(tmp_path: Path) -> None:
    for begin, end in ((0, 0), (2, 2)):
        logger = TensorBoardLogger(gifs=True)
        logger.start(about(tmp_path, step=begin))
        for step in range(end + 1, end + 4):
            logger.log(step, {"x": step + begin / 10})
        logger.close()
    values = {e.step: e.value for e in events(tmp_path).Scalars("x")}
    assert values == pytest.approx({1: 1.0, 2: 2.0, 3: 3.2, 4: 4.2, 5: 5.2})


def test_lines_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = ConsoleLogger("auto")
    logger.start(about(tmp_path))
    logger.log(1500, {"train/return": 12.345, "loss/td": 1e-5, "time/elapsed_s": 3.0})
    logger.close()
    assert capsys.readouterr().err == "step     1,500  return 12.35  loss 1.00e-05\n"
    assert short(123456.0) == "1.23e+05"


def test_lines_less_often_than_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logger, clock = ConsoleLogger("lines"), Clock(total_episodes=7)
    logger.start(About(RunDir(tmp_path), {"report_every": "3ep"}, 0))
    for episode in range(1, 8):
        clock.previous_episodes, clock.episodes = episode - 1, episode
        logger.progress(clock, 1.0)
        logger.log(
            episode, {"train/return": 1.0} | ({"eval/return_mean": 2.0} if episode == 4 else {})
        )
    logger.close()
    steps = [int(line.split()[1]) for line in capsys.readouterr().err.splitlines()]
    assert steps == [3, 4, 6, 7]  # the evaluation and the end are told in any case


def test_gif_plays_at_the_games_speed(tmp_path: Path) -> None:
    from PIL import Image

    frames = [np.full((4, 4, 3), i * 20, dtype=np.uint8) for i in range(12)]
    shown = Image.open(gif.write(tmp_path / "a.gif", frames, 15))
    assert shown.n_frames == 12 and shown.info["duration"] == 70 and shown.info["loop"] == 0
    with pytest.raises(ValueError):
        gif.encode([], 15)


def test_flat() -> None:
    assert flat({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}


def test_meter_means_and_comes_back() -> None:
    meter = Meter()
    meter.add({"loss/td": 1.0})
    meter.add({"loss/td": 2.0, "train/q": 5.0})
    meter.finish([Episode(0, 4, {SOLO: 10.0}, {"is_success": 1.0}), Episode(1, 6, {SOLO: 20.0})])
    again = Meter()
    again.load_state_dict(meter.state_dict())
    for m in (meter, again):
        found = m.take()
        assert found["loss/td"] == 1.5 and found["train/q"] == 5.0
        assert found["train/return"] == 15.0 and found["train/length"] == 5.0
        assert "loss/td" not in m.take()


def _resumed(logger_class: Callable[[], Any], path: Path) -> None:
    """Logs steps 1 to 4, dies, and goes on from step 3."""
    for begin, steps in ((0, (1, 2, 3, 4)), (3, (4, 5))):
        logger = logger_class()
        logger.start(about(path, step=begin))
        for step in steps:
            logger.log(step, {"train/return": step + begin / 10})
        if begin:
            gif_path = gif.write(path / "media/a.gif", [np.zeros((4, 6, 3), np.uint8)] * 2, 10)
            logger.gif(5, "eval/game", gif_path)
            logger.finish({"score": 5.3})
        logger.close()


def test_mlflow_offline(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra rlexp[mlflow] is not installed")
    from rlexp.loggers.mlflow import MlflowLogger

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (tmp_path / "run").mkdir()
    _resumed(lambda: MlflowLogger(uri, "here", gifs=True), tmp_path / "run")
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("here")
    (run,) = client.search_runs([experiment.experiment_id])  # one, though it was resumed
    assert run.info.status == "FINISHED" and run.data.metrics["score"] == 5.3
    assert run.data.params == {"seed": "1", "agent.lr": "0.5", "agent.hidden": "[3]"}
    values = client.get_metric_history(run.info.run_id, "train/return")
    last = {m.step: m.value for m in values}
    assert last == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.3, 5: 5.3}
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="tracking_uri=nowhere://x"):
        MlflowLogger("nowhere://x", "here", gifs=True).start(about(tmp_path / "other"))


def test_a_server_that_is_not_there(
    main: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    """Told in seconds and in one line; during a run MLflow may be as patient as it is."""
    pytest.importorskip("mlflow", reason="the extra rlexp[mlflow] is not installed")
    from rlexp.loggers.mlflow import RETRIES, impatient

    monkeypatch.delenv(RETRIES, raising=False)
    begin = time.monotonic()
    small = ["env=bandit", "agent=epsilon_greedy", "env.horizon=20", "total_steps=20"]
    address = "logger.mlflow.tracking_uri=http://127.0.0.1:9"
    code, _, err = main("train", *small, "logger=mlflow", address, "run_dir=a")
    assert code == 2 and err.startswith(f"rlexp: {address}: ") and err.count("\n") == 1, err
    assert time.monotonic() - begin < 60 and not Path("a").exists() and RETRIES not in os.environ
    monkeypatch.setenv(RETRIES, "5")
    with impatient():
        assert os.environ[RETRIES] == "5"
    assert os.environ[RETRIES] == "5"


def test_mlflow_resumed_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative store is the one that the run began with, wherever it goes on."""
    mlflow = pytest.importorskip("mlflow", reason="the extra rlexp[mlflow] is not installed")
    from rlexp.loggers.mlflow import MlflowLogger, absolute

    for folder in ("first", "second", "run"):
        (tmp_path / folder).mkdir()
    for folder, step in (("first", 0), ("second", 3)):
        monkeypatch.chdir(tmp_path / folder)
        logger = MlflowLogger("sqlite:///mlflow.db", "here", gifs=False)
        logger.start(about(tmp_path / "run", step))
        logger.log(step + 1, {"train/return": 1.0})
        logger.close()
    assert not list((tmp_path / "second").iterdir())
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/first/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("here").experiment_id])
    assert len(client.get_metric_history(run.info.run_id, "train/return")) == 2
    # Another store than before: a new run there.
    logger = MlflowLogger("sqlite:///other.db", "here", gifs=False)
    logger.start(about(tmp_path / "run", 3))
    logger.close()
    assert (tmp_path / "second/other.db").is_file()
    here = tmp_path / "second"
    for uri, expected in (
        ("sqlite:///a/b.db", f"sqlite:///{here}/a/b.db"), ("./mlruns", f"{here}/mlruns"),
        ("file:mlruns", f"file://{here}/mlruns"), ("sqlite:////a.db", "sqlite:////a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"), ("http://h:5000", "http://h:5000"),
        ("file:///a", "file:///a"), ("databricks", "databricks"),
    ):  # fmt: skip
        assert absolute(uri) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["logger=[csv,mlflow]", "logger.mlflow.tracking_uri=nowhere://x"],
         "logger.mlflow.tracking_uri=nowhere://x: "),
        (["logger=[csv,wandb]", "logger.wandb.mode=online"], "logger.wandb.mode=offline"),
    ],
)  # fmt: skip
def test_a_service_that_can_not_be_had(
    main: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, own_folder: Path,
    words: list[str], message: str,
) -> None:  # fmt: skip
    """One line, nothing left of a new run; one that is resumed stays as it was."""
    pytest.importorskip(words[0].removesuffix("]").rpartition(",")[2])
    monkeypatch.setenv("HOME", str(own_folder))
    monkeypatch.setenv("WANDB_MODE", "")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    small = ["env=bandit", "agent=epsilon_greedy", "env.horizon=20", "evaluation.every=null"]
    code, _, err = main("train", *small, *words, "total_steps=20", "run_dir=a")
    assert code == 2 and message in err and "Traceback" not in err and not Path("a").exists()
    assert err.splitlines()[-1].startswith("rlexp: logger.")
    assert main("train", *small, "logger=csv", "total_steps=20", "run_dir=b")[0] == 0
    files = [Path("b") / name for name in ("status.json", "config.yaml", "metrics.csv")]
    before = [file.read_text() for file in files]
    code, _, err = main("resume", "b", "total_steps=2000", *words)
    assert code == 2 and message in err and [file.read_text() for file in files] == before
    assert not Path("b/history.json").exists()
    assert main("resume", "b", "total_steps=2000")[0] == 0


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra rlexp[wandb] is not installed")
    from rlexp.loggers.wandb import WandbLogger

    monkeypatch.setenv("WANDB_SILENT", "true")
    _resumed(lambda: WandbLogger("here", "offline", gifs=True), tmp_path)
    parts = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(parts) == 2  # one a process, both of one run
    identity = (tmp_path / ".wandb-id").read_text()
    assert all(f"-{identity}" in part.name for part in parts)
    stored = b"".join(file.read_bytes() for p in parts for file in p.glob("*.wandb"))
    assert b"train/return" in stored and b"5.3" in stored
    assert list((tmp_path / "wandb").rglob("*.gif"))


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_service_that_is_not_installed(
    name: str, monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"pip install 'rlexp\[{name}\]'"):
        rlexp.train([f"logger=[csv,{name}]", "total_steps=20", "run_dir=run"])
    assert list(own_folder.iterdir()) == []
