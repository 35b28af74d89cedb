"""`rlexp runs`: a table of runs, filtered and sorted."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlexp import strict_json
from rlexp.commands.common import is_setting, told
from rlexp.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from rlexp.report.reading import Run

HELP = """\
usage: rlexp runs [DIR …] [key=value …] [sort=COLUMN] [show=KEY,…] [limit=N] [--json]

  rlexp runs                                   everything under outputs/, the newest last
  rlexp runs SWEEP sort=-return limit=5        the five best of a sweep
  rlexp runs state=failed,died                 what went wrong
  rlexp runs agent.name=ppo agent.lr=1e-3      by keys of their configs; name=*seed=0* by name
  rlexp runs SWEEP show=agent.lr,seed          more columns

Columns: state, steps, return, age, name. The return is one metric of all these runs, named below
the table: eval/return_mean (of the last evaluation) where all finished ones have it, else
train/return; a run without it has a dash. A run that died says so. sort=-COLUMN turns the order.
"""
COLUMNS = ("state", "steps", "return", "age", "name")
OWN = ("sort", "show", "limit")


def main(argv: Sequence[str]) -> int:
    if "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0
    return told(lambda: _runs(argv))


def _runs(argv: Sequence[str]) -> None:
    from rlexp.report import reading, score, table

    flags = [arg for arg in argv if arg.startswith("-") and arg != "--json"]
    if flags:
        raise UserError(f"unknown flag {flags[0]}: rlexp runs knows --json and --help")
    given = dict(arg.split("=", 1) for arg in argv if is_setting(arg))
    paths = [arg for arg in argv if not is_setting(arg) and arg != "--json"]
    own = {name: given.pop(name) for name in OWN if name in given}
    shown = [key for key in own.get("show", "").split(",") if key]
    runs = reading.find(paths, none=True)
    start = reading.shorten(runs)
    total = len(runs)
    for key in [*given, *shown, own.get("sort", "").removeprefix("-")]:
        _check(key, runs)
    wanted = given.pop("return", None)
    runs = [run for run in runs if all(_fits(_value(run, k, None), v) for k, v in given.items())]
    metric = score.common(runs)
    if wanted is not None:
        runs = [run for run in runs if _fits(run.value(metric), wanted)]
    sort = own.get("sort", "-age")
    column = sort.removeprefix("-")
    runs.sort(key=lambda run: _rank(_value(run, column, metric), column == "age"),
              reverse=sort.startswith("-"))  # fmt: skip
    runs = runs[: _limit(own.get("limit"))] if "sort" in own else _last(runs, own.get("limit"))
    columns = [*COLUMNS[:-1], *shown, COLUMNS[-1]]
    if "--json" in argv:
        print(
            strict_json.dumps(
                [{c: _value(run, c, metric) for c in columns} for run in runs], indent=1
            )
        )
    elif runs:
        rows = [[_text(_value(run, c, metric), c) for c in columns] for run in runs]
        print("\n".join(table.lines(columns, rows, left=("state",))))
    count = f"{len(runs)}" if len(runs) == total else f"{len(runs)} of {total}"
    place = f" in {start}" if start else ""
    about = f"; return: {metric}" if runs and metric else ""
    print(f"rlexp: {count} run{'s' * (count != '1')}{place}{about}", file=sys.stderr)
    for problem in reading.problems(runs):
        print(f"rlexp: {problem}", file=sys.stderr)


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"limit={text} must be a whole number, at least 1")
    return int(text)


def _last(runs: list[Run], limit: str | None) -> list[Run]:
    count = _limit(limit)
    return runs if count is None else runs[-count:]


def _check(key: str, runs: list[Run]) -> None:
    """UserError for a key that no run has."""
    if not key or key in COLUMNS or not runs or any(key in run.config for run in runs):
        return
    known = {*COLUMNS, *(key for run in runs[:20] for key in run.config)}
    raise UserError(f"no run has a key {key!r}.{did_you_mean(key, known)}")


def _value(run: Run, column: str, metric: str | None) -> Any:
    """`metric`: what "return" is of all runs."""
    ours = {"state": run.state, "steps": run.steps, "age": run.time, "name": run.name}
    if column == "return":
        return run.value(metric)
    return ours[column] if column in ours else run.config.get(column)


def _text(value: Any, column: str) -> str:
    from rlexp.report import table

    if column == "steps":
        return f"{value:,}"
    if column == "age":
        return table.age(value)
    if column == "return":
        return table.number(value)
    return "-" if value is None else str(value)


def _fits(value: Any, wanted: str) -> bool:
    """Any of the alternatives: the same number, the same word, or a pattern (*)."""
    if isinstance(value, list):
        return str(value).replace(" ", "") == wanted.replace(" ", "")
    for option in wanted.split(","):
        number = _as_number(option)
        if number is not None and isinstance(value, int | float):
            if value == number:
                return True
        elif fnmatch.fnmatchcase(_plain(value), option):
            return True
    return False


def _plain(value: Any) -> str:
    return "null" if value is None else str(value).lower() if value in (True, False) else str(value)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _rank(value: Any, age: bool) -> tuple[bool, float, str]:
    """What is missing comes first, numbers before words; -age is the newest last."""
    if age:
        value = -value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (value is not None, 0.0, "" if value is None else str(value))
    return (True, float(value), "")
