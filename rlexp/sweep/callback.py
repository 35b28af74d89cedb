"""Remembers a sweep's directory: Hydra tells it to callbacks, and not to who started it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import read_write
from omegaconf.errors import OmegaConfBaseException

from rlexp.run_dir import RunDir
from rlexp.sweep.jobs import MANIFEST
from rlexp.sweep.lock import busy

folder: Path | None = None
figure: str | None = None
run_directory = "."  # what hydra.run.dir was given as


def remove_if_nothing_ran(folder: Path) -> None:
    """What a sweep writes before its launcher takes over: its jobs, Hydra's note, and a lock."""
    ours = {MANIFEST, "multirun.yaml", ".lock"}
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if found and found <= ours and not busy(RunDir(folder)):  # another process may just begin there
        for name in ours:
            (folder / name).unlink(missing_ok=True)
        for empty in (folder, folder.parent, folder.parent.parent):
            if empty.resolve() == Path.cwd() or any(empty.iterdir()):
                break
            empty.rmdir()


class Remember(Callback):
    def on_run_start(self, config: Any, **_: Any) -> None:
        """Keep Hydra from making a directory of its own beside the run's."""
        global run_directory
        with suppress(OmegaConfBaseException):  # as below
            run_directory = str(config.hydra.run.dir)
            with read_write(config.hydra.run):
                config.hydra.run.dir = "."

    def on_multirun_start(self, config: Any, **_: Any) -> None:
        global folder, figure
        # A mistake in either is raised again by Hydra; of one from here it would only warn.
        with suppress(OmegaConfBaseException):
            folder, figure = Path(str(config.hydra.sweep.dir)), config.sweep_figure
