"""MLflow. Thin: one run of theirs a run of ours, on the same axis of steps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rlexp.errors import UserError
from rlexp.loggers.base import About, Logger, flat

LONGEST = 6000  # characters of a parameter, as MLflow has it
MOST = 100  # parameters at a time


class MlflowLogger(Logger):
    """A resumed run goes on under its old id; what is logged again has the same step."""

    def __init__(self, tracking_uri: str, experiment: str, gifs: bool) -> None:
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric, Param
        except ImportError as ex:
            raise UserError(f"logger=mlflow needs it ({ex}): pip install 'rlexp[mlflow]'") from ex
        self.metric, self.param = Metric, Param
        try:
            self.client: Any = MlflowClient(tracking_uri=tracking_uri)
            found = self.client.get_experiment_by_name(experiment)
            self.experiment: str = (
                found.experiment_id if found else self.client.create_experiment(experiment)
            )
        except Exception as ex:  # of a library whose stores raise what theirs raise
            why = str(ex).strip().splitlines()[0]
            raise UserError(f"logger.mlflow.tracking_uri={tracking_uri}: {why}") from ex
        self.gifs = gifs
        self.id = ""

    def start(self, about: About) -> None:
        path = about.run.path.resolve()
        tags = {"sweep": path.parent.name, "directory": str(path)}
        known = about.run.identity("mlflow", "")
        if known:
            self.id = known
            self.client.update_run(self.id, status="RUNNING")
        else:
            made = self.client.create_run(self.experiment, run_name=path.name, tags=tags)
            self.id = about.run.identity("mlflow", made.info.run_id)
            values = {key: str(value)[:LONGEST] for key, value in flat(about.config).items()}
            params = [self.param(key, value or "''") for key, value in values.items()]
            for first in range(0, len(params), MOST):
                self.client.log_batch(self.id, params=params[first : first + MOST])

    def log(self, step: int, metrics: dict[str, float]) -> None:
        now = int(time.time() * 1000)
        batch = [self.metric(name, value, now, step) for name, value in metrics.items()]
        self.client.log_batch(self.id, metrics=batch)

    def gif(self, step: int, name: str, path: Path) -> None:
        if self.gifs and self.id:
            self.client.log_artifact(self.id, str(path), "media")

    def finish(self, metrics: dict[str, float]) -> None:
        now = int(time.time() * 1000)
        batch = [self.metric(name, value, now, 0) for name, value in metrics.items()]
        self.client.log_batch(self.id, metrics=batch)
        self.client.set_terminated(self.id, "FINISHED")
        self.id = ""

    def close(self) -> None:
        if self.id:  # it did not come to its end
            self.client.set_terminated(self.id, "KILLED")
            self.id = ""
