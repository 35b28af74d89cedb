"""The processes of a sweep's runs: started, stopped together, and ended with the sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from rlexp import safe_files
from rlexp.interrupt import Interrupts
from rlexp.parent_process import SWEEP_CHILD


class Processes:
    """Runs as processes, which save and leave when the sweep is stopped, or is gone.

    Each has a pipe as its standard input that tells it so by closing: a signal that is handed on
    could be its second one, if a terminal or a job manager sends the first to all processes. A
    second signal to the sweep kills them.
    """

    def __init__(self) -> None:
        self.interrupts = Interrupts(self.kill)
        self._pipes: dict[subprocess.Popen[bytes], int | None] = {}  # None: closed
        self._suspended_by: Any = None

    def __enter__(self) -> Processes:
        self.interrupts.__enter__()
        suspend = getattr(signal, "SIGTSTP", None)
        with suppress(ValueError):  # not in the main thread
            if suspend is not None and signal.getsignal(suspend) is signal.SIG_DFL:
                self._suspended_by = signal.signal(suspend, self._suspend)
        return self

    @property
    def stopping(self) -> bool:
        return self.interrupts.number is not None

    @property
    def running(self) -> list[subprocess.Popen[bytes]]:
        return list(self._pipes)

    def start(
        self, arguments: Sequence[str], log: Path, **variables: str
    ) -> subprocess.Popen[bytes]:
        """Begin `rlexp ARGUMENTS`, whose output is added to a file."""
        read_end, write_end = os.pipe()
        environment = {**os.environ, **variables, SWEEP_CHILD: str(os.fstat(read_end).st_ino)}
        environment.pop("HYDRA_FULL_ERROR", None)
        try:
            with open(log, "ab", opener=safe_files.no_follow) as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "rlexp.cli", *arguments],
                    env=environment,
                    stdin=read_end,
                    stdout=output,
                    stderr=output,
                    process_group=0,  # what a terminal sends reaches the sweep alone
                )
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        self._pipes[process] = write_end
        return process

    def ended(self) -> list[subprocess.Popen[bytes]]:
        """Return the processes that have ended since the last call."""
        ended = [process for process in self._pipes if process.poll() is not None]
        for process in ended:
            pipe = self._pipes.pop(process)
            if pipe is not None:
                os.close(pipe)
        return ended

    def stop(self) -> bool:
        """Tell all to save and leave; False where they were told before."""
        new = False
        for process, pipe in self._pipes.items():
            if pipe is not None:
                os.close(pipe)
                self._pipes[process], new = None, True
        return new

    def _wait(self) -> None:
        while self._pipes:
            self.ended()
            time.sleep(0.05)

    def kill(self) -> None:
        """End all at once, with the processes that they have started."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for process in self.running:
            with suppress(OSError):
                if process.returncode is None:
                    os.killpg(process.pid, number)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z suspends the runs, too, until the shell lets the sweep continue."""
        self._signal(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._signal(signal.SIGCONT)

    def __exit__(self, kind: Any, ex: BaseException | None, traceback: Any) -> None:
        try:
            if isinstance(ex, KeyboardInterrupt):
                self.kill()
            self.stop()
            try:
                self._wait()
            except KeyboardInterrupt:
                self.kill()
                self._wait()
                raise
        finally:
            if self._suspended_by is not None:
                signal.signal(signal.SIGTSTP, self._suspended_by)
            self.interrupts.__exit__(kind, ex, traceback)
