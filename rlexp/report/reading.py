"""Runs as others left them: config, status, metrics, overrides, system; torch-free.

Nothing in a run's directory may end the command that reads it: what can't be read is named and
left out.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rlexp import run_dir
from rlexp.errors import UserError
from rlexp.printable import cleaned, one_line, printable
from rlexp.report import series
from rlexp.report.series import Series
from rlexp.run_dir import OUTPUTS, RunDir
from rlexp.system import capped

SCORES = ("eval/return_mean", "train/return", "train/episode_return")
SEATS = "train/return/"  # of a game with several seats: one for each


@dataclass
class Run:
    """One run. What is read is kept; `problems` names what could not be."""

    dir: RunDir
    name: str
    problems: list[str] = field(default_factory=list)

    @cached_property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = cleaned(self.dir.read_status())
        if found["state"] == "unknown" and self.dir.status.exists():
            self._problem(self.dir.status, "it holds no run's state")
        return found

    @property
    def state(self) -> str:
        """As in status.json; "died" for one that says it runs but whose process is gone."""
        state = str(self.status["state"])
        if state == "running" and self._gone():
            return "died"
        return state

    def _gone(self) -> bool:
        pid = self.status.get("pid")
        if self.status.get("host", "") != platform.node() or not isinstance(pid, int) or pid < 1:
            return False  # on another machine: nobody here can tell
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass
        return False

    @property
    def steps(self) -> int:
        return int(_number(self.status.get("steps")) or 0)

    @property
    def total(self) -> int:
        """Steps it is to make; 0: not known, or counted by episodes alone."""
        return int(_number(self.config.get("total_steps")) or 0)

    @property
    def time(self) -> float:
        """Seconds since 1970: when its status was last written."""
        return _number(self.status.get("time")) or 0.0

    @property
    def error(self) -> str | None:
        error = self.status.get("error")
        return str(error) if error else None

    @cached_property
    def config(self) -> dict[str, Any]:
        """{"agent.lr": 0.001, …}; empty where config.yaml can't be read."""
        try:
            return flat(self._yaml(self.dir.config, dict))
        except RecursionError:
            self._problem(self.dir.config, "it holds itself")
            return {}

    @cached_property
    def overrides(self) -> list[str]:
        return [str(o) for o in self._yaml(self.dir.overrides, list)]

    @cached_property
    def system(self) -> dict[str, Any]:
        try:
            found = json.loads(self.dir.read_text(self.dir.system))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as ex:
            self._problem(self.dir.system, ex)
            return {}
        if not isinstance(found, dict):
            self._problem(self.dir.system, "it holds something else")
            return {}
        patch = found.get("git_patch")
        if isinstance(patch, str):  # earlier versions wrote diffs of any size
            found["git_patch"] = capped(patch)
        known: dict[str, Any] = cleaned(found)
        return known

    @cached_property
    def series(self) -> Series:
        """Everything of metrics.csv."""
        return series.read(self.dir.metrics)

    @cached_property
    def tail(self) -> Series:
        """The end of metrics.csv."""
        return series.tail(self.dir.metrics)

    @property
    def score(self) -> float | None:
        """Its last evaluation's mean return, or training's: what `rlexp train` said at its end; of
        a run that is not finished what it logged last. Runs beside each other are to be compared
        by one metric: score.common says which, `value` gives it."""
        return self.value(self.measured)

    @cached_property
    def measured(self) -> str | None:
        """The metric that its score is the last value of; None where it has logged none."""
        told = self.status.get("metric")
        if isinstance(told, str):
            return told
        names = self._series.columns
        evaluated = SCORES[0] in names
        if not evaluated and _number(self.status.get("score")) is not None:
            # metrics.csv may be cut, or none: a run that evaluates does so at its end, too.
            evaluated = bool(self.config.get("evaluation.every"))
        known = [SCORES[0]] * evaluated + [name for name in SCORES if name in names]
        return next(iter(known + [n for n in names if n.startswith(SEATS)]), None)

    @property
    def returns(self) -> list[str]:
        """Every metric that could be its score."""
        names = [n for n in self._series.columns if n in SCORES or n.startswith(SEATS)]
        return list(dict.fromkeys([*names, *filter(None, [self.measured])]))

    @property
    def _series(self) -> Series:
        """As much as was read already, else the end."""
        found: Series | None = self.__dict__.get("series")
        return self.tail if found is None else found

    def value(self, metric: str | None) -> float | None:
        """The last value of a metric; of the one that its score is of, its score."""
        if metric is None:
            return None
        if metric == self.measured:
            score = _number(self.status.get("score"))
            if score is not None:
                return score
        last = self._series.last(metric)
        if last is None and metric in self._series.columns:
            last = self.series.last(metric)  # logged so seldom that the end holds none
        return last

    @property
    def seed(self) -> Any:
        seed = self.config.get("seed")
        return seed if seed is None or isinstance(seed, int) else str(seed)

    def _yaml(self, path: Path, kind: type) -> Any:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            found = yaml.load(self.dir.read_text(path), loader)
        except FileNotFoundError:
            return kind()
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as ex:
            self._problem(path, ex)
            return kind()
        if found is not None and not isinstance(found, kind):
            self._problem(path, "it holds something else")
            return kind()
        return cleaned(found) or kind()

    def _problem(self, path: Path, why: object) -> None:
        lines = (getattr(why, "strerror", None) or str(why)).strip().splitlines() or ["?"]
        self.problems.append(printable(f"{path}: can't be read: {lines[0]}"))


def find(paths: Sequence[str], none: bool = False) -> list[Run]:
    """The runs of what a user typed: runs, sweeps, folders of either, or a prefix of a run's name.

    UserError where nothing is found; with `none` an empty folder is an answer.
    """
    from rlexp.locate import locate

    found: dict[Path, Run] = {}
    for text in paths or [str(OUTPUTS)]:
        path = Path(text)
        runs = list(run_dir.find(path)) if path.is_dir() else []
        if not runs and none and (path.is_dir() or not paths):
            continue
        if not runs:
            if path.is_dir():
                raise UserError(f"{text} holds no runs")
            runs = [locate(text).run]
        for run in runs:
            found.setdefault(run.path.resolve(), Run(run, one_line(str(run.path))))
    return list(found.values())


def shorten(runs: Iterable[Run]) -> str:
    """Take what all names begin with off them; gives that beginning ("" or "outputs/…/")."""
    runs = list(runs)
    parents = [str(run.dir.path.parent) for run in runs]
    if not parents or len({Path(p).is_absolute() for p in parents}) > 1:
        return ""
    common = os.path.commonpath(parents)
    if common in ("", "/"):
        return ""
    for run in runs:
        run.name = one_line(os.path.relpath(run.dir.path, common))
    return one_line(common) + "/"


def problems(runs: Iterable[Run]) -> list[str]:
    """What could not be read of them, as far as they were read."""
    found = []
    for run in runs:
        found += run.problems
        for read in ("series", "tail"):
            read_series = run.__dict__.get(read)
            if read_series is not None and read_series.problem:
                found.append(printable(f"{run.dir.metrics}: {read_series.problem}"))
                break
    return found


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dicts → {"agent.lr": …}; lists stay as they are."""
    found: dict[str, Any] = {}
    for name, value in tree.items() if isinstance(tree, dict) else ():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < series.LARGEST else None  # false of NaN, too
