"""Writes checkpoints while training goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from rlexp import checkpoint, step_folders
from rlexp.clock import Clock
from rlexp.run_dir import RunDir
from rlexp.schemas.run import CheckpointConfig
from rlexp.step_folders import step_of
from rlexp.types import State


class Saver:
    """Copies a state, then writes it in a thread; keeps the newest few; links `last` and `best`.

    A name appears only once its checkpoint is whole. What goes wrong in the thread rises at the
    next `poll` or `join` (checkpoint.CannotSave when the disk is full).
    """

    def __init__(self, config: CheckpointConfig, run: RunDir) -> None:
        self.config, self.run = config, run
        self.pool = ThreadPoolExecutor(1, "rlexp-save")
        self.future: Future[None] | None = None

    def save(self, state: State, clock: Clock) -> None:
        """Everything that is needed to go on."""
        folder = self.run.checkpoint(clock.steps)

        def then() -> None:
            self.run.link("last", folder)
            for old in self.run.full_checkpoints()[: -self.config.keep]:
                step_folders.remove(old)
            self._drop_old_bests()

        self._start(folder, state, clock, False, then)

    def save_best(self, state: State, clock: Clock) -> None:
        """Weights alone, so that a long run's best costs little."""
        folder = self.run.best(clock.steps)

        def then() -> None:
            self.run.link("best", folder)

        self._start(folder, state, clock, True, then)

    def _drop_old_bests(self) -> None:
        """Keep what was best at each checkpoint that is kept: the run may go on, or be forked, from
        any of them."""
        kept = [step_of(path) for path in self.run.full_checkpoints()]
        bests = self.run.bests()
        needed = []
        for step in kept:
            needed += [path for path in bests if step_of(path) <= step][-1:]
        for path in bests:
            if path not in needed and step_of(path) < max(kept):
                step_folders.remove(path)

    def archive(self, state: State, clock: Clock) -> None:
        """Weights alone, kept for ever."""
        self._start(self.run.archive(clock.steps), state, clock, True, lambda: None)

    def _start(
        self,
        folder: Path,
        state: State,
        clock: Clock,
        weights_only: bool,
        then: Callable[[], None],
    ) -> None:
        self.join()
        snap = checkpoint.snapshot(
            state, clock.steps, clock.episodes, self.run.checkpoints, weights_only
        )

        def work() -> None:
            checkpoint.write(folder, snap)
            try:
                then()
            except OSError as ex:
                raise checkpoint.CannotSave(f"can't write to {self.run.checkpoints}: {ex}") from ex

        self.future = self.pool.submit(work)

    def poll(self) -> None:
        """Learn early of a save that failed; costs nothing."""
        if self.future is not None and self.future.done():
            self.join()

    def join(self) -> None:
        """Wait until what was saved is on the disk."""
        if self.future is not None:
            future, self.future = self.future, None
            future.result()
