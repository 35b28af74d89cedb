"""MLflow. Thin: one run of theirs a run of ours, on the same axis of steps."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlexp.errors import UserError
from rlexp.loggers.base import About, Logger, flat
from rlexp.run_dir import write_text
from rlexp.safe_files import read_text

LONGEST = 6000  # characters of a parameter, as MLflow has it
MOST = 100  # parameters at a time
STORE = ".mlflow-store"  # what was asked for, and which store that was
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


class MlflowLogger(Logger):
    """A resumed run goes on under its old id; what is logged again has the same step."""

    def __init__(self, tracking_uri: str, experiment: str, gifs: bool) -> None:
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric, Param
        except ImportError as ex:
            raise UserError(f"logger=mlflow needs it ({ex}): pip install 'rlexp[mlflow]'") from ex
        self.metric, self.param, self.connect = Metric, Param, MlflowClient
        self.asked, self.name, self.gifs = tracking_uri, experiment, gifs
        self.client: Any = None
        self.id = ""

    def start(self, about: About) -> None:
        uri, again = store(about.run.path, self.asked)
        write_text(about.run.path / STORE, f"{self.asked}\n{uri}\n")
        try:
            with impatient():
                self.client = self.connect(tracking_uri=uri)
                self._begin(about, again)
        except Exception as ex:  # of a library whose stores raise what theirs raise
            why = (str(ex).strip().splitlines() or [type(ex).__name__])[0]
            raise UserError(
                f"logger.mlflow.tracking_uri={uri}: {why}. A file needs no server: "
                "logger.mlflow.tracking_uri=sqlite:///mlflow.db"
            ) from ex

    def _begin(self, about: About, again: bool) -> None:
        path = about.run.path.resolve()
        known = about.run.identity("mlflow", "") if again else ""
        if known:
            self.client.update_run(known, status="RUNNING")
            self.id = known
            return
        found = self.client.get_experiment_by_name(self.name)
        place = found.experiment_id if found else self.client.create_experiment(self.name)
        tags = {"sweep": path.parent.name, "directory": str(path)}
        made = self.client.create_run(place, run_name=path.name, tags=tags)
        self.id = made.info.run_id
        write_text(about.run.path / ".mlflow-id", self.id)
        values = {key: str(value)[:LONGEST] for key, value in flat(about.config).items()}
        params = [self.param(key, value or "''") for key, value in values.items()]
        for first in range(0, len(params), MOST):
            self.client.log_batch(self.id, params=params[first : first + MOST])

    def log(self, step: int, metrics: dict[str, float]) -> None:
        now = int(time.time() * 1000)
        batch = [self.metric(name, value, now, step) for name, value in metrics.items()]
        with impatient():
            self.client.log_batch(self.id, metrics=batch)

    def gif(self, step: int, name: str, path: Path) -> None:
        if self.gifs and self.id:
            with impatient():
                self.client.log_artifact(self.id, str(path), "media")

    def finish(self, metrics: dict[str, float]) -> None:
        now = int(time.time() * 1000)
        batch = [self.metric(name, value, now, 0) for name, value in metrics.items()]
        with impatient():
            self.client.log_batch(self.id, metrics=batch)
            self.client.set_terminated(self.id, "FINISHED")
        self.id = ""

    def close(self) -> None:
        if self.id:  # it did not come to its end
            with impatient():
                self.client.set_terminated(self.id, "KILLED")
            self.id = ""


@contextmanager
def impatient() -> Iterator[None]:
    """Learn in seconds that a server is not there: MLflow asks for four minutes, and training would
    wait. What could not be logged is tried again later. What the user has set stays."""
    urllib3 = logging.getLogger("urllib3")
    level, own = urllib3.level, RETRIES in os.environ
    urllib3.setLevel(logging.ERROR)  # a warning a try
    os.environ.setdefault(RETRIES, "2")
    try:
        yield
    finally:
        urllib3.setLevel(level)
        if not own:
            del os.environ[RETRIES]


def store(run: Path | None, asked: str) -> tuple[str, bool]:
    """(where a run's metrics are kept, whether it is there already): what is relative is so to the
    directory in which the run first began, wherever it is resumed."""
    file = run / STORE if run is not None else None
    before, known = "", ""
    if run is not None and file is not None and file.is_file():
        before, _, known = read_text(file, run).strip().partition("\n")
    if known and before == asked:
        return known, True
    return absolute(asked), not before  # a run from before there was this file has its id alone


def absolute(uri: str) -> str:
    """A store in files with its whole path; servers and databases elsewhere as they are.

    sqlite:///mlflow.db, file:mlruns and ./mlruns are relative to the working directory.
    """
    found = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/:].*)", uri)
    if found:
        return found[1] + os.path.abspath(found[2])
    if uri.startswith("file:") and not uri.startswith("file:/"):
        return "file://" + os.path.abspath(uri.removeprefix("file:"))
    if ":" in uri or uri.startswith("databricks") or not uri:
        return uri
    return os.path.abspath(uri)
