"""claims.yaml, and what was measured of it: benchmarks/results/NAME.json."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from claims import fields
from rlexp.errors import UserError, did_you_mean
from rlexp.report import bootstrap, table
from rlexp.run_dir import write_text

SOURCES = ("json", "metric", "printed", "file", "passes")
FIGURE = {*SOURCES, "pattern", "reaches", "in", "floor", "ceiling", "holds", "unit", "what"}
RECORD = {"seed", "figures", "seconds", "date", "commit", "changed", "machine", "load"}
CLAIM = {"what", "commands", "seeds", "figures", "minutes", "covers", "earlier"}


def number(value: float) -> str:
    """Four digits; large ones with their thousands."""
    rounded = float(f"{value:.4g}")
    return f"{rounded:,.0f}" if 1000 <= abs(value) < math.inf else table.number(value)


def middle(values: Sequence[float], unit: str = "") -> str:
    """IQM, unit and 95 % interval; of runs that all came so far."""
    if not all(map(math.isfinite, values)):
        return f"not reached on {sum(not math.isfinite(v) for v in values)} of {len(values)}"
    shown = f"{number(bootstrap.iqm_of([values]))}{unit}"
    interval = bootstrap.interval([values])
    return f"{shown} ({number(interval[0])} … {number(interval[1])})" if interval else shown


@dataclass(frozen=True)
class Figure:
    """One number of a claim: where it is read, and what it must be."""

    name: str
    what: str
    read: Mapping[str, Any]  # one of SOURCES, and what goes with it
    limit: float
    upper: bool  # the limit is a ceiling, else a floor
    holds: str | int  # "each" run, the "iqm", or at least so many runs
    unit: str

    @property
    def bound(self) -> str:
        """What is claimed, in words."""
        if "passes" in self.read:
            return "passes"
        where = {"each": "each", "iqm": "IQM"}.get(str(self.holds), f"{self.holds} or more")
        return f"{'≤' if self.upper else '≥'} {number(self.limit)}{self.unit}, {where}"

    def within(self, value: float) -> bool:
        return value <= self.limit if self.upper else value >= self.limit

    def untrue(self, values: Sequence[float], to_come: int) -> str | None:
        """Why these values can't bear it out, whatever those to come will be; None if they can."""
        side = "above its ceiling" if self.upper else "below its floor"
        if self.holds == "iqm":
            found = bootstrap.iqm_of([values])
            short = f"IQM {number(found)} is {side} of {number(self.limit)}"
            return None if self.within(found) else short
        good, every = sum(map(self.within, values)), len(values)
        if good + to_come >= (every + to_come if self.holds == "each" else int(self.holds)):
            return None
        shown = " ".join(number(v) for v in values if not self.within(v))
        asked = "" if self.holds == "each" else f" ({good} of {every}, {self.holds} asked)"
        return f"{shown} is {side} of {number(self.limit)}{asked}"


@dataclass(frozen=True)
class Claim:
    """One entry; `seeds` is empty where one run of the commands gives all values."""

    name: str
    group: str
    what: str
    commands: list[str]
    seeds: list[int]
    figures: list[Figure]
    minutes: float
    covers: list[str] = field(default_factory=list)
    earlier: Mapping[str, Any] | None = None

    @property
    def presets(self) -> set[str]:
        """Those that its commands run or that it says it speaks for."""
        words = [word for command in self.commands for word in command.split()]
        named = {w.removeprefix("experiment=") for w in words if w.startswith("experiment=")}
        return named | set(self.covers)

    def untrue(self, result: Result) -> list[str]:
        found = []
        for figure in self.figures:
            values = result.values(figure.name)
            told = figure.untrue(values, len(result.missing)) if values else None
            if told is not None:
                found.append(f"{self.name} is untrue: {figure.name} {told}")
        return found


class Result:
    """What was measured of one claim, a record a run; empty at first."""

    def __init__(self, claim: Claim, path: Path) -> None:
        self.claim, self.path = claim, path
        try:
            told = json.loads(path.read_text()) if path.is_file() else {}
            self.commands: list[str] = told.get("commands", claim.commands)
            self.records: list[dict[str, Any]] = list(told.get("runs", []))
            whole = all(record.keys() >= RECORD for record in self.records)
        except (OSError, ValueError, AttributeError, TypeError) as ex:
            raise UserError(f"can't read {path}: {str(ex).splitlines()[0]}") from None
        if not whole:
            raise UserError(f"can't read {path}: a run lacks one of {', '.join(sorted(RECORD))}")

    @property
    def stale(self) -> bool:
        """Measured by other commands than the claim has now."""
        return bool(self.records) and self.commands != self.claim.commands

    @property
    def missing(self) -> list[int]:
        done = {record["seed"] for record in self.records}
        return [seed for seed in self.claim.seeds if seed not in done]

    def values(self, figure: str) -> list[float]:
        """Of all runs, in the order of their seeds; inf for what a run never reached."""
        found = [v for record in self.records for v in record["figures"].get(figure, [])]
        return [math.inf if v is None else v for v in found]

    def add(self, record: dict[str, Any]) -> None:
        """Keep it, in place of an older one of the same seed; others' commands count no more."""
        if self.stale:
            self.records = []
        self.commands = self.claim.commands
        kept = [r for r in self.records if r["seed"] != record["seed"]]
        kept = [r for r in kept if r["seed"] in self.claim.seeds]
        self.records = sorted([*kept, record], key=lambda r: r["seed"] or 0)
        self.path.parent.mkdir(exist_ok=True)
        write_text(self.path, self._text())

    def _text(self) -> str:
        """JSON, a line a run; null for what a run never reached."""
        lines = [json.dumps(finite(record), ensure_ascii=False) for record in self.records]
        runs = ",\n".join(lines)
        commands = json.dumps(self.commands, ensure_ascii=False)
        return f'{{"commands": {commands},\n"runs": [\n{runs}\n]}}\n'


def finite(record: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity."""
    figures = {
        name: [None if v is not None and math.isinf(v) else v for v in values]
        for name, values in record["figures"].items()
    }
    return record | {"figures": figures}


class Book:
    """All claims by name, in the file's order. UserError for what is wrong in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.root = self.path.parent.parent
        try:
            told = yaml.safe_load(self.path.read_text())
        except (OSError, ValueError, yaml.YAMLError) as ex:
            why = getattr(ex, "problem", None) or (str(ex).splitlines() or ["?"])[0]
            mark = getattr(ex, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            raise UserError(f"can't read {path}{line}: {why}") from None
        if not isinstance(told, dict) or not all(isinstance(v, dict) for v in told.values()):
            raise UserError(f"{path} must hold groups of claims")
        self.claims: dict[str, Claim] = {}
        for group, entries in told.items():
            for name, entry in entries.items():
                if not re.fullmatch(r"\w+", str(name)):  # a file under results/ bears it
                    raise UserError(f"{path}: a claim can't be named {name!r}: letters, digits, _")
                if name in self.claims:
                    raise UserError(f"{path}: two claims are named {name!r}")
                self.claims[str(name)] = claim(str(name), str(group), entry)

    @property
    def results(self) -> Path:
        return self.path.parent / "results"

    def claim(self, name: str) -> Claim:
        if name not in self.claims:
            raise UserError(f"no claim named {name!r}.{did_you_mean(name, self.claims)}")
        return self.claims[name]

    def result(self, name: str) -> Result:
        return Result(self.claim(name), self.results / f"{name}.json")


def claim(name: str, group: str, entry: Any) -> Claim:
    fields.known(name, entry, CLAIM, needed=("what", "commands", "figures", "minutes"))
    commands = fields.commands(f"{name}.commands", entry["commands"])
    seeds = fields.seeds(f"{name}.seeds", entry.get("seeds", []))
    placed = any("{seed}" in command for command in commands)
    if placed != bool(seeds):
        raise UserError(f"{name}: seeds go with {{seed}} in its commands, one needs the other")
    told = entry["figures"]
    if not isinstance(told, dict) or not told:
        raise UserError(f"{name}.figures must hold a figure at least")
    figures = [figure(name, key, each) for key, each in told.items()]
    earlier = entry.get("earlier")
    if earlier is not None:
        fields.earlier(f"{name}.earlier", earlier, {f.name for f in figures})
    what = fields.text(f"{name}.what", entry["what"])
    minutes = fields.number(f"{name}.minutes", entry["minutes"])
    covers = fields.texts(f"{name}.covers", entry.get("covers", []))
    return Claim(name, group, what, commands, seeds, figures, minutes, covers, earlier)


def figure(claim_name: str, name: Any, told: Any) -> Figure:
    where = f"{claim_name}.figures.{name}"
    fields.known(where, told, FIGURE)
    sources = [key for key in SOURCES if key in told]
    if len(sources) != 1:
        raise UserError(f"{where} needs one of {', '.join(SOURCES)} (it has {len(sources)})")
    fields.source(where, told, sources[0])
    sides = [side for side in ("floor", "ceiling") if side in told]
    if sources != ["passes"] and len(sides) != 1:
        raise UserError(f"{where} needs a floor or a ceiling, one of them")
    passes = sources == ["passes"]
    limit = 1.0 if passes else fields.number(f"{where}.{sides[0]}", told[sides[0]])
    holds = told.get("holds", "each")
    if holds not in ("each", "iqm") and (type(holds) is not int or holds < 1):
        raise UserError(f"{where}.holds={holds} must be each, iqm or a number of runs")
    what, unit = fields.text(f"{where}.what", told.get("what", str(name))), told.get("unit", "")
    return Figure(str(name), what, told, limit, sides == ["ceiling"], holds, str(unit))
