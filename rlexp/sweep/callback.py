"""Remembers a sweep's directory: Hydra tells it to callbacks, and not to who started it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

folder: Path | None = None
figure: str | None = None


class Remember(Callback):
    def on_multirun_start(self, config: Any, **_: Any) -> None:
        global folder, figure
        folder, figure = Path(str(config.hydra.sweep.dir)), config.sweep_figure
