"""hydra/sweeper=optuna: a search instead of a grid. Thin: Optuna proposes, a launcher runs."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf, open_dict

from rlexp import trust
from rlexp.errors import UserError, did_you_mean
from rlexp.run_dir import RunDir
from rlexp.shell import command
from rlexp.sweep import plan, search
from rlexp.sweep.jobs import is_sweep, jobs_of, read_manifest
from rlexp.sweep.launcher import LocalLauncher
from rlexp.sweep.place import PACKAGE, taken
from rlexp.sweep.search import PRUNERS, SAMPLERS, Search


@dataclass
class OptunaConfig:
    _target_: str = f"{PACKAGE}.OptunaSweeper"
    # Trials in all; of a search that goes on, those of before count.
    n_trials: int = 20
    # Trials at once.
    n_jobs: int = 1
    # tpe, random, quasi_random, gp, or cmaes.
    sampler: str = "tpe"
    # What stops a trial early, judging by its evaluations: none, median, or halving.
    pruner: str = "median"
    # Trials before the sampler learns from them, and before any is pruned.
    startup_trials: int = 5
    # Evaluations of a trial before it may be pruned.
    warmup_evaluations: int = 1
    # maximize or minimize the score.
    direction: str = "maximize"
    # Of the sampler.
    seed: int = 0
    # What to search, in a file: agent.lr: tag(log, interval(1e-5, 1e-2))
    params: dict[str, str] = field(default_factory=dict)


class OptunaSweeper(Sweeper):
    """Spaces are Hydra's sweeps: a,b; range(…); interval(low, high); tag(log, interval(…))."""

    def __init__(self, **options: Any) -> None:
        self.options = OptunaConfig(**options)
        self.config: Any = None
        self.context: Any = None
        self.hydra_context: Any = None
        self.launcher: Any = None

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        from hydra.core.plugins import Plugins

        self._check()
        self.config, self.hydra_context = config, hydra_context
        n_jobs = OmegaConf.select(config, "hydra.launcher.n_jobs", default=0)
        if n_jobs is None:  # our own launcher: as many as there are trials at once
            with open_dict(config):
                config.hydra.launcher.n_jobs = self.options.n_jobs
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def _check(self) -> None:
        choices = {"sampler": SAMPLERS, "pruner": PRUNERS, "direction": ("maximize", "minimize")}
        for name, known in choices.items():
            value = getattr(self.options, name)
            if value not in known:
                hint = did_you_mean(value, known)
                raise UserError(f"hydra.sweeper.{name}={value} is not known.{hint}")
        for name, low in (
            ("n_trials", 1),
            ("n_jobs", 1),
            ("startup_trials", 0),
            ("warmup_evaluations", 0),
        ):
            if getattr(self.options, name) < low:
                raise UserError(f"hydra.sweeper.{name} must be at least {low}")
        search.library()
        search.sampler(self.options.sampler, 0, 0, 0)

    def sweep(self, arguments: list[str]) -> float | None:
        options = self.options
        fixed, space, texts = self._space(arguments)
        folder = Path(str(self.config.hydra.sweep.dir)).absolute()
        asked = Search(
            options.direction, options.pruner, options.startup_trials, options.warmup_evaluations,
            fixed, texts, self._arguments(),
        )  # fmt: skip
        self._validate(fixed, space)
        if search.is_search(folder):
            _refuse_another(folder, search.read(folder), asked)
            self._refuse_edited(folder)
        with taken(folder, searched=True):
            trust.remember(trust.command_line(asked.arguments))
            asked.write(folder)
            search.mend(folder)
            study = search.study(folder, asked)
            while batch := self._next(study, space):
                self._run(folder, study, batch, fixed)
        done = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
        return float(study.best_value) if done else None

    def _arguments(self) -> list[str]:
        """The command line, but what `rlexp train` adds to it itself."""
        ours = ("hydra.mode=", "hydra.job.config.override_dirname.exclude_keys=", "run_dir=")
        given = [*self.config.hydra.overrides.hydra, *self.config.hydra.overrides.task]
        return [str(arg) for arg in given if not str(arg).startswith(ours)]

    def _space(self, arguments: Sequence[str]) -> tuple[list[str], dict[str, Any], dict[str, str]]:
        """(fixed overrides, key → distribution, key → what was written)."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = [f"{key}={value}" for key, value in self.options.params.items()]
        found = {o.get_key_element(): o for o in parser.parse_overrides([*given, *arguments])}
        fixed, space, texts = [], {}, {}
        for key, override in found.items():
            if override.is_sweep_override():
                space[key] = self._distribution(key, override)
                texts[key] = str(override.input_line).partition("=")[2]
            elif override.is_delete():
                fixed.append(str(override.input_line))
            elif key not in ("run_dir", "resume"):
                fixed.append(f"{key}={override.get_value_element_as_str()}")
        if not space:
            raise UserError(
                "hydra/sweeper=optuna has nothing to search: "
                "give a key an interval, such as 'agent.lr=tag(log,interval(1e-5,1e-2))'"
            )
        return fixed, space, texts

    def _distribution(self, key: str, override: Any) -> Any:
        """Hydra's sweep of a key as Optuna has it; whole numbers where the key's value is one."""
        from hydra.core.override_parser.types import IntervalSweep, RangeSweep

        kinds = search.library().distributions
        value = override.value()
        try:
            if isinstance(value, IntervalSweep):
                low, high = float(value.start or 0), float(value.end or 0)
                log = "log" in value.tags
                now = OmegaConf.select(self.config, key)
                if "int" in value.tags or (isinstance(now, int) and not isinstance(now, bool)):
                    return kinds.IntDistribution(round(low), round(high), log=log)
                return kinds.FloatDistribution(low, high, log=log)
            if isinstance(value, RangeSweep):
                numbers = [float(v) for v in override.sweep_iterator()]
                step = numbers[1] - numbers[0] if len(numbers) > 1 else 1.0
                if all(n.is_integer() for n in numbers):
                    return kinds.IntDistribution(int(numbers[0]), int(numbers[-1]), step=int(step))
        except ValueError as ex:
            raise UserError(f"{override.input_line}: {ex}") from ex
        return kinds.CategoricalDistribution(list(override.sweep_string_iterator()))

    def _validate(self, fixed: list[str], space: dict[str, Any]) -> None:
        """Both ends of every range make a config, in a directory of its own: before anything is
        written."""
        ends = []
        for end in (0, -1):
            values = {key: _ends(kind)[end] for key, kind in space.items()}
            ends.append([*fixed, *(_override(k, v) for k, v in values.items())])
        plan.plan(self.config, self.hydra_context, ends, first_number=0)

    def _refuse_edited(self, folder: Path) -> None:
        """UserError where a YAML file was edited, so that a trial's overrides make another run.

        The first trial stands for all, since composing takes its time.
        """
        for job in jobs_of(folder):
            if plan.has_results(RunDir(folder / job.name)):
                (planned,) = plan.plan(self.config, self.hydra_context, [job.overrides], job.number)
                plan.refuse_other_runs(folder, [planned])
                return

    def _next(self, study: Any, space: dict[str, Any]) -> dict[int, dict[str, Any]]:
        """Trial number → values, of n_jobs trials at most: those that were cut off, else new."""
        trials = study.get_trials(deepcopy=False)
        cut_off = {t.number: dict(t.params) for t in trials if t.state.name == "RUNNING"}
        for number, values in list(cut_off.items()):
            if set(values) != set(space):  # killed while it was proposed: nobody knows what with
                study.tell(number, state=search.library().trial.TrialState.FAIL)
                del cut_off[number]
        if cut_off:
            return dict(list(cut_off.items())[: self.options.n_jobs])
        found = {}
        for number in range(
            len(trials), min(len(trials) + self.options.n_jobs, self.options.n_trials)
        ):
            study.sampler = search.sampler(
                self.options.sampler, self.options.seed, number, self.options.startup_trials
            )
            trial = study.ask(space)
            found[trial.number] = dict(trial.params)
        return found

    def _run(
        self, folder: Path, study: Any, batch: dict[int, dict[str, Any]], fixed: list[str]
    ) -> None:
        overrides = [
            [*fixed, *(_override(k, v) for k, v in values.items())] for values in batch.values()
        ]
        numbers = list(batch)
        try:
            if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
                self.launcher.launch(overrides, initial_job_idx=numbers[0])
            else:
                for number, each in zip(numbers, overrides, strict=True):
                    self.launcher.launch([each], initial_job_idx=number)
        except Exception as ex:
            if isinstance(self.launcher, LocalLauncher) or isinstance(ex, UserError):
                raise
            # Other launchers raise for a job that was killed; the trials' directories tell which.
            why = (str(ex).splitlines() or [""])[0]
            print(f"rlexp: {type(ex).__name__}: {why}", file=sys.stderr)
        for number in numbers:
            _tell(study, number, _status(folder, number))


def _tell(study: Any, number: int, status: dict[str, Any]) -> None:
    """What became of a trial; one that failed is one that failed, and the search goes on."""
    score, state = status.get("score"), status["state"]
    if state == "finished" and isinstance(score, int | float) and math.isfinite(score):
        study.tell(number, float(score))
        return
    states = search.library().trial.TrialState
    study.tell(number, state=states.PRUNED if state == "pruned" else states.FAIL)
    if state != "pruned":
        print(f"rlexp: trial {number} failed; the search goes on", file=sys.stderr)


def _status(folder: Path, number: int) -> dict[str, Any]:
    jobs = read_manifest(folder) if is_sweep(folder) else []
    names = [folder / job.name for job in jobs if job.number == number]
    if not names:  # other launchers than ours write no list while they run
        names = [*folder.glob(f"{number:03d}_*"), folder / f"{number:03d}"]
    found = [RunDir(path).read_status() for path in names if path.is_dir()]
    return found[0] if found else {"state": "missing"}


def _ends(kind: Any) -> tuple[Any, Any]:
    if hasattr(kind, "choices"):
        return kind.choices[0], kind.choices[-1]
    return kind.low, kind.high


def _override(key: str, value: Any) -> str:
    return f"{key}={value if isinstance(value, str) else repr(value)}"


def _refuse_another(folder: Path, saved: Search, current: Search) -> None:
    """UserError that names what differs: a study is about one thing."""
    differing = []
    for name in ("direction", "pruner", "startup_trials", "warmup_evaluations"):
        before, now = getattr(saved, name), getattr(current, name)
        if before != now:
            differing.append(f"hydra.sweeper.{name} is {before} there, {now} here")
    for before, now in (
        (saved.space, current.space),
        (_by_key(saved.fixed), _by_key(current.fixed)),
    ):
        differing += [
            f"{key} is {before.get(key, 'absent')} there, {now.get(key, 'absent')} here"
            for key in dict.fromkeys([*before, *now])
            if before.get(key) != now.get(key)
        ]
    if differing:
        raise UserError(
            f"{folder} holds another search: {'; '.join(differing)}. "
            f"Resume that one: {command('rlexp', 'resume', folder)}. "
            "For this one, give another run_dir"
        )


def _by_key(overrides: Sequence[str]) -> dict[str, str]:
    """Overrides as key → value; a key that is taken out (~key) has the value "taken out"."""
    pairs = (override.partition("=") for override in overrides)
    return {key: value if equals else "taken out" for key, equals, value in pairs}


OptunaSweeper.__module__ = PACKAGE
