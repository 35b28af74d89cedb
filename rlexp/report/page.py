"""One self-contained HTML file about many runs: no server, no network, nothing to install."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from rlexp import __version__, strict_json
from rlexp.metrics import NAMES
from rlexp.report import facts, gifs, heat, svg
from rlexp.report.comparison import ENOUGH, Comparison, compare, verdict
from rlexp.report.curves import curve, grid
from rlexp.report.groups import Group, axes, differences, group, text
from rlexp.report.parallel import parallel
from rlexp.report.reading import Run, problems
from rlexp.report.table import between, duration, number

ASSETS = Path(__file__).parent / "assets"
CURVES = 8  # in one figure
ROWS = 40
# What is drawn beside the first curve, if the runs logged it.
MORE = (
    *(
        "eval/return_mean",
        "eval/success_rate",
        "train/return",
        "train/success_rate",
        "train/length",
    ),
    *("loss/total", "loss/td", "loss/policy", "loss/value", "loss/fit", "train/q"),
    *("train/entropy", "train/kl", "time/steps_per_s"),
)
SMALL = 8


@dataclass(frozen=True)
class Options:
    """What a user may ask for; empty: decided by what the runs have."""

    title: str = ""
    metric: str = ""
    better: str = ""
    curve: str = ""
    gifs: bool = True


def build(runs: Sequence[Run], options: Options, command: str) -> tuple[str, list[str]]:
    """(the page, what could not be read)."""
    groups, notes = group(runs)
    result = compare(groups, options.metric or None, options.better or None)
    shown = result.ranked[:ROWS]
    colours = {s.label: i for i, s in enumerate(result.ranked)}
    colours |= {g.label: len(colours) + i for i, g in enumerate(result.left_out)}
    keys = axes(groups)
    games, bad = gifs.games(result, groups) if options.gifs else ([], [])
    charts, data = _charts(result, groups, options.curve)
    head, sure = verdict(result)
    context = {
        "title": options.title or _title(groups),
        "subtitle": _subtitle(runs, groups),
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "version": __version__,
        "command": command,
        "head": _minus(head),
        "sure": _minus(sure),
        "result": result,
        "enough": ENOUGH,
        "chances": _chances(result, colours),
        "rows": _rows(result, shown),
        "hidden": len(result.ranked) - len(shown),
        "left_out": [(g.label, len(g.runs), _states(g.runs)) for g in result.left_out],
        "scores": [Markup(svg.scores(result, shown[:16], colours, w)) for w in (True, False)]
        if shown
        else [],
        "charts": charts,
        "data": Markup(strict_json.dumps(data).replace("<", "\\u003c")),
        "heats": [h for h in (*heat.by_pairs(result, keys), heat.by_seed(result)) if h],
        "parallel": _parallel(result, keys),
        "games": games,
        "differences": _differences(groups),
        "configs": _configs(result, groups),
        "runs": _runs(result, groups),
        "facts": facts.collect(runs),
        "again": facts.again(result.ranked[0].runs[0]) if result.ranked else None,
        "time": facts.compute(runs),
        "colour": svg.colour,
    }
    told = [*notes, *result.notes, *bad, *problems(runs)]
    return _render(context | {"problems": told}), told


def _render(context: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    css, js = ((ASSETS / name).read_text() for name in ("report.css", "report.js"))
    return made.get_template("report.html").render(context, css=Markup(css), js=Markup(js))


def _title(groups: Sequence[Group]) -> str:
    """What was run on what."""
    agents = dict.fromkeys(str(a) for g in groups if (a := g.config.get("agent.name")))
    envs = dict.fromkeys(str(e) for g in groups if (e := _env(g)))
    if not agents:
        return "Runs"
    return f"{_listed(list(agents))} on {_listed(list(envs))}" if envs else _listed(list(agents))


def _env(found: Group) -> Any:
    return found.config.get("env.id") or found.config.get("env.name")


def _listed(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 2 else names)


def _subtitle(runs: Sequence[Run], groups: Sequence[Group]) -> list[str]:
    def count(many: int, what: str) -> str:
        return f"{many:,} {what}{'s' * (many != 1)}"

    seeds = sorted({len(g.runs) for g in groups}) or [0]
    each = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    steps = max((run.steps for run in runs), default=0)
    states = {state: sum(r.state == state for r in runs) for state in {r.state for r in runs}}
    told = [count(len(runs), "run"), count(len(groups), "setting")]
    told.append(f"{each} seed{'s' * (each != '1')} each")
    told.append(f"{steps:,} environment steps" + (" each" if len(runs) > 1 else ""))
    told += [f"{n} {state}" for state, n in sorted(states.items()) if state != "finished"]
    return told


def _states(runs: Sequence[Run]) -> str:
    return ", ".join(sorted({run.state for run in runs}))


def _minus(words: str) -> str:
    """A minus sign where there is a hyphen before a digit."""
    return re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", words)


def _chances(result: Comparison, colours: dict[str, int]) -> list[tuple[str, int, float, str]]:
    """(label, colour, share, as text) of those that have a chance, the best first."""
    found = sorted(result.chances.items(), key=lambda item: -item[1])
    shown = [(label, c) for label, c in found if c >= 0.005] if len(found) > 4 else found
    texts = ["under 1" if 0 < c < 0.01 else f"{c:.0%}".removesuffix("%") for _, c in shown]
    return [(x, colours[x], c, t) for (x, c), t in zip(shown[:8], texts, strict=False)]


def _rows(result: Comparison, shown: Sequence[Any]) -> list[dict[str, Any]]:
    """The table of scores."""
    rows = []
    for scored, duel in zip(shown, [None, *result.duels], strict=False):
        row: dict[str, Any] = {
            "label": scored.label,
            "runs": len(scored.scores),
            "of": len(scored.group.runs),
            "iqm": _minus(number(scored.iqm)),
            "interval": _minus(between(scored.interval)),
            "scores": " · ".join(map(number, scored.scores[:10]))
            + (" …" if len(scored.scores) > 10 else ""),
            "gap": "",
            "behind": "",
            "beats": "",
        }
        if duel is not None:
            row["gap"] = number(-duel.middle)
            if duel.interval:
                row["gap"] += f" ({number(-duel.interval[1])} … {number(-duel.interval[0])})"
            row["beats"] = f"{1 - duel.better:.0%}"
            row["behind"] = "yes" if duel.clear else "too few seeds" if not duel.enough else "no"
            row["gap"] = _minus(row["gap"])
        rows.append(row)
    return rows


def _charts(
    result: Comparison, groups: Sequence[Group], wanted: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(figures with their legends, what the script needs for hovering)."""
    order = [s.group for s in result.ranked] + result.left_out
    chosen = order[:CURVES]
    runs = [run for g in chosen for run in g.runs]
    logged = {name for run in runs for name in run.series.columns}
    names = [wanted] if wanted else []
    names += [n for n in ("train/return",) if n in logged and n not in names]
    names += [n for n in MORE if n in logged and n not in names]
    charts: list[dict[str, Any]] = []
    data: dict[str, Any] = {}
    for name in names:
        steps = grid(runs, name, 120 if not charts else 60)
        if steps is None or len(charts) > SMALL:
            continue
        found = []
        for index, each in enumerate(chosen):
            made = curve(each.runs, name, steps)
            if made is not None and np.isfinite(made.middle).any():
                found.append((each.label, made, index))
        if not found:
            continue
        id = f"chart{len(charts)}"
        frames = [(svg.SMALL, "small")] if charts else [(svg.WIDE, "wide"), (svg.NARROW, "narrow")]
        charts.append({
            "id": id,
            "name": name,
            "meaning": NAMES.get(name, ""),
            "pictures": [Markup(svg.curves(id, name, found, f, kind)) for f, kind in frames],
            "legend": [(label, index) for label, _, index in found],
            "hidden": len(order) - len(chosen),
        })  # fmt: skip
        data[id] = {
            "name": name,
            "steps": [int(s) for s in steps],
            "curves": [
                [label, index, *(_rounded(v) for v in (c.middle, c.low, c.high)), len(c.runs)]
                for label, c, index in found
            ],
        }
    return charts, data


def _rounded(values: np.ndarray) -> list[float | None]:
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in map(float, values)]


def _parallel(result: Comparison, keys: dict[str, list[Any]]) -> list[Markup]:
    """From two keys and three settings on; else the other figures say it better."""
    kept = dict(list(keys.items())[:7])
    if len(kept) < 2 or len(result.ranked) < 3:
        return []
    return [Markup(parallel(result, kept, result.ranked[:120], wide)) for wide in (True, False)]


def _differences(groups: Sequence[Group]) -> dict[str, Any] | None:
    table = differences(groups)
    if len(groups) < 2 or not table:
        return None
    if len(groups) <= 6:
        head = ["key", *(g.label for g in groups)]
        rows = [[key, *map(text, values)] for key, values in table.items()]
    else:
        shown = list(axes(groups))[:8]
        head = ["setting", *shown]
        rows = [[g.label, *(text(g.config.get(k, "·")) for k in shown)] for g in groups[:60]]
    return {"head": head, "rows": rows, "more": max(0, len(groups) - 60)}


def _configs(
    result: Comparison, groups: Sequence[Group]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """The whole config of the best settings."""
    order = [s.group for s in result.ranked] or list(groups)
    return [(g.label, [(k, text(v)) for k, v in g.config.items()]) for g in order[:3]]


def _runs(result: Comparison, groups: Sequence[Group]) -> list[dict[str, str]]:
    order = [s.group for s in result.ranked] + result.left_out
    order += [g for g in groups if not any(g is o for o in order)]
    found = []
    for each in order:
        for run in each.runs:
            elapsed, score = run.series.last("time/elapsed_s"), run.value(result.metric)
            found.append({
                "name": run.name, "setting": each.label, "seed": text(run.seed),
                "state": run.state, "steps": f"{run.steps:,}", "score": number(score),
                "time": duration(elapsed) if elapsed else "-", "error": run.error or "",
            })  # fmt: skip
    return found
