"""One measure for all runs that stand beside each other, and which side of it is better."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rlexp.report.reading import SCORES, Run
from rlexp.safe_files import read_text


def common(runs: Sequence[Run]) -> str | None:
    """The metric to compare runs by that asked for none; None where nothing was measured.

    Finished runs decide, without any those that have begun: the first of SCORES that all of them
    have, else the one that most have. So no run's training stands beside another's evaluation.
    """
    deciding = [run for run in runs if run.state == "finished"] or list(runs)
    own = {run.measured for run in deciding}
    if len(own) == 1:
        return own.pop()
    having = [run.returns for run in deciding]
    known = dict.fromkeys([*SCORES, *(name for names in having for name in names)])
    best = max(known, key=lambda name: sum(name in names for names in having))
    return best if any(best in names for names in having) else None


def without(runs: Iterable[Run], metric: str | None) -> list[Run]:
    """Those that have no value of it."""
    return [run for run in runs if run.value(metric) is None]


def minimized(runs: Iterable[Run]) -> tuple[bool, list[str]]:
    """(whether the searches that made these runs want a low score, what is to be told of that)."""
    folders = dict.fromkeys(run.dir.path.absolute().parent for run in runs)
    notes: list[str] = []
    found = {_direction(folder, notes) for folder in folders} - {None}
    if len(found) > 1:
        notes.append(
            "some of these searches minimize the score, others maximize it: higher counts as "
            "better (better=lower turns it)"
        )
    return found == {"minimize"}, notes


def _direction(folder: Path, notes: list[str]) -> str | None:
    """Of a search's directory; None for any other."""
    file = folder / "search.json"
    try:
        found = json.loads(read_text(file, folder)).get("direction")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as ex:
        notes.append(f"{file}: can't be read, so a higher score counts as better: {ex}")
        return None
    return found if found in ("minimize", "maximize") else None
