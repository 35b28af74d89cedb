"""Weights & Biases. Thin: one run of theirs a run of ours, on the same axis of steps."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from rlexp.errors import UserError
from rlexp.loggers.base import About, Logger


class WandbLogger(Logger):
    """A resumed run goes on under its old id; what is logged again has the same step.

    Their service can't forget values: those past the checkpoint are there twice, the later ones
    being the run's.
    """

    def __init__(self, project: str | None, mode: str, gifs: bool) -> None:
        try:
            import wandb
        except ImportError as ex:
            raise UserError(f"logger=wandb needs it ({ex}): pip install 'rlexp[wandb]'") from ex
        os.environ.setdefault("WANDB_SILENT", "true")  # the login, which knows no settings of a run
        self.wandb: Any = wandb
        self.project, self.mode, self.gifs = project, mode, gifs
        self.run: Any = None

    def start(self, about: About) -> None:
        path = about.run.path.resolve()
        try:
            self.run = self.wandb.init(
                project=self.project,
                mode=self.mode,
                name=path.name,
                group=path.parent.name,
                id=about.run.identity("wandb", secrets.token_hex(4)),
                resume="allow",
                dir=str(path),
                config=about.config,
                settings=self.wandb.Settings(console="off", silent=True),
            )
        except Exception as ex:  # no login, no network, no such project: theirs to raise
            why = (str(ex).strip().splitlines() or [type(ex).__name__])[0].rstrip(".")
            raise UserError(
                f"logger.wandb.mode={self.mode}: {why}. Without a login or a network: "
                "logger.wandb.mode=offline, then `wandb sync`"
            ) from ex
        self.run.define_metric("*", step_metric="step")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.run.log({"step": step, **metrics})

    def gif(self, step: int, name: str, path: Path) -> None:
        if self.gifs and self.run is not None:
            self.run.log({"step": step, name: self.wandb.Video(str(path), format="gif")})

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        if self.run is not None:
            self.run.log({"step": step, name: self.wandb.Image(picture)})

    def finish(self, metrics: dict[str, float]) -> None:
        self.run.summary.update(metrics)

    def close(self) -> None:
        if self.run is not None:
            self.run.finish()
            self.run = None
