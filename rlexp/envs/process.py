"""A RowGroup in a process of its own, for games that hold Python's lock while they step."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from rlexp.envs.vector import Game, RowGroup


def _work(pipe: Connection, makers: bytes) -> None:
    """The child: one call after the other until it is told to close."""
    group: RowGroup | None = None
    try:
        group = RowGroup(pickle.loads(makers))  # from our own parent process
        pipe.send((True, None))
        while True:
            method, arguments = pipe.recv()
            if method == "close":
                break
            try:
                pipe.send((True, getattr(group, method)(*arguments)))
            except Exception as ex:
                pipe.send((False, ex))
    except (EOFError, KeyboardInterrupt):
        pass  # the parent is gone, or says so itself
    except Exception as ex:
        pipe.send((False, ex))
    finally:
        if group is not None:
            group.close()


class ProcessGroup:
    """Forwards RowGroup's methods to a child process; the child's exceptions rise here."""

    def __init__(self, makers: Sequence[Callable[[], Game]]) -> None:
        # "spawn": a forked torch can deadlock, and macOS and Windows know nothing else.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        data = pickle.dumps(list(makers))
        self.process = context.Process(target=_work, args=(theirs, data), daemon=True)
        self.process.start()
        theirs.close()
        self._answer()

    def _answer(self) -> Any:
        try:
            good, value = self.pipe.recv()
        except EOFError:
            self.process.join(1)
            code = self.process.exitcode
            raise RuntimeError(f"an environment process died (exit code {code})") from None
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
