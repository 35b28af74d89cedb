"""Remembers a sweep's directory: Hydra tells it to callbacks, and not to who started it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from rlexp.run_dir import RunDir
from rlexp.sweep.lock import busy

folder: Path | None = None
figure: str | None = None


def remove_if_nothing_ran(folder: Path) -> None:
    """Hydra writes multirun.yaml before the runs' configs are looked at; and it was locked."""
    ours = {"multirun.yaml", ".lock"}
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if found and found <= ours and not busy(RunDir(folder)):  # another process may just begin there
        for name in ours:
            (folder / name).unlink(missing_ok=True)
        for empty in (folder, folder.parent, folder.parent.parent):
            if empty.resolve() == Path.cwd() or any(empty.iterdir()):
                break
            empty.rmdir()


class Remember(Callback):
    def on_multirun_start(self, config: Any, **_: Any) -> None:
        global folder, figure
        folder, figure = Path(str(config.hydra.sweep.dir)), config.sweep_figure
