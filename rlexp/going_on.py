"""Runs that go on: after a kill, with more steps, requeued, or as another run's fork."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rlexp import locate, new_run, run_dir, runner, starting, step_folders, strict_json, trust
from rlexp.changes import (
    Change,
    changes,
    refuse_another_run,
    refuse_unsafe,
    resume_command,
    table,
)
from rlexp.checkpoint import Manifest
from rlexp.config.compose import Composed, load, to_yaml
from rlexp.config.setup import slug
from rlexp.errors import UserError
from rlexp.printable import printable
from rlexp.run_dir import RunDir
from rlexp.safe_files import check_tree
from rlexp.schemas.run import RunConfig
from rlexp.shell import command, train_with
from rlexp.step_folders import step_of


def _with_its_weights(run: RunDir) -> str:
    begin = train_with(f"agent.init_from={run.path}")
    return f"Begin a new run with these weights instead: {begin}"


def start_or_resume(
    composed: Composed, path: str | Path | None = None, each_turn: runner.EachTurn | None = None
) -> runner.Result:
    """A new run, or with `resume=auto` the one that is already in `run_dir`."""
    config = composed.config
    place = path or config.run_dir
    if config.resume != "auto":
        return starting.start(composed, place, each_turn)
    if place is None:
        raise UserError("resume=auto needs run_dir=…: where the run to go on with would be")
    run = RunDir(Path(place))
    if not (run.config.is_file() and run.full_checkpoints()):
        return starting.start(composed, place, each_turn)
    found = changes(load(run.config), config)
    refuse_unsafe(found, _with_its_weights(run))
    on_purpose = resume_command(run, found)
    refuse_another_run(
        run,
        found,
        "resume=auto resumes only the run that this command would start: take another run_dir"
        + (f", or change the run: {on_purpose}" if on_purpose else ""),
    )
    return go_on(run, config, found, each_turn)


def resume(path: str, overrides: Sequence[str] = (), trusted: bool = False) -> runner.Result:
    """`rlexp resume`: go on from the newest whole checkpoint, in the same directory."""
    located = locate.locate(path)
    run = located.run
    if located.checkpoint is not None:
        raise UserError(_not_from_there(run, located.checkpoint))
    asked, saved = load(run.config, overrides), load(run.config)
    _require(run, saved, asked, trusted)
    if new_run.only_set_up(run):
        return _start(run, asked, overrides)
    return go_on(run, asked, changes(saved, asked))


def _not_from_there(run: RunDir, folder: Path) -> str:
    from rlexp.checkpoint import manifest

    about = manifest(folder)
    full = about.kind == "full"
    fork = command("rlexp", "fork", Path(f"{run.path}@{about.step}"))
    return (
        f"a run goes on from its newest checkpoint: {command('rlexp', 'resume', run.path)}. "
        f"From another one: {fork if full else train_with(f'agent.init_from={folder}')}"
    )


def _start(run: RunDir, config: RunConfig, overrides: Sequence[str]) -> runner.Result:
    """Start a run that was killed while it was set up; nothing is lost by that."""
    from rlexp.report.reading import Run
    from rlexp.sweep.jobs import own_overrides

    given = [*Run(run, run.path.name).overrides, *overrides]
    facts = json.loads(run.read_text(run.system))
    if "parent" in facts:
        parent = Path(f"{facts['parent']['run']}@{facts['parent']['step']}")
        place = f"run_dir={run.path}"
        again = command("rlexp", "fork", parent, *own_overrides(given), place)
        raise UserError(f"{run.path} was killed before its parent was copied: {again}")
    tell(f"{run.path} was killed while it was set up: it is started now")
    composed = Composed(config, given, str(facts["project"]))
    return starting.start(composed, run.path, remember=False)


def _require(run: RunDir, saved: RunConfig, asked: RunConfig, trusted: bool) -> None:
    """UserError unless the user agrees to what the config in a run's folder names."""
    named = trust.of_saved(trust.training(saved, run.path), trust.training(asked, run.path))
    trust.require(named, run.path, trusted)


def go_on(
    run: RunDir,
    config: RunConfig,
    found: list[Change],
    each_turn: runner.EachTurn | None = None,
) -> runner.Result:
    """Say what changes, refuse what can't, and run to the (new) end."""
    check_tree(run.path)
    refuse_unsafe(found, _with_its_weights(run))
    run.refuse_in_use()
    seen = _as_it_is(run)
    folder, problems = locate.whole_checkpoint(run)
    found = [change for change in found if change.key not in ("run_dir", "resume")]
    if found:
        tell(table(found))
    for problem in problems:
        tell(f"{problem}; going on from {folder.name}")
    finished = _finished(run, config, folder)
    if finished is not None:
        return finished
    had_lock = run.lock_file.exists()
    with run.lock():  # nothing is written before, since another process might have the run
        if _as_it_is(run) != seen:
            again = command("rlexp", "resume", run.path)
            raise UserError(f"another process has just worked on {run.path}: {again}")
        step_folders.tidy(run.checkpoints)
        folder = run.checkpoint(step_of(folder))
        before = {file: file.read_text() for file in (run.config, run.history) if file.is_file()}
        if found:
            run_dir.write_text(run.config, to_yaml(config))
        _remember(run, step_of(folder), found)
        tell(f"going on with {run.path} from step {step_of(folder):,}")
        try:
            return runner.resume(run, config, folder, each_turn)
        except UserError:  # it can't go on like this, so it did not
            run.history.unlink(missing_ok=True)
            for file, text in before.items():
                run_dir.write_text(file, text)
            if not had_lock:
                run.lock_file.unlink(missing_ok=True)
            raise


def _as_it_is(run: RunDir) -> tuple[str, list[Path]]:
    """Return what a process that works on a run changes."""
    return run.read_text(run.config), run.full_checkpoints()


def _finished(run: RunDir, config: RunConfig, folder: Path) -> runner.Result | None:
    """Return the result of a run that has ended; None where training or its end is still owed."""
    from rlexp.checkpoint import manifest

    about = manifest(folder)
    if _left(config, about):
        return None
    status = run.read_status()
    # It had ended well; its process then died of something else, and its sweep noted that.
    noted = status["state"] == "failed" and "metric" in status
    if status["state"] not in ("finished", "pruned") and not noted:
        return None
    if config.total_steps is not None and about.step > config.total_steps:
        tell(f"total_steps={config.total_steps} is less than the {about.step:,} steps it has")
    enough = config.total_steps is not None and about.step >= config.total_steps
    more = "total_steps" if enough else "total_episodes"
    tell(
        f"{run.path} is finished: {about.step:,} steps, {about.episodes:,} episodes. "
        f"A larger {more} goes on."
    )
    score = status.get("score")
    if noted:
        kept = {key: status[key] for key in ("episodes", "score", "metric") if key in status}
        run.write_status("finished", steps=about.step, **kept)
    return runner.Result(run, float(score) if score is not None else float("nan"))


def _left(config: RunConfig, about: Manifest) -> bool:
    """Neither limit is reached."""
    steps = config.total_steps is None or about.step < config.total_steps
    return steps and (config.total_episodes is None or about.episodes < config.total_episodes)


def _remember(run: RunDir, step: int, found: list[Change]) -> None:
    """history.json: every time the run went on."""
    entries = json.loads(run.history.read_text()) if run.history.is_file() else []
    made = {change.key: [change.saved, change.asked] for change in found}
    entries.append({"time": time.time(), "from_step": step, "changes": made})
    run_dir.write_text(run.history, strict_json.dumps(entries, indent=1, as_text=True) + "\n")


def fork(path: str, overrides: Sequence[str] = (), trusted: bool = False) -> runner.Result:
    """`rlexp fork RUN@STEP`: a new run that goes on from a checkpoint of another."""
    name, which = locate.at_step(path)
    located = locate.locate(name)
    parent = located.run
    saved = load(parent.config)
    asked = load(parent.config, overrides)
    _require(parent, saved, asked, trusted)
    asked_dir = asked.run_dir if asked.run_dir != saved.run_dir else None
    asked.run_dir, asked.resume = asked_dir, None
    found = [c for c in changes(saved, asked) if c.key not in ("run_dir", "resume")]
    refuse_unsafe(found, _with_its_weights(parent))
    from rlexp import checkpoint

    def leaves_some(full: Path) -> bool:
        try:
            return _left(asked, checkpoint.verify(full))
        except UserError:  # damaged
            return False

    folder = located.checkpoint or locate.choose_full(parent, which or "last", leaves_some)
    about = checkpoint.verify(folder)
    if about.kind != "full":
        raise UserError(
            f"{folder} holds weights alone, a fork needs all: "
            f"{train_with(f'agent.init_from={folder}')}"
        )
    if not _left(asked, about):
        raise UserError(
            f"a fork at step {about.step} has nothing left to do: total_steps={asked.total_steps}, "
            f"total_episodes={asked.total_episodes}. Give it a larger limit"
        )
    # A stranger's project is a name, not a way out of outputs/.
    facts = json.loads(parent.read_text(parent.system))
    project = slug(str(facts.get("project", ""))) or "forks"
    facts = {"parent": {"run": str(parent.path), "step": about.step}}
    new = new_run.create(project, to_yaml(asked), list(overrides), asked_dir, **facts)
    with new:
        try:
            _copy(parent, folder, about.step, new.run)
            if found:
                tell(table(found))
            tell(f"{new.run.path} forks {parent.path} at step {about.step:,}")
            return runner.resume(new.run, asked, new.run.checkpoint(about.step))
        except UserError:  # it can't be built like this: nothing has run, leave nothing
            new.undo()
            raise


def _copy(parent: RunDir, folder: Path, step: int, child: RunDir) -> None:
    """Give a fork what its parent had at a step. Its checkpoint makes it a run."""
    if parent.metrics.is_file():
        shutil.copyfile(parent.metrics, child.metrics)
    _copy_checkpoint(folder, child.checkpoint(step))
    child.link("last", child.checkpoint(step))
    for path in [path for path in parent.bests() if step_of(path) <= step][-1:]:
        _copy_checkpoint(path, child.best(step_of(path)))
        child.link("best", child.best(step_of(path)))


def _copy_checkpoint(source: Path, target: Path) -> None:
    writing = target.with_name(step_folders.WRITING)
    shutil.copytree(source, writing, copy_function=_link)
    step_folders.put(writing, target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def tell(text: str) -> None:
    text = printable(text)
    print(f"rlexp: {text}" if "\n" not in text else text, file=sys.stderr)
