"""A search's side that needs no Hydra: its study, its trials, and what a trial reports.

SWEEP/search.json says what is searched, SWEEP/study.journal holds Optuna's study (a file that only
grows, so that it needs no database and no locks of one). A run whose directory lies in such a sweep
reports its evaluations there, and stops where the study's pruner says so; it finds its trial by the
number that its directory's name begins with.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlexp import safe_files, strict_json
from rlexp.config.path_values import verbatim
from rlexp.errors import RunStopped, UserError
from rlexp.run_dir import RunDir, write_text
from rlexp.seeds import derive

if TYPE_CHECKING:
    from rlexp.clock import Clock

FILE, JOURNAL, STUDY = "search.json", "study.journal", "search"
SAMPLERS = ("tpe", "random", "quasi_random", "gp", "cmaes")
PRUNERS = ("none", "median", "halving")


class Pruned(RunStopped):
    """The search sees no point in going on with this run."""

    state = "pruned"


@dataclass(frozen=True)
class Search:
    """search.json. `space`: key → the values it may have, as they were asked for; `arguments`: the
    command line that began it."""

    direction: str
    pruner: str
    startup_trials: int
    warmup_evaluations: int
    fixed: list[str]
    space: dict[str, str]
    arguments: list[str]

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / FILE, strict_json.dumps(asdict(self), indent=1) + "\n")


def is_search(folder: Path) -> bool:
    return (folder / FILE).is_file()


def read(folder: Path) -> Search:
    try:
        return Search(**json.loads(safe_files.read_text(folder / FILE, folder)))
    except (OSError, ValueError, TypeError) as ex:
        raise UserError(f"{folder / FILE} can't be read: {ex}") from ex


def library() -> Any:
    """Optuna, quiet; UserError where it is not installed."""
    try:
        import optuna
    except ImportError as ex:
        raise UserError(
            f"hydra/sweeper=optuna needs Optuna ({ex}): pip install 'rlexp[optuna]'"
        ) from ex
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", module="optuna")
    return optuna


def study(folder: Path, search: Search) -> Any:
    """The study of a sweep's directory, begun or gone on with."""
    optuna = library()
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = folder / JOURNAL
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(
        study_name=STUDY,
        storage=storage,
        direction=search.direction,
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
        pruner=pruner(search),
    )


def mend(folder: Path) -> None:
    """Take off the half line that a killed process left; nobody else may write meanwhile."""
    path = folder / JOURNAL
    if path.is_file():
        text = path.read_bytes()
        if not text.endswith(b"\n"):
            os.truncate(path, text.rfind(b"\n") + 1)


def sampler(name: str, seed: int, trial: int, startup_trials: int) -> Any:
    """A new one for every trial, so that a resumed search proposes what it would have proposed."""
    samplers = library().samplers
    if name == "quasi_random":  # one sequence for all trials
        return samplers.QMCSampler(scramble=True, seed=seed)
    seed = derive(seed, f"trial {trial}")
    if name == "random":
        return samplers.RandomSampler(seed)
    if name == "gp":
        return samplers.GPSampler(seed=seed, n_startup_trials=startup_trials)
    if name == "cmaes":
        try:
            import cmaes  # noqa: F401
        except ImportError as ex:
            raise UserError("hydra.sweeper.sampler=cmaes needs: pip install cmaes") from ex
        return samplers.CmaEsSampler(seed=seed, n_startup_trials=startup_trials)
    return samplers.TPESampler(seed=seed, n_startup_trials=startup_trials)


def pruner(search: Search) -> Any:
    pruners = library().pruners
    if search.pruner == "median":
        return pruners.MedianPruner(search.startup_trials, search.warmup_evaluations + 1)
    if search.pruner == "halving":
        return pruners.SuccessiveHalvingPruner(
            min_resource=search.warmup_evaluations + 1, reduction_factor=2
        )
    return pruners.NopPruner()


def reporter(run: Path, every: int | str | None) -> Callable[[Clock], None] | None:
    """What a run of a search calls between its turns; None for one of no search, or unpruned.

    Evaluations count, not steps: trials with other numbers of rows are compared all the same.
    """
    folder = run.absolute().parent
    number = re.match(r"\d+", run.name)
    if every is None or number is None or not is_search(folder):
        return None
    search = read(folder)
    if search.pruner == "none":
        return None
    trial = _trial(study(folder, search), int(number[0]))
    if trial is None:
        return None

    def report(clock: Clock) -> None:
        if not clock.crossed(every) or not clock.running:
            return
        from rlexp.clock import parse_every

        period, unit = parse_every(every)
        count = (clock.episodes if unit == "episodes" else clock.steps) // period
        file = RunDir(run).evaluations / f"step_{clock.steps:09d}.json"
        mean = json.loads(file.read_text())["greedy"]["return_mean"]
        score = float("nan") if mean is None else float(mean)
        trial.report(score, count)
        if trial.should_prune():
            raise Pruned(f"pruned after evaluation {count} with {score:g}", score)

    return report


def _trial(found: Any, number: int) -> Any:
    optuna = library()
    running = found.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    for trial in running:
        if trial.number == number:
            return optuna.trial.Trial(found, trial._trial_id)
    return None


def best(folder: Path) -> str | None:
    """The best run of a search, and the command that makes it again; None without one."""
    from rlexp.report import facts
    from rlexp.report.reading import Run

    search = read(folder)
    runs = [
        Run(RunDir(path.parent), path.parent.name)
        for path in sorted(folder.glob("[0-9]*/status.json"))
    ]
    scored = [run for run in runs if run.state == "finished" and run.score is not None]
    if not scored:
        return None
    sign = -1 if search.direction == "minimize" else 1
    winner = max(scored, key=lambda run: sign * (run.score or 0.0))
    states = [run.state for run in runs]
    counts = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
    command = facts.again(winner)
    record = {"run": winner.name, "score": winner.score, "command": command}
    write_text(folder / "best.json", strict_json.dumps(record, indent=1) + "\n")
    return (
        f"best of {len(runs)} trials ({counts}): {winner.name}, score {winner.score:g}\n  {command}"
    )


def resume_arguments(folder: Path, overrides: list[str], trusted: bool = False) -> list[str]:
    """The command line that goes on with a search; a few keys of it may be new."""
    from rlexp import trust

    safe_files.check_tree(folder)
    allowed = ("hydra.sweeper.n_trials=", "hydra.sweeper.n_jobs=", "hydra.launcher.")
    for arg in overrides:
        if not arg.startswith(allowed):
            raise UserError(
                f"{arg}: a search goes on with its own overrides; only hydra.sweeper.n_trials=N, "
                "hydra.sweeper.n_jobs=N and hydra.launcher.… may be given"
            )
    names = {arg.partition("=")[0] for arg in overrides}
    kept = [str(a) for a in read(folder).arguments if str(a).partition("=")[0] not in names]
    trust.require(trust.command_line(kept), folder, trusted)
    return ["-m", *kept, *overrides, f"run_dir={verbatim(str(folder))}"]
