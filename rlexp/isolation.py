"""Keeps Python away from a working directory that lies in somebody's run or sweep.

A run's folder is data, whoever made it. Python, Hydra, Git and Matplotlib all take code or settings
from the working directory; while that lies inside a run or a sweep, nothing is taken from it. This
module imports nothing but os and sys: it has to run before everything else.
"""

from __future__ import annotations

import os
import sys


def is_run(folder: str | os.PathLike[str]) -> bool:
    """Return True where a run of ours lies, also one that has only begun."""
    config, status, checkpoints = (
        os.path.join(folder, name) for name in ("config.yaml", "status.json", "checkpoints")
    )
    return os.path.isfile(config) and (os.path.isfile(status) or os.path.isdir(checkpoints))


def is_sweep(folder: str | os.PathLike[str]) -> bool:
    """Return True for the folder of a sweep or a search."""
    return any(os.path.isfile(os.path.join(folder, n)) for n in ("sweep.json", "search.json"))


def run_around(path: str | os.PathLike[str]) -> str | None:
    """Return the outermost run or sweep that a path lies in, or None."""
    around, folder = None, os.path.realpath(path)
    while True:
        if is_run(folder) or is_sweep(folder):
            around = folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return around
        folder = parent


def run_around_us() -> str | None:
    """Return the run or sweep that the working directory lies in, or None."""
    try:
        return run_around(os.getcwd())
    except OSError:  # it was deleted
        return None


def isolate() -> None:
    """Import nothing from a working directory inside a run or sweep, here and in child processes.

    UserError where Matplotlib would take settings from it, which may name modules.
    """
    folder = run_around_us()
    if folder is None:
        return
    os.environ["PYTHONSAFEPATH"] = "1"  # children of `python -m` and `-c` would put it first
    sys.path[:] = [entry for entry in sys.path if not _is_in(entry, folder)]
    if os.path.lexists("matplotlibrc"):
        from rlexp.errors import UserError

        raise UserError(
            f"{os.path.abspath('matplotlibrc')} lies in a run's folder, and Matplotlib would take "
            "its settings from there: work from another directory"
        )


def module_inside_run(module: str) -> str | None:
    """Return the file of a module's package if it lies in a run or sweep, else None."""
    from importlib.util import find_spec

    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    places = [spec.origin, *(spec.submodule_search_locations or [])] if spec else []
    for place in places:
        if place and os.path.exists(place) and not _is_ours(place) and run_around(place):
            return place
    return None


def _is_in(entry: str, folder: str) -> bool:
    """Say whether an entry of sys.path lies in `folder`, and Python itself and rlexp do not."""
    real = os.path.realpath(entry or os.getcwd())
    return (real == folder or real.startswith(folder + os.sep)) and not _is_ours(real)


def _is_ours(path: str) -> bool:
    """Say whether a path belongs to this Python, or holds the rlexp that is running."""
    real = os.path.realpath(path)
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix}
    return real == package or any(
        real == p or real.startswith(p + os.sep) for p in (*prefixes, os.path.realpath(sys.prefix))
    )
