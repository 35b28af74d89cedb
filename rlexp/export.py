"""A trained agent to give away: the weights of one checkpoint, its run's facts, a GIF and a card.

What is written is a run's directory like any other, without what is needed to go on training; so
eval, report, ladder and `agent.init_from` take it. Nothing in it names the machine it came from.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlexp import checkpoint, strict_json
from rlexp.config.compose import load, to_yaml
from rlexp.errors import UserError
from rlexp.report.facts import again, asked
from rlexp.report.reading import Run
from rlexp.report.table import duration
from rlexp.run_dir import RunDir, step_of, write_text
from rlexp.shell import command

KEPT = ("project", "python", "processor", "cores", "cores_used", "device", "packages",
        "git_commit")  # fmt: skip
OTHER_TASK = ("env=", "env.id=", "env.stage=", "env.reward=", "env.observation=")
PLAYS = ("greedy", "sampled")
HEADER = (
    "| play | return | success | 95 % interval | episodes | distinct starts |",
    "| --- | --- | --- | --- | --- | --- |",
)
BY_RIVAL = {
    "ahead": "ahead_rate", "behind": "behind_rate", "won": "win_rate", "lost": "loss_rate",
    "hits": "hits", "own hits": "self_hits",
}  # fmt: skip


def export(
    run: RunDir,
    source: Path,
    target: Path,
    weights: bool = True,
    trusted: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> RunDir:
    """Write the checkpoint `source` of a run to `target`, which must not hold anything; without
    `weights` its facts and curve alone, for reports.

    UserError for weights that no agent could play with, or that are another config's.
    """
    about = checkpoint.verify(source)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is not empty: take another name")
    if weights:
        _check_weights(run, source, trusted, tell)
    given = RunDir(target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write(run, given, source, about, weights)
    except OSError as ex:
        shutil.rmtree(target, ignore_errors=True)
        raise UserError(f"can't write {target}: {ex.strerror}") from ex
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return given


def _check_weights(run: RunDir, source: Path, trusted: bool, tell: Callable[[str], None]) -> None:
    """Load the agent as whoever gets it will; where that can't be done here, say so."""
    from rlexp import api, locate
    from rlexp.weights import Misfit, non_finite

    bad = non_finite(checkpoint.load(source, weights_only=True))
    if bad is not None:
        raise UserError(
            f"{source}: the weights {bad} hold NaN or infinity: nobody can play with them."
            f"{locate.whole_ones(run)}"
        )
    try:
        api.load(source, trust=trusted)
    except Misfit:
        raise
    except Exception as ex:
        tell(f"it was not tried out whether these weights fit the run's config: {ex}")


def _write(
    run: RunDir, given: RunDir, source: Path, about: checkpoint.Manifest, weights: bool
) -> None:
    told = Run(run, given.path.name)
    given.config.write_text(_config(run))
    kept = [without_places(o) for o in asked(told.overrides)]
    given.overrides.write_text("".join(f"- {json.dumps(o)}\n" for o in kept))
    facts = {name: told.system[name] for name in KEPT if name in told.system}
    facts["changed"] = bool(told.system.get("git_patch") or told.system.get("changed"))
    given.system.write_text(strict_json.dumps(facts, indent=1) + "\n")
    _copy_metrics(run.metrics, given.metrics, about.step)
    found = evaluations(run, about.step)
    score = found[0]["greedy"]["return_mean"] if found else told.score
    status = {"state": "exported", "steps": about.step, "episodes": about.episodes, "score": score}
    write_text(given.status, strict_json.dumps(status, indent=1) + "\n")
    if not weights:
        return
    state = checkpoint.load(source, weights_only=True)
    checkpoint.save(given.archive(about.step), state, about.step, about.episodes, True)
    picture = _picture(run, given, about.step, found)
    # From what was written, so that it tells no more than that.
    write_text(given.path / "README.md", card(Run(given, told.name), about, found, picture))
    kept_of = ("seed", "episodes", "overrides", *PLAYS, "by_rival")
    found = [{name: result[name] for name in kept_of if name in result} for result in found[:3]]
    write_text(given.path / "evaluations.json", strict_json.dumps(found, indent=1) + "\n")


def _config(run: RunDir) -> str:
    """As it was, but for what it began with and where it lay: playing needs neither."""
    config = load(run.config)
    config.run_dir = config.agent.init_from = None
    config.self_play.members = []
    return without_places(to_yaml(config))


def without_places(text: str) -> str:
    """Absolute paths become their last parts, without quotes that those no longer need."""
    text = re.sub(r"(?<==)'(/[\w./=,~-]*/[\w.~-]+)'$", r"\1", text)
    return re.sub(r"(?<![\w.:/-])(?:~|/[\w.~-]+)(?:/[\w.=,~-]+)*/([\w.=~-]+)", r"\1", text)


def evaluations(run: RunDir, step: int) -> list[dict[str, Any]]:
    """What `rlexp eval` found for a step: of the run's own task first, then most games first."""
    found = []
    for path in sorted(run.evaluations.glob("eval_*.json"), reverse=True):
        try:
            result = json.loads(path.read_text())
            if result["step"] == step and all("return_mean" in result[play] for play in PLAYS):
                result["overrides"] = [without_places(o) for o in result.get("overrides", [])]
                found.append(result)
        except (OSError, ValueError, KeyError, TypeError):
            continue

    def order(result: dict[str, Any]) -> tuple[bool, int]:
        other = any(o.startswith(OTHER_TASK) for o in result["overrides"])
        return other, -int(result["sampled"]["played"])

    return sorted(found, key=order)


def _copy_metrics(source: Path, target: Path, step: int) -> None:
    """Up to the step whose weights are given away."""
    if not source.is_file():
        return
    with open(source, newline="") as f, open(target, "w", newline="") as g:
        rows, out = csv.reader(f), csv.writer(g, lineterminator="\n")
        for i, row in enumerate(rows):
            if i == 0 or (row and row[0].isdecimal() and int(row[0]) <= step):
                out.writerow(row)


def _picture(run: RunDir, given: RunDir, step: int, found: list[dict[str, Any]]) -> Path | None:
    """The best game of its evaluation; else what training recorded last until then."""
    shown = [Path(path) for r in found for path in [r.get("gifs", {}).get("best")] if path]
    shown = [run.media / path.name for path in shown]
    shown += [path for path in reversed(run.gifs()) if step_of(path) <= step]
    for path in shown:
        if path.is_file():
            given.media.mkdir(exist_ok=True)
            return Path(shutil.copyfile(path, given.media / "best.gif"))
    return None


def card(
    run: Run,
    about: checkpoint.Manifest,
    found: list[dict[str, Any]],
    picture: Path | None,
) -> str:
    """README.md: what it is, how it was made, how well it plays."""
    place = run.dir.path.name if run.dir.path.is_absolute() else run.dir.path
    spent = run.series.last("time/elapsed_s", about.step)
    system = run.system
    play = command("rlexp", "eval", Path(place))
    lines = [f"# {run.name}", "", f"    {play}", ""]
    if picture is not None:
        lines += ["![a game](media/best.gif)", ""]
    commit = system.get("git_commit")
    rows = {
        "command": f"`{again(run) or 'rlexp train'}`",
        "commit": f"{commit}{', with changes' if system.get('changed') else ''}",
        "seed": run.seed,
        "steps": f"{about.step:,}",
        "games": f"{about.episodes:,}",
        "time": duration(spent) if spent is not None else "unknown",
        "machine": f"{system.get('cores_used', '?')} cores, {system.get('processor', '?')}; "
        f"Python {system.get('python', '?')}, "
        f"PyTorch {system.get('packages', {}).get('torch', '?')}",
    }
    lines += ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())]
    for result in found[:3]:
        keys = command(*result.get("overrides", []))
        lines += ["", f"`{play} episodes={result.get('episodes', '?')} {keys}".rstrip()
                  + f"` (seed {result.get('seed', 0)})", "",
                  *HEADER]  # fmt: skip
        for kind in PLAYS:
            lines.append(result_row(kind, result[kind]))
        lines += rival_rows(result.get("by_rival", {}))
    return "\n".join(lines) + "\n"


def result_row(play: str, s: dict[str, Any]) -> str:
    """What `rlexp eval` found of one way to play, under HEADER."""
    rate, between = s.get("success_rate"), s.get("success_ci")
    success = "-" if rate is None else f"{rate:.1%}"
    interval = "-" if between is None else f"{between[0]:.1%} … {between[1]:.1%}"
    mean = "-" if s["return_mean"] is None else f"{s['return_mean']:.1f}"
    episodes, starts = str(s["episodes"]), s.get("distinct_starts")
    if s["played"] != s["episodes"]:  # from before all episodes counted
        episodes += f" distinct of {s['played']}"
    shown = "-" if starts is None else str(starts)
    return f"| {play} | {mean} | {success} | {interval} | {episodes} | {shown} |"


def rival_rows(told: dict[str, dict[str, Any]]) -> list[str]:
    """A table of what `rlexp eval` found against each rival, by play; of those that can tell."""
    told = {play: told[play] for play in PLAYS if told.get(play)}
    rivals = [(play, name, found) for play in told for name, found in told[play].items()]
    columns = {c: key for c, key in BY_RIVAL.items() if all(key in f for *_, f in rivals)}
    if not rivals:
        return []
    lines = ["", f"| play | against | {' | '.join(columns)} |", "| --- " * (2 + len(columns)) + "|"]
    for play, name, found in rivals:
        values = [f"{found[k]:.1%}" if "rate" in k else f"{found[k]:.2f}" for k in columns.values()]
        lines.append(f"| {play} | {name} | {' | '.join(values)} |")
    return lines
