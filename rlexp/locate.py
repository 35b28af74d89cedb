"""From what a user typed to a run and one of its checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlexp.errors import UserError, did_you_mean, nearest
from rlexp.run_dir import OUTPUTS, RunDir
from rlexp.safe_files import check_tree
from rlexp.shell import command, train_with
from rlexp.step_folders import POINTERS, is_copy, step_of


@dataclass(frozen=True)
class Located:
    """A run, and the checkpoint that was asked for."""

    run: RunDir
    checkpoint: Path | None


def locate(path: str) -> Located:
    """The run of a path: its directory, one of its checkpoints, or a unique prefix of either."""
    given = Path(path)
    if not given.exists():
        given = given.expanduser()
    pointer = Path(os.path.abspath(given))
    if pointer.name in POINTERS and RunDir(pointer.parent.parent).checkpoints == pointer.parent:
        run = RunDir(_relative(pointer.parent.parent.resolve()))
        if run.exists:
            check_tree(run.path)
            return Located(run, choose_checkpoint(run, pointer.name))
    if not given.exists():
        given = _by_prefix(path)
    folder = given.resolve()
    if folder.is_file():
        folder = folder.parent
    for parent in [folder, *folder.parents][:4]:
        run = RunDir(parent)
        if run.exists:
            check_tree(parent)
            relative = _relative(parent)
            inside = folder != parent and run.checkpoints in folder.parents
            return Located(RunDir(relative), folder if inside else None)
    runs = sorted(p.parent for p in given.glob("*/config.yaml")) if given.is_dir() else []
    if runs:
        names = ", ".join(str(r) for r in runs[:4]) + (", …" if len(runs) > 4 else "")
        raise UserError(f"{path} holds {len(runs)} runs: name one of them: {names}")
    config = given / "config.yaml"
    lacks = "neither status.json nor checkpoints" if config.is_file() else "no config.yaml"
    raise UserError(f"{path} is no run of rlexp: it has {lacks}")


def at_step(path: str) -> tuple[str, str]:
    """RUN@STEP as (RUN, STEP), STEP empty where none is given; a run's name may hold an @, too."""
    run, _, step = path.rpartition("@")
    return (path, "") if not run or Path(path).expanduser().exists() else (run, step)


def _relative(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _by_prefix(path: str) -> Path:
    """The one run whose path, or name under outputs/, begins with `path`."""
    runs = [p.parent for p in OUTPUTS.glob("*/*/config.yaml")]
    runs += [p.parent for p in OUTPUTS.glob("*/*/*/config.yaml")]
    found = [
        r for r in runs if r.name.startswith(path) or str(r).startswith(path.removeprefix("./"))
    ]
    given = Path(path)
    if not found and given.parent.is_dir():
        found = [p for p in given.parent.glob(f"{given.name}*") if p.is_dir()]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(f) for f in sorted(found)[:4])
        raise UserError(f"{path!r} could be {len(found)} runs: {names}")
    if given.name in ("last", "best") or given.parent.name == "checkpoints":
        siblings = [p.name for p in given.parent.glob("*")]
        raise UserError(f"no checkpoint {path}.{did_you_mean(given.name, siblings)}")
    near = nearest(path, [str(r) for r in runs] + [r.name for r in runs], n=1)
    newest = max(runs, key=lambda r: r.stat().st_mtime, default=None)
    if near:
        hint = f" Did you mean {near[0]!r}?"
    else:
        hint = f" The newest run is {newest}." if newest else " There are no runs in outputs/ yet."
    raise UserError(f"no run or checkpoint {path!r}.{hint}")


def whole_checkpoint(run: RunDir) -> tuple[Path, list[str]]:
    """(newest full checkpoint that is undamaged, what is wrong with newer ones)."""
    from rlexp import checkpoint  # torch: a second or two

    problems: list[str] = []
    for folder in reversed(run.full_checkpoints()):
        try:
            checkpoint.verify(folder)
            return folder, problems
        except UserError as ex:
            problems.append(str(ex))
    if problems:
        raise UserError(
            f"{run.path} has no whole checkpoint left: {problems[0]}. Run it anew: {anew(run)}"
        )
    if is_copy(run.checkpoints / "last"):
        fork = command("rlexp", "fork", run.checkpoints / "last")
        raise UserError(f"{run.path} has but a copy of its last checkpoint. Go on from it: {fork}")
    weights = [*run.archived(), *run.bests()]
    if weights:
        begin = train_with(f"agent.init_from={run.path if run.archived() else weights[-1]}")
        raise UserError(
            f"{run.path} has weights alone: enough to play, not to go on. Begin a new run with "
            f"them: {begin}"
        )
    raise UserError(f"{run.path} has no checkpoint to go on from. Run it anew: {anew(run)}")


def anew(run: RunDir) -> str:
    """Return the command that runs the same once more, in another directory."""
    from rlexp.report.reading import Run
    from rlexp.sweep.jobs import own_overrides

    return command("rlexp", "train", *own_overrides(Run(run, run.path.name).overrides))


def whole_ones(run: RunDir) -> str:
    """A sentence that names the steps whose checkpoints are undamaged."""
    from rlexp import checkpoint  # torch: a second or two

    steps = []
    for folder in [*run.full_checkpoints(), *run.archived()]:
        try:
            checkpoint.verify(folder)
        except UserError:
            continue
        steps.append(f"checkpoint={step_of(folder)}")
    return f" Whole: {', '.join(sorted(set(steps)))}." if steps else " No other is whole."


def choose_full(run: RunDir, which: str, accepts: Callable[[Path], bool]) -> Path:
    """`last` or a step → a full checkpoint of the run, which training can continue from.

    Where there is none such, those that `accepts` takes are suggested.
    """
    full = run.full_checkpoints()
    if which == "last" and full:
        return full[-1]
    steps = {str(step_of(path)): path for path in full}
    if _step_name(which) in steps:
        return steps[_step_name(which)]
    suggested = [step for step, path in steps.items() if accepts(path)]
    try:
        weights: Path | None = choose_checkpoint(run, which)
    except UserError:
        weights = None
    if weights is not None:
        hint = f" Full ones are at {', '.join(suggested)}." if suggested else ""
        raise UserError(
            f"{weights} contains only weights, and a fork continues training from a full "
            f"checkpoint.{hint} A new run with these weights: agent.init_from={weights}"
        )
    if not suggested:
        raise UserError(f"{run.path} has no full checkpoint that leaves anything to train")
    raise UserError(_no_step(run, which, suggested, "full checkpoint", ["last"]))


def _step_name(which: str) -> str:
    return which.removeprefix("step_").lstrip("0") or "0"


def _no_step(run: RunDir, which: str, steps: Sequence[str], what: str, words: Sequence[str]) -> str:
    name = _step_name(which)
    if name.isdecimal() and steps:
        near = min(steps, key=lambda s: abs(int(s) - int(name)))
        return f"{run.path} has no {what} at step {name}. The nearest is {near}."
    return f"checkpoint={which} is not known.{did_you_mean(which, [*words, *steps])}"


def choose_checkpoint(run: RunDir, which: str) -> Path:
    """`last`, `best` or a step → a checkpoint of the run."""
    if which in POINTERS:
        return _newest(run, which)
    # Of a step that has several, the one that holds most.
    by_step = [*run.bests(), *run.archived(), *run.full_checkpoints()]
    steps = {str(step_of(path)): path for path in by_step}
    if _step_name(which) in steps:
        return steps[_step_name(which)]
    raise UserError(_no_step(run, which, list(steps), "checkpoint", ["last", "best"]))


def _newest(run: RunDir, which: str) -> Path:
    """Return the newest checkpoint, or the newest that was best. What has a step counts more than
    `last` and `best` themselves, which may be copies of long ago."""
    paths = run.bests() if which == "best" else run.full_checkpoints() or run.archived()
    if paths:
        return paths[-1]
    if is_copy(run.checkpoints / which):
        return run.checkpoints / which
    has = run.full_checkpoints() or run.archived() or run.bests()
    if which == "last":
        hint = "none was written yet"
        hint += ": take checkpoint=best" if has else f": {command('rlexp', 'resume', run.path)}"
    elif run.evaluations.is_dir():
        hint = "its best was not kept: take checkpoint=last"
    else:
        hint = "it was never evaluated: take checkpoint=last"
    raise UserError(f"{run.path} has no checkpoint {which!r}: {hint}")
