"""A trained agent to give away: the weights of one checkpoint, its run's facts, a GIF and a card.

What is written is a run's directory like any other, without what is needed to go on training; so
eval, report, ladder and `agent.init_from` take it. Nothing in it names the machine it came from.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

from rlexp import checkpoint
from rlexp.config.compose import load, to_yaml
from rlexp.errors import UserError
from rlexp.report.facts import again
from rlexp.report.reading import Run
from rlexp.report.table import duration
from rlexp.run_dir import RunDir, step_of, write_text

KEPT = ("project", "python", "platform", "processor", "cores", "cores_used", "packages")
PLAYS = ("greedy", "sampled")


def export(run: RunDir, source: Path, target: Path, weights: bool = True) -> RunDir:
    """Write the checkpoint `source` of a run to `target`, which must not hold anything; without
    `weights` its facts and curve alone, for reports."""
    about = checkpoint.verify(source)
    given = RunDir(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is not empty: take another name")
    told = Run(run, target.name)
    try:
        target.mkdir(parents=True, exist_ok=True)
        config = load(run.config)
        config.run_dir = None
        given.config.write_text(to_yaml(config))
        kept = [o for o in told.overrides if not o.lstrip("+~").startswith("run_dir=")]
        given.overrides.write_text("".join(f"- {json.dumps(o)}\n" for o in kept))
        facts = {name: told.system[name] for name in KEPT if name in told.system}
        facts |= {"git_commit": told.system.get("git_commit"), "git_patch": None}
        given.system.write_text(json.dumps(facts, indent=1) + "\n")
        _copy_metrics(run.metrics, given.metrics, about.step)
        if weights:
            given.checkpoints.mkdir()
            state = checkpoint.load(source, weights_only=True)
            checkpoint.save(given.checkpoint(about.step), state, about.step, about.episodes, True)
        found = evaluations(run, about.step)
        score = found[0]["greedy"]["return_mean"] if found else told.score
        status = {"state": "exported", "steps": about.step, "episodes": about.episodes}
        write_text(given.status, json.dumps(status | {"score": score}, indent=1) + "\n")
        if weights:
            picture = _picture(run, given, about.step, found)
            write_text(target / "README.md", card(target, told, about, found, picture))
            told_of = [{k: r.get(k) for k in ("seed", "overrides", *PLAYS)} for r in found[:3]]
            write_text(target / "evaluations.json", json.dumps(told_of, indent=1) + "\n")
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return given


def evaluations(run: RunDir, step: int) -> list[dict[str, Any]]:
    """What `rlexp eval` found for a step, most games first."""
    found = []
    for path in sorted(run.evaluations.glob("eval_*.json"), reverse=True):
        try:
            result = json.loads(path.read_text())
            if result["step"] == step and all("return_mean" in result[play] for play in PLAYS):
                found.append(result | {"name": path.stem})
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda r: -int(r["sampled"]["played"]))


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
    target: Path,
    run: Run,
    about: checkpoint.Manifest,
    found: list[dict[str, Any]],
    picture: Path | None,
) -> str:
    """README.md: what it is, how it was made, how well it plays."""
    steps, seconds = run.series.points("time/elapsed_s")
    spent = [s for at, s in zip(steps, seconds, strict=True) if at <= about.step]
    system = run.system
    lines = [f"# {target.name}", "", f"    rlexp eval {target}", ""]
    if picture is not None:
        lines += ["![a game](media/best.gif)", ""]
    commit = system.get("git_commit")
    rows = {
        "command": f"`{again(run) or 'rlexp train'}`",
        "commit": f"{commit}{', with changes' if system.get('git_patch') else ''}",
        "seed": run.seed,
        "steps": f"{about.step:,}",
        "games": f"{about.episodes:,}",
        "time": duration(spent[-1]) if spent else "unknown",
        "machine": f"{system.get('cores_used', '?')} cores, {system.get('processor', '?')}; "
        f"Python {system.get('python', '?')}, "
        f"PyTorch {system.get('packages', {}).get('torch', '?')}",
    }
    lines += ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())]
    for result in found[:3]:
        keys = " ".join(result.get("overrides", []))
        lines += ["", f"`rlexp eval {target} episodes={result['sampled']['played']} {keys}".rstrip()
                  + f"` (seed {result.get('seed', 0)})", "",
                  "| play | return | success | 95 % interval | distinct games |",
                  "| --- | --- | --- | --- | --- |"]  # fmt: skip
        for play in PLAYS:
            lines.append(_row(play, result[play]))
    return "\n".join(lines) + "\n"


def _row(play: str, s: dict[str, Any]) -> str:
    rate, between = s.get("success_rate"), s.get("success_ci")
    success = "-" if rate is None else f"{rate:.1%}"
    interval = "-" if between is None else f"{between[0]:.1%} … {between[1]:.1%}"
    return f"| {play} | {s['return_mean']:.1f} | {success} | {interval} | {s['episodes']} |"
