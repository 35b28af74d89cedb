"""TensorBoard events: metrics, hyperparameters, GIFs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.summary import hparams
from torch.utils.tensorboard.writer import SummaryWriter

from rlexp.loggers.base import About, Logger, flat


class TensorBoardLogger(Logger):
    """On resume TensorBoard is told to purge what lies past the checkpoint."""

    def __init__(self, gifs: bool) -> None:
        self.gifs = gifs
        self.writer: SummaryWriter | None = None
        self.config: dict[str, Any] = {}

    def start(self, about: About) -> None:
        again = about.step > 0 or any(about.run.tensorboard.glob("events*"))
        purge = about.step + 1 if again else None
        self.writer = SummaryWriter(str(about.run.tensorboard), purge_step=purge)
        self.config = about.config

    def log(self, step: int, metrics: dict[str, float]) -> None:
        assert self.writer is not None
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def gif(self, step: int, name: str, path: Path) -> None:
        if not self.gifs or self.writer is None:
            return
        # SummaryWriter.add_video would need moviepy; TensorBoard plays the GIF's bytes as they are.
        image = Summary.Image(encoded_image_string=path.read_bytes(), colorspace=3)
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        self._events().add_summary(summary, step)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        if self.writer is not None:
            self.writer.add_image(name, picture, step, dataformats="HWC")

    def _events(self) -> Any:
        assert self.writer is not None and self.writer.file_writer is not None
        return self.writer.file_writer

    def finish(self, metrics: dict[str, float]) -> None:
        assert self.writer is not None
        plain = (bool, int, float, str)
        values = {k: v if isinstance(v, plain) else str(v) for k, v in flat(self.config).items()}
        for summary in hparams(values, metrics):
            self._events().add_summary(summary)

    def flush(self) -> None:
        if self.writer is not None:
            self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
