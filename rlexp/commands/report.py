"""`rlexp report`: one HTML file about many runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rlexp.commands.common import keys_and_paths, told
from rlexp.errors import UserError

if TYPE_CHECKING:
    from rlexp.report.reading import Run

HELP = """\
usage: rlexp report PATH … [out=FILE.html] [title=TEXT] [metric=NAME] [better=higher|lower]
                    [curve=NAME] [gifs=true]

PATH is a run, a sweep, a folder of either, or a unique prefix. Writes one HTML file that needs no
server and no network: who won and how sure that is, scores, curves, heat-maps, games, what differs,
on what it ran. It lands in the run's, sweep's or folder's own directory as report.html, or in
outputs/ where several paths are named; out=FILE puts it elsewhere.

metric=eval/success_rate   the last value of a metric instead of the run's score
curve=loss/total           the first curve; others follow
"""
OWN = {"out": "", "title": "", "metric": "", "better": "", "curve": "", "gifs": "true"}


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _report(argv))


def _report(argv: Sequence[str]) -> None:
    from rlexp.commands.compare import known_metric
    from rlexp.report import page, reading
    from rlexp.run_dir import write_text

    paths, own = keys_and_paths(argv, OWN, "report")
    if own["better"] not in ("", "higher", "lower"):
        raise UserError(f"better={own['better']} must be higher or lower")
    if own["gifs"] not in ("true", "false"):
        raise UserError(f"gifs={own['gifs']} must be true or false")
    runs = reading.find(paths)
    out = Path(own["out"]).expanduser() if own["out"] else _place(paths, runs) / "report.html"
    reading.shorten(runs)
    known_metric(own["metric"], runs)
    known_metric(own["curve"], runs)
    options = page.Options(
        own["title"], own["metric"], own["better"], own["curve"], own["gifs"] == "true"
    )
    text, problems = page.build(runs, options, shlex.join(["rlexp", "report", *argv]))
    # Names of directories and values of other tools' files may hold what UTF-8 has no bytes for.
    text = text.encode(errors="backslashreplace").decode()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if own["out"]:
            _write(out.resolve(), text)
        else:  # in a folder that may be a stranger's: a link there is replaced, not followed
            write_text(out, text)
    except (OSError, ValueError) as ex:
        raise UserError(f"out={out} can't be written: {getattr(ex, 'strerror', ex)}") from ex
    for problem in problems:
        print(f"rlexp: {problem}", file=sys.stderr)
    print(
        f"rlexp: report {out} ({len(text.encode()) / 1e6:.1f} MB, {len(runs)} runs)",
        file=sys.stderr,
    )


def _write(out: Path, text: str) -> None:
    """Whole or not at all: who has the old page open never loads half a new one."""
    from rlexp.run_dir import write_text

    if out.exists() and not out.is_file():  # /dev/stdout: nothing that may be replaced
        out.write_text(text, encoding="utf-8")
    else:
        write_text(out, text)


def _place(paths: Sequence[str], runs: Sequence[Run]) -> Path:
    """The directory of the one run or sweep that was named, else where runs are kept."""
    from rlexp.run_dir import OUTPUTS

    if len(paths) == 1:
        return Path(paths[0]) if Path(paths[0]).is_dir() else runs[0].dir.path
    return OUTPUTS
