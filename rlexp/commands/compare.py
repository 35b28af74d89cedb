"""`rlexp compare`: what differs between runs, their curves, and how sure the difference is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlexp.commands.common import keys_and_paths, told
from rlexp.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from rlexp.report.comparison import Comparison
    from rlexp.report.groups import Group
    from rlexp.report.reading import Run

HELP = """\
usage: rlexp compare PATH … [metric=NAME] [curve=NAME] [better=higher|lower] [strata=KEY]
                     [png=compare.png] [--json]

PATH is a run, a sweep, a folder of either, or a unique prefix. Runs that differ by their seed alone
are one setting. Printed: which keys differ, scores (interquartile mean, 95 % bootstrap interval),
the best against the others, curves. The curves are drawn into compare.png, too; png=null: not.

metric=eval/success_rate   the last value of a metric instead of the run's score
curve=loss/total           draw another curve than train/return
strata=env.id              settings that were run on several tasks: scores of each to 0..1, runs
                           redrawn task by task
"""
OWN = {"metric": "", "curve": "", "better": "", "strata": "", "png": "compare.png"}
SHOWN = 6


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _compare(argv))


def _compare(argv: Sequence[str]) -> None:
    from rlexp.report import comparison, groups, reading

    paths, own = keys_and_paths(argv, OWN, "compare", flags=("--json",))
    if own["better"] not in ("", "higher", "lower"):
        raise UserError(f"better={own['better']} must be higher or lower")
    runs = reading.find(paths)
    reading.shorten(runs)
    known_metric(own["metric"], runs)
    known_metric(own["curve"], runs)
    if own["strata"] and not any(own["strata"] in run.config for run in runs):
        known = {key for run in runs[:20] for key in run.config}
        raise UserError(f"no run has a key {own['strata']!r}.{did_you_mean(own['strata'], known)}")
    found, notes = groups.group(runs, own["strata"] or None)
    result = comparison.compare(
        found, own["metric"] or None, own["better"] or None, own["strata"] or None
    )
    if "--json" in argv:
        print(json.dumps(_as_json(result), indent=1))
    else:
        _print(result, found, own["curve"])
        if own["png"] != "null":
            png = Path(own["png"])
            if own["png"] == OWN["png"] and png.is_symlink():
                png.unlink()  # nobody has named it, and it may lead anywhere
            path = _draw(result, own["curve"], png)
            if path is not None:
                print(f"rlexp: curves {path}", file=sys.stderr)
    for note in [*notes, *result.notes, *reading.problems(runs)]:
        print(f"rlexp: {note}", file=sys.stderr)


def known_metric(name: str, runs: Sequence[Run]) -> None:
    """UserError for a metric that no run has logged."""
    if name and not any(name in run.series.columns for run in runs):
        known = {n for run in runs[:20] for n in run.series.names}
        raise UserError(f"no run has logged {name!r}.{did_you_mean(name, known)}")


def _print(result: Comparison, found: Sequence[Group], curve: str) -> None:
    from rlexp.report.comparison import verdict
    from rlexp.report.groups import differences, text
    from rlexp.report.table import between, lines, number

    head, sure = verdict(result)
    print(head + (f"\n{sure}" if sure else "") + "\n")
    rows = []
    for scored, against in zip(result.ranked, [None, *result.duels], strict=False):
        gap, share = "", ""
        if against is not None:
            gap = f"{number(-against.middle)}"
            if against.interval:
                gap += f" ({number(-against.interval[1])} … {number(-against.interval[0])})"
            share = f"{1 - against.better:.0%}"
        scores = " ".join(map(number, scored.scores[:6])) + (" …" * (len(scored.scores) > 6))
        rows.append([
            scored.label, str(len(scored.scores)), number(scored.iqm), between(scored.interval),
            gap, share, scores,
        ])  # fmt: skip
    columns = ["setting", "runs", "IQM", "95 % interval", "to the best", "beats it", "by seed"]
    print("\n".join(lines(columns, rows, left=("setting",))))
    if result.ranked:
        print(f"score: {result.named}{', lower is better' * result.lower}")
    for group in result.left_out:
        states = ", ".join(sorted({run.state for run in group.runs}))
        print(f"{group.label}: {len(group.runs)} runs without a score ({states})")
    table = differences(found)
    if table:
        shown = [[key, *(text(v)[:24] for v in values[:8])] for key, values in table.items()]
        names = [g.label[:24] for g in found[:8]]
        print("\n" + "\n".join(lines(["key", *names], shown, left=("key", *names))))
        if len(found) > 8:
            print(f"(and {len(found) - 8} more settings)")
    _plot(result, curve)


def _curves(result: Comparison, name: str) -> list[tuple[str, Any]]:
    from rlexp.report.curves import curve, grid

    chosen = [scored.group for scored in result.ranked[:SHOWN]] or result.left_out[:SHOWN]
    steps = grid([run for group in chosen for run in group.runs], name)
    if steps is None:
        return []
    drawn = [(group.label, curve(group.runs, name, steps)) for group in chosen]
    return [(label, found) for label, found in drawn if found is not None]


def _plot(result: Comparison, name: str) -> None:
    from rlexp.report.terminal import plot

    name = name or "train/return"
    found = _curves(result, name)
    shown = [(label, list(c.steps), list(c.middle)) for label, c in found]
    lines = plot(shown, colour=sys.stdout.isatty())
    if lines:
        more = len(result.ranked) - len(found)
        print(f"\n{name}" + (f", the best {len(found)} settings" if more > 0 else ""))
        print("\n".join(lines))


def _draw(result: Comparison, name: str, path: Path) -> Path | None:
    """Curves with bands, and final scores with intervals, side by side."""
    name = name or "train/return"
    found = _curves(result, name)
    if not found:
        return None
    from rlexp.media.plots import COLOURS, figure

    drawn, axes = figure(1, 2 if result.ranked else 1)
    ax = axes[0, 0]
    for (label, c), colour in zip(found, COLOURS, strict=False):
        ax.plot(c.steps, c.middle, color=colour, linewidth=1.6, label=_plain(label))
        ax.fill_between(c.steps, c.low, c.high, color=colour, alpha=0.16, linewidth=0)
    ax.set_title(f"{_plain(name)}: IQM over seeds, 95 % interval", fontsize=9, loc="left")
    ax.set_xlabel("environment steps", fontsize=8)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:,.0f}k" if x >= 1000 else f"{x:.0f}")
    ax.legend(fontsize=7, frameon=False)
    if result.ranked:
        _dots(axes[0, 1], result, COLOURS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, dpi=140)
    except (OSError, ValueError) as ex:
        raise UserError(f"png={path} can't be written: {ex}") from ex
    return path


def _plain(text: str) -> str:
    """As it stands there: Matplotlib takes what lies between two dollar signs for a formula, and
    what begins with _ for a curve without a label."""
    shown = text.encode(errors="backslashreplace").decode().replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _dots(ax: Any, result: Comparison, colours: Sequence[str]) -> None:
    shown = result.ranked[:SHOWN]
    for row, (scored, colour) in enumerate(zip(shown, colours, strict=False)):
        ax.plot(scored.scores, [row] * len(scored.scores), "o", color=colour, alpha=0.35, ms=4)
        if scored.interval:
            ax.plot(scored.interval, [row, row], color=colour, linewidth=2.5, alpha=0.9)
        ax.plot([scored.iqm], [row], "D", color=colour, ms=6)
    ax.set_yticks(range(len(shown)), [_plain(s.label) for s in shown], fontsize=8)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_title(f"{_plain(result.what)}: IQM, 95 % interval, seeds", fontsize=9, loc="left")


def _as_json(result: Comparison) -> dict[str, Any]:
    from rlexp.report.comparison import verdict

    settings = [
        {
            "setting": s.label, "values": s.group.values, "runs": [run.name for run in s.runs],
            "scores": s.scores, "iqm": s.iqm, "interval": s.interval,
        }
        for s in result.ranked
    ]  # fmt: skip
    duels = [
        {
            "setting": d.theirs.label, "difference": d.middle, "interval": d.interval,
            "improvement": d.better, "clear": d.clear,
        }
        for d in result.duels
    ]  # fmt: skip
    head, sure = verdict(result)
    return {
        "metric": result.metric, "lower_is_better": result.lower,
        "verdict": f"{head} {sure}".strip(), "settings": settings, "best_against": duels,
    }  # fmt: skip
