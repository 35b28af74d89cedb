"""hydra/launcher=local: the jobs of a sweep as processes on this machine."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from rlexp.errors import RunStopped, UserError
from rlexp.sweep.place import PACKAGE, GridSweeper


@dataclass
class LocalConfig:
    _target_: str = f"{PACKAGE}.LocalLauncher"
    # Jobs at once; null takes one a core.
    n_jobs: int | None = None


class _Ended(JobReturn):
    """A job's end, which raises what ended it without Hydra's line above: ours says more."""

    @property
    def return_value(self) -> Any:
        if self.status == JobStatus.FAILED:
            raise self._return_value
        return self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


class LocalLauncher(Launcher):
    """Turns Hydra's batches of overrides into jobs (jobs.py) and their ends into JobReturns."""

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = n_jobs
        self.config: Any = None
        self.context: Any = None

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self.config, self.context = config, hydra_context

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from rlexp import trust
        from rlexp.sweep import jobs, plan
        from rlexp.sweep.lock import held

        if self.n_jobs is not None and self.n_jobs < 1:
            raise UserError(f"hydra.launcher.n_jobs={self.n_jobs} must be at least 1, or null")
        planned = plan.plan(self.config, self.context, job_overrides, initial_job_idx)
        folder = Path(str(self.config.hydra.sweep.dir))
        plan.refuse_other_runs(folder, planned)
        for each in planned:
            trust.remember(trust.training(each.config))
        folder = folder.absolute()
        with held(folder):
            to_do = plan.to_do(folder, planned)
            jobs.write_manifest(folder, [each.job for each in planned])
            if len(to_do) < len(planned):
                done = len(planned) - len(to_do)
                print(f"rlexp: {done} of {len(planned)} runs are finished", file=sys.stderr)
            jobs.run_jobs(folder, to_do, self.n_jobs)
        return [self._returned(jobs.outcome(folder, each.job), each.composed) for each in planned]

    @staticmethod
    def _returned(end: Any, config: Any) -> JobReturn:
        found = _Ended(overrides=end.job.overrides, cfg=config, hydra_cfg=config)
        found.working_dir, found.task_name = end.job.name, "rlexp"
        if end.state == "finished":
            found.status, found.return_value = JobStatus.COMPLETED, end.score
        else:
            found.status = JobStatus.FAILED
            found.return_value = RunStopped(f"{end.job.name}: {end.error or end.state}")
        return found


LocalLauncher.__module__ = PACKAGE


def register() -> None:
    """Make launcher and sweeper known to Hydra without a top-level hydra_plugins folder."""
    plugins = Plugins.instance()  # looks for installed hydra_plugins first
    parent = sys.modules.get("hydra_plugins")
    if parent is None:
        parent = sys.modules["hydra_plugins"] = types.ModuleType("hydra_plugins")
        parent.__path__ = []  # type: ignore[attr-defined]
    module = types.ModuleType(PACKAGE)
    from rlexp.sweep.optuna_sweeper import OptunaConfig, OptunaSweeper

    module.LocalLauncher = LocalLauncher  # type: ignore[attr-defined]
    module.OptunaSweeper = OptunaSweeper  # type: ignore[attr-defined]
    module.GridSweeper = GridSweeper  # type: ignore[attr-defined]
    sys.modules[PACKAGE] = module
    parent.rlexp = module  # type: ignore[attr-defined]
    store = ConfigStore.instance()
    store.store(group="hydra/launcher", name="local", node=LocalConfig, provider="rlexp")
    store.store(group="hydra/sweeper", name="optuna", node=OptunaConfig, provider="rlexp")
    # Instead of Hydra's own of that name, which is everybody's default.
    grid = BasicSweeperConf(_target_=f"{PACKAGE}.GridSweeper")
    store.store(group="hydra/sweeper", name="basic", node=grid, provider="rlexp")
    plugins.register(LocalLauncher)
    plugins.register(GridSweeper)
    plugins.register(OptunaSweeper)
