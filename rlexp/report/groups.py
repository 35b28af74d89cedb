"""Runs that differ by their seed alone belong together; what tells groups apart names them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rlexp.report.reading import Run

# Keys that say where and how a run is kept, not what it does.
HOUSEKEEPING = (
    *("run_dir", "resume", "sweep_figure", "pictures", "log_every", "report_every"),
    *("logger", "checkpoint", "device"),
)
ASIDE = ("seed", *HOUSEKEEPING)
SECTIONS = ("env", "agent", "buffer")
ABSENT = "·"


@dataclass
class Group:
    """Runs of one setting, by seed. `values`: the keys in which it differs from other groups."""

    runs: list[Run]
    config: dict[str, Any]
    label: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> list[Run]:
        return [run for run in self.runs if run.state == "finished"]

    @property
    def kinds(self) -> tuple[Any, ...]:
        """Names of environment, agent and buffer: only with the same ones have keys a meaning."""
        return tuple(self.config.get(f"{s}.name") for s in SECTIONS) + (self.config.get("env.id"),)


def group(runs: Sequence[Run], strata: str | None = None) -> tuple[list[Group], list[str]]:
    """(groups in the order of their first run, what was left out and why).

    `strata`: a key that is taken out as well, such as env.id, and with it what follows from it in
    its section: tasks of one setting.
    """
    found: dict[str, Group] = {}
    notes = []
    goes = _with(runs, strata) if strata else set()
    for run in runs:
        if not run.config:
            notes.append(f"{run.name}: without its config it belongs to no group: left out")
            continue
        kept = {k: v for k, v in run.config.items() if k.partition(".")[0] not in ASIDE}
        config = {k: v for k, v in kept.items() if k not in goes}
        found.setdefault(_same(config), Group([], config)).runs.append(run)
    groups = list(found.values())
    for each in groups:
        notes += _one_a_seed(each, strata)
    _name(groups)
    return groups, notes


def _same(config: dict[str, Any]) -> str:
    """A text that settings have in common which differ in nothing: 1 is 1.0, whatever the order."""
    plain = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in config.items()}
    return json.dumps(plain, default=str, sort_keys=True)


def _with(runs: Sequence[Run], strata: str) -> set[str]:
    """The key itself and those of its section that have one value for each of its values."""
    section = strata.partition(".")[0] + "."
    seen: dict[str, dict[str, set[str]]] = {}
    for run in runs:
        task = str(run.config.get(strata))
        for key, value in run.config.items():
            if key.startswith(section):
                seen.setdefault(key, {}).setdefault(task, set()).add(str(value))
    follows = {k for k, tasks in seen.items() if all(len(v) == 1 for v in tasks.values())}
    return follows | {strata}


def _one_a_seed(found: Group, strata: str | None) -> list[str]:
    """The same run made twice says no more than one: the newer finished one stays."""
    kept: dict[Any, Run] = {}
    notes = []
    for run in found.runs:
        place = (run.seed, run.config.get(strata) if strata else None)
        other = kept.get(place)
        if other is None:
            kept[place] = run
            continue
        better = max(run, other, key=lambda r: (r.state == "finished", r.time))
        worse = other if better is run else run
        notes.append(f"{worse.name}: seed {run.seed} is there twice, {better.name} is used")
        kept[place] = better
    found.runs = sorted(kept.values(), key=lambda run: (str(type(run.seed)), run.seed or 0))
    return notes


def differences(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """Key → its value in each group, of the keys that are not the same in all; ABSENT: no such."""
    keys = dict.fromkeys(key for g in groups for key in g.config)
    table = {key: [g.config.get(key, ABSENT) for g in groups] for key in keys}
    return {k: v for k, v in table.items() if any(value != v[0] for value in v)}


def axes(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """The keys that were varied: those of `differences` that are not parts of another's choice."""
    table = differences(groups)
    chosen = [s for s in SECTIONS if f"{s}.name" in table]
    return {
        key: values
        for key, values in table.items()
        if key.partition(".")[0] not in chosen or key == f"{key.partition('.')[0]}.name"
    }


def _name(groups: list[Group]) -> None:
    """Labels: components where they differ, then keys that tell groups of the same ones apart."""
    keys: dict[int, list[str]] = {}
    for each in groups:
        alike = [g for g in groups if g.kinds == each.kinds]
        keys[id(each)] = list(differences(alike))
    components = axes(groups)
    inner = {key for found in keys.values() for key in found}
    for each in groups:
        parts = {k: each.config.get(k, ABSENT) for k in components if k.endswith((".name", ".id"))}
        parts |= {key: each.config.get(key, ABSENT) for key in keys[id(each)]}
        each.values = parts
        shown = [f"{short(k, inner)}={text(v)}" for k, v in parts.items()]
        each.label = ", ".join(shown) or _what(each)


def _what(found: Group) -> str:
    env = found.config.get("env.id") or found.config.get("env.name") or ""
    agent = found.config.get("agent.name") or "run"
    return f"{agent} on {env}" if env else str(agent)


def short(key: str, others: set[str] | Sequence[str] = ()) -> str:
    """agent.lr → lr, unless another key ends alike; agent.name → agent."""
    if key.endswith(".name"):
        return key.removesuffix(".name")
    last = key.rpartition(".")[2]
    return key if any(o != key and o.rpartition(".")[2] == last for o in others) else last


def text(value: Any) -> str:
    """As one would write it on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list):
        return "[" + ",".join(map(text, value)) + "]"
    return str(value)
