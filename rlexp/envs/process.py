"""A RowGroup in a process of its own, for games that hold Python's lock while they step."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from rlexp.envs.vector import Game, RowGroup


def _work(pipe: Connection, makers: bytes) -> None:
    """The child: one call after the other until it is told to close."""
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
                answer(False, ex)
    except (EOFError, KeyboardInterrupt):
        pass  # the parent is gone, or says so itself
    except Exception as ex:
        answer(False, ex)
    finally:
        if group is not None:
            group.close()


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


class ProcessGroup:
    """Forwards RowGroup's methods to a child process; the child's exceptions rise here."""

    def __init__(self, makers: Sequence[Callable[[], Game]]) -> None:
        # "spawn": a forked torch can deadlock, and macOS and Windows know nothing else.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        data = pickle.dumps(list(makers))
        self.process = context.Process(target=_work, args=(theirs, data), daemon=True)
        with _safe_path():
            self.process.start()
        theirs.close()
        self._answer()

    def _answer(self) -> Any:
        try:
            good, value, notes = self.pipe.recv()
        except EOFError:
            self.process.join(1)
            code = self.process.exitcode
            raise RuntimeError(f"an environment process died (exit code {code})") from None
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
            self.process.terminate()
