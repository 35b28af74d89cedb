"""One process at a time works on a sweep's directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlexp.directory_lock import hold
from rlexp.errors import UserError
from rlexp.run_dir import RunDir

_HELD: set[Path] = set()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold it, or go on holding it; UserError when another process does."""
    place = folder.absolute()
    if place in _HELD:
        yield
        return
    place.mkdir(parents=True, exist_ok=True)
    with hold(place, "sweep"):
        _HELD.add(place)
        try:
            yield
        finally:
            _HELD.remove(place)


def busy(run: RunDir) -> bool:
    """Some process has it: one of a sweep that was killed may still be saving."""
    try:
        run.refuse_in_use()
    except UserError:
        return True
    return False
