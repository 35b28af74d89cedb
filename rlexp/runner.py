"""One run from its config to its score: builds, checks, trains, and leaves a run directory."""

from __future__ import annotations

import logging
import shutil
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlexp import checkpoint, run_dir
from rlexp import device as devices
from rlexp.clock import Clock
from rlexp.config.compose import Composed, to_yaml
from rlexp.errors import UserError
from rlexp.run_dir import RunDir
from rlexp.schemas.run import RunConfig
from rlexp.seeds import derive
from rlexp.types import Env, State


@dataclass(frozen=True)
class Result:
    """Where a run lives and what it scored: its last evaluation's mean return, or training's."""

    run: RunDir
    score: float


def start(composed: Composed, path: str | Path | None = None) -> Result:
    """A new run. Every check comes before its directory is made."""
    config = composed.config
    devices.prepare()
    from rlexp import build

    if config.total_steps is None and config.total_episodes is None:
        raise UserError("total_steps and total_episodes are both null: the run would never end")
    env = build.env(config.env)
    try:
        plan = build.plan(config, env.spec)
        run = run_dir.create(
            composed.project, to_yaml(config), composed.overrides, path or config.run_dir
        )
    except BaseException:
        env.close()
        raise
    try:
        runner = Runner(config, run, env, plan)
    except UserError:
        # What only shows when networks and buffers are made: nothing has run, so leave nothing.
        env.close()
        run_dir.remove(run)
        raise
    return runner.run_to_end()


def resume(run: RunDir, config: RunConfig, folder: Path) -> Result:
    """Go on with a run from one of its full checkpoints, in its own directory."""
    devices.prepare()
    from rlexp import build

    about = checkpoint.manifest(folder)
    if about.kind != "full":
        raise UserError(f"{folder} holds weights alone: it can be evaluated, not resumed")
    state = checkpoint.load(folder)
    env = build.env(config.env)
    try:
        plan = build.plan(config, env.spec)
    except BaseException:
        env.close()
        raise
    return Runner(config, run, env, plan, state).run_to_end()


class Runner:
    """Wires the parts of one run around the loop."""

    def __init__(
        self, config: RunConfig, run: RunDir, env: Env, plan: Any, state: State | None = None
    ) -> None:
        from rlexp import build
        from rlexp.hooks import Checkpointer, Evaluator, Recorder
        from rlexp.loggers.base import Loggers

        self.config, self.run, self.env, self.plan = config, run, env, plan
        self.log = _file_log(run)
        self.team = build.team(config, plan, run.buffer)
        self.clock = Clock(config.total_steps, config.total_episodes)
        self.loggers = Loggers(build.loggers(config))
        self.recorder = Recorder(config.log_every, self.loggers)
        rows = min(config.evaluation.episodes, config.env.num_envs)
        self.evaluator = Evaluator(
            config.evaluation,
            lambda: build.env(config.env, rows),
            derive(config.seed, "evaluation"),
            run,
            self.loggers,
        )
        self.checkpointer = Checkpointer(config.checkpoint, run)
        if state is not None:
            self._restore(state)

    def run_to_end(self) -> Result:
        from rlexp.loggers.base import About
        from rlexp.loop import train

        about = About(self.run, asdict(self.config), self.clock.steps)
        self.run.write_status("running", steps=self.clock.steps)
        try:
            self.loggers.start(about)
            self._tell(f"run {self.run.path}: {self.plan}")
            if self.env.spec.resume == "none":
                self._tell("this environment can't be saved: a resumed run starts new games")
            self.recorder.start(self.clock.steps)
            with _told_warnings(self._tell):
                for turn in train(self.team, self.env, self.clock, derive(self.config.seed, "env")):
                    self.recorder.turn(turn)
                    self._between_turns()
                self.loggers.finish({"score": self.score()})
                self._draw()
        except BaseException as ex:
            self._fail(ex)
            raise
        finally:
            self.loggers.close()
            self.evaluator.close()
            self.env.close()
        score = self.score()
        self.run.write_status(
            "finished", steps=self.clock.steps, episodes=self.clock.episodes, score=score
        )
        print(f"rlexp: finished {self.run.path}, score {score:.6g}", file=sys.stderr)
        return Result(self.run, score)

    def _between_turns(self) -> None:
        """Evaluate, log and save what is due; everything is due at the end."""
        clock, config = self.clock, self.config
        last = not clock.running
        extra: dict[str, float] = {}
        if clock.crossed(config.evaluation.every) or (last and config.evaluation.every):
            extra = self._evaluate()
        if extra or last or clock.crossed(config.log_every):
            self.recorder.log(clock, self.team.metrics(), extra)
        if clock.crossed(config.checkpoint.archive_every):
            self.checkpointer.archive(self.state_dict(), clock)
        if last or clock.crossed(config.checkpoint.every):
            self._save()

    def _draw(self) -> None:
        """Learning curves, from what was logged."""
        if self.run.metrics.is_file():
            from rlexp.media import plots

            title = f"{self.config.agent.name} on {self.config.env.name}, seed {self.config.seed}"
            plots.curves(self.run.metrics, self.run.media / "curves.png", title)

    def _evaluate(self) -> dict[str, float]:
        began = time.monotonic()
        metrics, better = self.evaluator.evaluate(self.team, self.clock.steps)
        if better:
            self.checkpointer.save_best(self.state_dict(), self.clock)
        self.recorder.aside += time.monotonic() - began
        return metrics

    def _save(self) -> None:
        self.loggers.flush()
        self.checkpointer.save(self.state_dict(), self.clock)
        self.run.write_status("running", steps=self.clock.steps, episodes=self.clock.episodes)

    def score(self) -> float:
        """The last evaluation's mean return; without evaluation that of the last episodes."""
        if self.evaluator.last:
            return float(self.evaluator.last["return_mean"])
        summary = self.recorder.meter.summary()
        return float(next(iter(summary.values()))) if summary else float("nan")

    def state_dict(self) -> State:
        import torch

        return {
            "clock": self.clock.state_dict(),
            "team": self.team.state_dict(),
            "env": self.env.state_dict(),
            "recorder": self.recorder.state_dict(),
            "evaluator": self.evaluator.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }

    def _restore(self, state: State) -> None:
        import torch

        self.clock.load_state_dict(state["clock"])
        self.team.load_state_dict(state["team"])
        self.env.load_state_dict(state["env"])
        self.recorder.load_state_dict(state["recorder"])
        self.evaluator.load_state_dict(state["evaluator"])
        torch.set_rng_state(state["torch_rng"])
        for folder in self.run.full_checkpoints():
            if checkpoint.manifest(folder).step > self.clock.steps:
                shutil.rmtree(folder)

    def _tell(self, text: str) -> None:
        self.loggers.note(text)
        self.log.info(text)

    def _fail(self, ex: BaseException) -> None:
        interrupted = isinstance(ex, KeyboardInterrupt)
        state = "interrupted" if interrupted else "failed"
        error = f"{type(ex).__name__}: {ex}"
        self.log.error("%s\n%s", error, "".join(traceback.format_exception(ex)))
        try:
            self.run.write_status(state, steps=self.clock.steps, error=error)
        except OSError:
            pass  # a full disk: the first error is the one to tell


def _file_log(run: RunDir) -> logging.Logger:
    log = logging.getLogger(f"rlexp.run.{run.path.name}")
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in list(log.handlers):
        log.removeHandler(handler)
    handler = logging.FileHandler(run.log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    return log


class _told_warnings(warnings.catch_warnings):
    """Our own warnings become notes of the run; each is told once."""

    def __init__(self, tell: Any) -> None:
        super().__init__(record=False)
        self.tell = tell

    def __enter__(self) -> None:  # type: ignore[override]
        super().__enter__()
        before, told = warnings.showwarning, set()

        def show(message: Any, category: Any, filename: str, *rest: Any, **more: Any) -> None:
            if "rlexp" not in filename:
                before(message, category, filename, *rest, **more)
            elif str(message) not in told:
                told.add(str(message))
                self.tell(f"note: {message}")

        warnings.showwarning = show
