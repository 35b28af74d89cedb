"""A RowGroup in a process of its own, for games that hold Python's lock while they step."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any

from rlexp.envs.vector import Game, RowGroup
from rlexp.errors import RunStopped, UserError
from rlexp.interrupt import STOPPING
from rlexp.parent_process import die_when_closed


def _work(pipe: Connection, makers: bytes) -> None:
    """The child: one call after the other until it is told to close."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    die_when_closed(parent.sentinel)
    for number in STOPPING:  # a terminal or a job manager sends them to all: the parent decides
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    group: RowGroup | None = None
    notes: list[str] = []
    _keep_warnings(notes)

    def answer(good: bool, value: Any) -> None:
        pipe.send((good, value, list(notes)))
        notes.clear()

    try:
        group = RowGroup(pickle.loads(makers))  # from our own parent process
        answer(True, None)
        while True:
            method, arguments = pipe.recv()
            if method == "close":
                break
            try:
                answer(True, getattr(group, method)(*arguments))
            except Exception as ex:
                answer(False, _portable(ex))
    except EOFError:
        pass  # the parent is gone
    except Exception as ex:
        answer(False, _portable(ex))
    finally:
        if group is not None:
            group.close()


def _portable(ex: Exception) -> Exception:
    """The exception with its traceback as a note, if it survives the pipe; else one that does.

    What is told in one line keeps to it.
    """
    if isinstance(ex, UserError | RunStopped):
        return ex
    ex.add_note("In the environment's process:\n" + "".join(traceback.format_exception(ex)))
    try:
        pickle.loads(pickle.dumps(ex))
    except Exception:
        told = RuntimeError(f"{type(ex).__name__}: {ex}")
        told.__notes__ = ex.__notes__
        return told
    return ex


def _keep_warnings(notes: list[str]) -> None:
    """Our own warnings are the parent's to tell, which knows what it has told already."""
    before = warnings.showwarning

    def show(message: Any, category: Any, filename: str, *rest: Any, **more: Any) -> None:
        if "rlexp" in filename:
            notes.append(str(message))
        else:
            before(message, category, filename, *rest, **more)

    warnings.showwarning = show


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Let a child import from where its parent does, not from the working directory first."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Let a child begin with the signals blocked that it is going to ignore.

    One that came while its interpreter starts would end it, and the parent could not save.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ProcessGroup:
    """Forwards RowGroup's methods to a child process; the child's exceptions rise here."""

    def __init__(self, makers: Sequence[Callable[[], Game]]) -> None:
        # "spawn": a forked torch can deadlock, and macOS and Windows know nothing else.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        data = pickle.dumps(list(makers))
        self.process = context.Process(target=_work, args=(theirs, data), daemon=True)
        with _safe_path(), _signals_wait():
            self.process.start()
        # Whoever loses it or exits without closing it: the process heeds no SIGTERM.
        self._kill = Finalize(self, self.process.kill, exitpriority=10)
        theirs.close()
        self._answer()

    def _answer(self) -> Any:
        try:
            good, value, notes = self.pipe.recv()
        except EOFError:
            self.process.join(1)
            raise RunStopped(f"an environment's process {_end(self.process.exitcode)}") from None
        for note in notes:
            warnings.warn(note, stacklevel=1)
        if not good:
            raise value
        return value

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)

        def call(*arguments: Any) -> Any:
            self.pipe.send((method, arguments))
            return self._answer()

        return call

    def close(self) -> None:
        try:
            self.pipe.send(("close", ()))
        except (BrokenPipeError, OSError):
            pass
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()


def _end(code: int | None) -> str:
    """How a process ended that nobody told to."""
    if code is None:
        return "no longer answers"
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        return f"was killed by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
    return f"ended by itself with exit code {code}: its code called os._exit"
