"""`rlexp train`: Hydra composes the config, the runner does the rest."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

from rlexp.errors import RunStopped, UserError, stopped_by
from rlexp.interrupt import Interrupted, exit_code
from rlexp.parent_process import follow_sweep
from rlexp.printable import complain, printable

HELP = """\
usage: rlexp train [key=value …] [Hydra's flags]

  rlexp train                                     CartPole with DQN, two minutes
  rlexp train env=mario agent=ddqn seed=1         choose components, set keys
  rlexp train experiment=mario_ddqn               a preset (rlexp list experiment)
  rlexp train -m agent.lr=1e-3,1e-4 seed=0,1,2    a sweep
  rlexp train env=mario --cfg job                 show the config, run nothing

Keys of the run: seed, total_steps, total_episodes, run_dir, log_every, report_every,
evaluation.every|episodes|gif, checkpoint.every|keep|archive_every.
Components: rlexp list. Keys of one: rlexp info agent=dqn. Hydra's own help: --hydra-help.
"""


# What ended a single run: Hydra would print a line of its own above it on its way.
_ended: list[Exception] = []


def task(cfg: Any) -> float | None:
    """Hydra's task: importable by name, so that sweep workers can find it."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    try:
        try:
            return _run(cfg)
        except SystemExit as ex:  # of an environment or a plugin, while things were being built
            raise stopped_by(ex) from ex
    except Exception as ex:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        _ended.append(ex)
        return None


def _run(cfg: Any) -> float:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from rlexp.config.compose import Composed, to_run_config
    from rlexp.config.setup import project_name, setup
    from rlexp.shell import quoted
    from rlexp.sweep import callback

    setup()
    hydra = HydraConfig.get()
    if callback.run_directory != ".":
        raise UserError(
            f"hydra.run.dir={callback.run_directory} has no effect on a run of rlexp, which makes "
            f"its own directory: write {quoted(f'run_dir={callback.run_directory}')}"
        )
    config = to_run_config(cfg)
    composed = Composed(config, list(hydra.overrides.task), project_name(hydra.runtime.choices))
    path = None
    if hydra.mode == RunMode.MULTIRUN:
        path = Path(hydra.sweep.dir) / hydra.sweep.subdir
    from rlexp import going_on
    from rlexp.sweep import search

    place = path or (Path(config.run_dir) if config.run_dir else None)
    if path is not None:
        config.resume = "auto"  # a job that was cut off goes on, whoever launches it
    report = None
    if place is not None and search.is_search(place.parent):
        config.resume = "auto"
        report = search.reporter(place, config.evaluation.every)
    return going_on.start_or_resume(composed, path, report).score


def main(argv: Sequence[str]) -> int:
    if "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0
    follow_sweep()
    from rlexp.config.setup import setup
    from rlexp.sweep import callback

    setup()
    wants_all = os.environ.get("HYDRA_FULL_ERROR") == "1"
    callback.folder = None
    try:
        _hydra(argv, wants_all)
        if _ended:
            raise _ended.pop()
        code = 0
    except UserError as ex:
        return _refused(str(ex), callback.folder)
    except (RunStopped, Interrupted) as ex:
        if callback.folder is None:
            print(f"rlexp: {printable(str(ex))}", file=sys.stderr)
        code = ex.code if isinstance(ex, Interrupted) else 1
    except KeyboardInterrupt as ex:
        code = exit_code(ex)
    except Exception as ex:
        mistake = None if wants_all else _mistake(ex, callback.folder)
        if mistake is not None:
            return _refused(mistake, callback.folder)
        _print_from_task(ex)
        code = 1
    if callback.folder is not None:
        from rlexp.sweep.finish import finish

        stopped = code > 128  # somebody waits for it to leave: no time for a figure
        failed = finish(callback.folder, None if stopped else callback.figure)
        code = code if stopped else failed or code
    return code


def _hydra(argv: Sequence[str], wants_all: bool) -> None:
    """Let Hydra compose and call the task; UserError for what it can't compose.

    `wants_all`: HYDRA_FULL_ERROR is set, and its exceptions come as they are.
    """
    import hydra

    from rlexp.config import argv as overrides
    from rlexp.config import explain, flags, paths

    line = flags.split(argv)
    args = overrides.prepare(line.overrides)
    fixed = overrides.fixed_keys(args)
    if fixed:  # what a sweep holds fixed stays out of its runs' names
        args.append(f"hydra.job.config.override_dirname.exclude_keys=[{','.join(fixed)}]")
    saved_argv, sys.argv = sys.argv, ["rlexp train", *args, *line.flags]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra.main then raises instead of printing and exiting
    decorate = hydra.main(
        version_base="1.3", config_path=str(paths.conf_dir()), config_name=paths.ROOT
    )
    said = io.StringIO()
    composing = nullcontext() if wants_all else explain.mistakes()
    # With --package Hydra writes what is wrong, and exits; all else of it raises.
    writing = redirect_stderr(said) if line.shows_config else nullcontext()
    try:
        with composing, writing:
            decorate(task)()
    except SystemExit as ex:
        if ex.code:
            raise UserError(said.getvalue().strip() or f"exit code {ex.code}") from ex
        raise
    finally:
        sys.argv = saved_argv
        if not wants_all:
            os.environ.pop("HYDRA_FULL_ERROR", None)


def _refused(mistake: str, folder: Path | None) -> int:
    """Tell a mistake on one line, and leave nothing of a sweep that never began."""
    from rlexp.sweep import callback

    complain(mistake)
    if folder is not None:
        callback.remove_if_nothing_ran(folder)
    return 2


def _mistake(ex: Exception, folder: Path | None) -> str | None:
    """Flags of Hydra's that do not go together, or a launcher whose cluster is not there: what they
    say, as long as no run has begun; None for all else."""
    files = [Path(frame.filename).as_posix() for frame in traceback.extract_tb(ex.__traceback__)]
    why = (str(ex).strip().splitlines() or [type(ex).__name__])[0]
    if isinstance(ex, ValueError) and files[-1].endswith("/hydra/_internal/utils.py"):
        return why
    theirs = any("/hydra_plugins/hydra_" in file for file in files)
    begun = folder is not None and any(path.is_dir() for path in folder.glob("*"))
    return f"hydra/launcher: {why}" if theirs and not begun else None


def _print_from_task(ex: Exception) -> None:
    """The traceback without Hydra's frames."""
    frame = ex.__traceback__
    while frame is not None and frame.tb_frame.f_code is not _run.__code__:
        frame = frame.tb_next
    traceback.print_exception(type(ex), ex, frame or ex.__traceback__)
