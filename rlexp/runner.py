"""One run from its parts to its score: wires them, trains, and leaves a run directory."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rlexp import checkpoint, failure, run_dir
from rlexp import device as devices
from rlexp.clock import Clock
from rlexp.config import paths
from rlexp.errors import RunStopped, UserError
from rlexp.evaluate import Repetition
from rlexp.interrupt import Interrupted, Interrupts
from rlexp.printable import printable
from rlexp.run_dir import RunDir
from rlexp.run_log import ToldWarnings, file_log
from rlexp.schemas.run import RunConfig
from rlexp.seeds import derive
from rlexp.types import Env, State

EachTurn = Callable[[Clock], None]


@dataclass(frozen=True)
class Result:
    """Where a run lives and what it scored: its last evaluation's mean return, or training's."""

    run: RunDir
    score: float


def resume(
    run: RunDir, config: RunConfig, folder: Path, each_turn: EachTurn | None = None
) -> Result:
    """Go on with a run from one of its full checkpoints, in its own directory.

    Who calls this holds the directory's lock.
    """
    devices.prepare()
    from rlexp import build

    state = checkpoint.load(folder)
    env = build.env(config.env)
    try:
        runner = Runner(config, run, env, build.plan(config, env.spec), state)
        runner.open()
    except BaseException:
        env.close()
        raise
    return runner.run_to_end(each_turn)


class Runner:
    """Wires the parts of one run around the loop."""

    def __init__(
        self, config: RunConfig, run: RunDir, env: Env, plan: Any, state: State | None = None
    ) -> None:
        from rlexp import build
        from rlexp.hooks import Evaluator, Recorder
        from rlexp.loggers.base import Loggers
        from rlexp.loggers.guarded import guarded
        from rlexp.media.pictures import Album, Scene, picture_class
        from rlexp.saver import Saver

        self.config, self.run, self.env, self.plan = config, run, env, plan
        self.log = file_log(run)
        self.team = build.team(config, plan, run.buffer)
        self.clock = Clock(config.total_steps, config.total_episodes)
        self.loggers = Loggers(guarded(build.loggers(config), self._tell))
        self.recorder = Recorder(config.log_every, self.loggers)
        rows = min(config.evaluation.episodes, config.env.num_envs)

        def make_env(held_out: bool = True) -> Env:
            return build.env(config.env, rows, evaluation=held_out)

        self.evaluator = Evaluator(
            config.evaluation,
            make_env,
            build.has_splits(config.env),
            derive(config.seed, "evaluation"),
            run,
            self.loggers,
            partial(Repetition.of, needs=plan.agent_class.needs, num_envs=config.env.num_envs),
            self._check,
        )
        self.saver = Saver(config.checkpoint, run)
        scene = Scene(run, config, self.team, env, make_env, self.loggers)
        self.album = Album([picture_class(name) for name in config.pictures], scene)
        self.interrupts = Interrupts(self._stopped_at_once)
        # An evaluation was interrupted: what the last turn owes is done when the run goes on.
        self.owing = self.begun = False
        self.ended = False  # what the last turn owes is done
        if state is not None:
            self._restore(state)

    def open(self) -> None:
        """Start the loggers; UserError, and the run as it was, where a service can't be had."""
        from rlexp.loggers.base import About

        try:
            self.loggers.start(About(self.run, asdict(self.config), self.clock.steps))
        except BaseException as ex:
            told = ex if isinstance(ex, UserError) else self._failed(ex)
            self._close(quietly=True)
            raise told from ex

    def run_to_end(self, each_turn: EachTurn | None = None) -> Result:
        """Trains until a limit is reached; `each_turn` is called between turns, last of all."""
        with self.interrupts:  # to the end: a game that hangs lets nothing be closed
            try:
                with ToldWarnings(self._tell):
                    self._train(each_turn)
            except BaseException as ex:
                told = self._failed(ex)
                self._close(quietly=True)
                raise told from ex
            self._close()
        score = self.score()
        self._status("finished", score=score, metric=self.measured())
        try:
            print(printable(f"rlexp: finished {self.run.path}, score {score:.6g}"), file=sys.stderr)
        except OSError:
            pass  # nobody reads any more, or the terminal was closed
        return Result(self.run, score)

    def _train(self, each_turn: EachTurn | None) -> None:
        from rlexp.loop import train

        self._status("running")
        self.run.record(device=asdict(self.plan.device))
        self._tell(f"run {self.run.path}: {self.plan}")
        for folder in paths.user_dirs():
            self._tell(f"YAML in {folder} comes before rlexp's own")
        for note in self.env.spec.notes:
            self._tell(f"note: {note}")
        if self.env.spec.resume == "none":
            self._tell("this environment can't be saved: a resumed run starts new games")
        self.recorder.start(self.clock.steps)
        if self.clock.steps == 0:
            self._save()  # a run killed before its first checkpoint can be resumed, too
            self.saver.join()
            self.album.start()
        if self.owing or not (self.clock.running or self.ended):
            self._between_turns()
        turns = train(self.team, self.env, self.clock, derive(self.config.seed, "env"))
        for turn in turns:
            self.begun = True
            try:
                self.recorder.turn(turn)
                self.album.turn(turn)
                self._between_turns()
                if each_turn is not None:
                    each_turn(self.clock)
            except (Exception, SystemExit) as ex:
                self._save_before(ex)
                raise
        self.saver.join()
        self._draw()
        self.loggers.finish({"score": self.score()})

    def _between_turns(self) -> None:
        """Evaluate, log and save what is due; everything is due at the end."""
        clock, config = self.clock, self.config
        last = not clock.running
        extra: dict[str, float] = {}
        if clock.crossed(config.evaluation.every) or (last and config.evaluation.every):
            self.owing = True
            extra = self._evaluate()
            self.owing = False
        if extra or last or clock.crossed(config.log_every):
            now = self.team.metrics() | self.album.metrics()
            self.recorder.log(clock, now, extra)
        if clock.crossed(config.checkpoint.archive_every):
            self.saver.archive(self.state_dict(), clock)
        self.ended = last
        if last or clock.crossed(config.checkpoint.every):
            self._save()
        self.saver.poll()
        if not last:
            self._check()

    def _check(self) -> None:
        """Save and leave if a signal has come."""
        if self.interrupts.number is not None:
            self._save()
            self.saver.join()
            self.interrupts.check()

    def _evaluate(self) -> dict[str, float]:
        began = time.monotonic()
        metrics, better = self.evaluator.evaluate(self.team, self.clock.steps)
        if better:
            self.saver.save_best(self.state_dict(), self.clock)
        self.recorder.aside += time.monotonic() - began
        return metrics

    def _save(self) -> None:
        self.loggers.flush()
        self.saver.save(self.state_dict(), self.clock)
        self._status("running")

    def _save_before(self, ex: BaseException) -> None:
        """Save what the failure of an evaluation or a plugin would lose.

        Between two steps the state is whole; what fails inside one (the environment, an update)
        leaves half of it behind, and the last checkpoint stands.
        """
        chosen = isinstance(ex, RunStopped) and ex.state != "failed"
        if chosen or isinstance(ex, Interrupted | checkpoint.CannotSave):
            return
        try:
            self._save()
            self.saver.join()
        except Exception as second:
            self.log.error("nothing could be saved: %s", second)
        else:
            ex.add_note(f"rlexp: everything up to step {self.clock.steps:,} is saved")

    def score(self) -> float:
        """The last evaluation's mean return; without evaluation that of the last episodes."""
        if self.evaluator.last:
            return float(self.evaluator.last["return_mean"])
        summary = self.recorder.meter.summary()
        return float(next(iter(summary.values()))) if summary else float("nan")

    def measured(self) -> str | None:
        """The metric that the score is of."""
        if self.evaluator.last:
            return "eval/return_mean"
        return next(iter(self.recorder.meter.summary()), None)

    def state_dict(self) -> State:
        import torch

        return {
            "clock": self.clock.state_dict(),
            "team": self.team.state_dict(),
            # Before the first turn no game has begun: the seed says all.
            "env": self.env.state_dict() if self.begun else None,
            "recorder": self.recorder.state_dict(),
            "evaluator": self.evaluator.state_dict(),
            "owing": self.owing,
            "ended": self.ended,
            "torch_rng": torch.get_rng_state(),
        }

    def _restore(self, state: State) -> None:
        import torch

        from rlexp import weights

        self.clock.load_state_dict(state["clock"])
        weights.restore(self.team, state["team"], self.run.path)
        self.begun = state["env"] is not None
        if self.begun:
            self.env.load_state_dict(state["env"])
        self.recorder.load_state_dict(state["recorder"])
        self.evaluator.load_state_dict(state["evaluator"])
        self.owing = state["owing"]
        self.ended = state.get("ended", not self.clock.running)  # older checkpoints don't say
        torch.set_rng_state(state["torch_rng"])
        run_dir.cut_back(self.run, self.clock.steps)

    def _draw(self) -> None:
        """Learning curves, from what was logged, and the config's pictures."""
        self.album.finish(self.clock.steps)
        if self.run.metrics.is_file():
            from rlexp.media import plots

            title = f"{self.config.agent.name} on {self.config.env.name}, seed {self.config.seed}"
            try:
                plots.curves(self.run.metrics, self.run.media / "curves.png", title)
            except Exception as ex:  # a finished run is worth more than its figure
                self._tell(f"note: no learning curves: {type(ex).__name__}: {ex}")

    def _tell(self, text: str) -> None:
        self.loggers.note(text)
        self.log.info(text)

    def _status(self, state: str, **facts: Any) -> None:
        counts = {"steps": self.clock.steps, "episodes": self.clock.episodes}
        self.run.write_status(state, **counts, **facts)

    def _close(self, quietly: bool = False) -> None:
        parts: list[Any] = [self.loggers, self.evaluator, self.env, *self.log.handlers]
        for part in parts:
            try:
                part.close()
            except Exception:
                if not quietly:  # else the first error is the one to tell
                    raise

    def _stopped_at_once(self) -> None:
        self._status("interrupted", error="stopped by a second signal")

    def _failed(self, ex: BaseException) -> BaseException:
        """Log what ended the run; gives the exception to raise for it."""
        told = failure.explained(ex, self.run, self.saver, self.clock.steps)
        facts: dict[str, Any] = {}
        state = "interrupted" if isinstance(ex, Interrupted | KeyboardInterrupt) else "failed"
        if isinstance(told, RunStopped):
            state = told.state
            facts = {} if told.score is None else {"score": told.score}
        text = f"{type(told).__name__}: {told}"
        self.log.error("%s\n%s", text, "".join(traceback.format_exception(ex)))
        try:
            self._status(state, error=text, **facts)
        except OSError:
            pass  # a full disk: the first error is the one to tell
        return told
