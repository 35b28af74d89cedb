"""What happens between two turns of the loop: logging and evaluation (saver.py: checkpoints)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

from rlexp import matches, strict_json
from rlexp.clock import Clock
from rlexp.evaluate import Evaluation, Repetition, evaluate
from rlexp.loggers.base import Logger
from rlexp.loop import Turn
from rlexp.media import gif, mp4
from rlexp.metrics import Meter
from rlexp.run_dir import RunDir, write_text
from rlexp.schemas.run import EvaluationConfig
from rlexp.seeds import derive
from rlexp.types import Env, EnvSpec, Metrics, State, Team


class Recorder:
    """Collects metrics every turn and hands them to the loggers when a log is due."""

    def __init__(self, every: int | str | None, logger: Logger) -> None:
        self.every, self.logger = every, logger
        self.meter = Meter()
        self.elapsed = 0.0  # seconds of the run's earlier parts
        self.began = self.last_time = time.monotonic()
        self.last_step = 0
        self.aside = 0.0  # seconds since the last log that were not spent training

    def start(self, step: int) -> None:
        self.began = self.last_time = time.monotonic()
        self.last_step = step

    def turn(self, turn: Turn) -> None:
        if turn.metrics:
            self.meter.add(turn.metrics)
        for transition in turn.tick.done.values():
            self.meter.add({"train/reward": float(transition.reward.mean())})
            if "regret" in transition.info:
                self.meter.add({"train/regret": float(transition.info["regret"].mean())})
        if turn.tick.episodes:
            self.meter.finish(turn.tick.episodes)
        returns = self.meter.episodes[-1].returns if self.meter.episodes else None
        self.logger.progress(turn.clock, next(iter(returns.values())) if returns else None)

    def log(self, clock: Clock, now: Metrics, extra: dict[str, float]) -> None:
        """`now`: the agent's values of this moment; `extra`: an evaluation's."""
        seconds = time.monotonic() - self.last_time - self.aside
        row = self.meter.take() | {name: float(value) for name, value in now.items()} | extra
        row["train/episodes"] = clock.episodes
        row["time/elapsed_s"] = self.total_seconds()
        if seconds > 0:
            row["time/steps_per_s"] = (clock.steps - self.last_step) / seconds
        self.last_time, self.last_step, self.aside = time.monotonic(), clock.steps, 0.0
        self.logger.log(clock.steps, row)

    def total_seconds(self) -> float:
        return self.elapsed + time.monotonic() - self.began

    def state_dict(self) -> State:
        return {"elapsed": self.total_seconds(), "meter": self.meter.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.elapsed = state["elapsed"]
        self.meter.load_state_dict(state["meter"])


class Evaluator:
    """Plays greedily on environments of its own (and, if told to, by sampling); remembers the best.

    Always the same starts: two evaluations differ by the agent alone. `splits` says that there are
    data which training never shows: these give the score, and training's are played beside them.
    """

    def __init__(
        self,
        config: EvaluationConfig,
        make_env: Callable[[bool], Env],
        splits: bool,
        seed: int,
        run: RunDir,
        logger: Logger,
        repetition: Callable[[EnvSpec, bool], Repetition],
        each_step: Callable[[], None] | None = None,
    ) -> None:
        self.repetition, self.each_step = repetition, each_step
        self.config, self.make_env, self.splits, self.seed = config, make_env, splits, seed
        self.run, self.logger = run, logger
        self.envs: dict[bool, Env] = {}  # by whether it plays what training never shows
        self.best = float("-inf")
        self.last: dict[str, Any] = {}

    def evaluate(self, team: Team, step: int) -> tuple[dict[str, float], bool]:
        """(metrics, is it the best so far)."""
        result = self._play(team, held_out=True, watch=self._shows)
        summary = result.summary()
        metrics = _as_metrics(summary)
        told: dict[str, Any] = {"step": step, "greedy": summary}
        if getattr(team, "evaluate", None):
            told["by_rival"] = matches.by_rival(result)
            metrics |= matches.metrics(told["by_rival"])
        if self.splits:
            train = self._play(team, held_out=False, watch=False).summary()
            told["by_split"] = {"train": train, "heldout": summary}
            metrics |= _named(told["by_split"])
        if self.config.sampled:
            sampled = self._play(team, held_out=True, watch=False, greedy=False).summary()
            told["sampled"] = sampled
            metrics |= _named({"sampled": sampled})
        self.run.evaluations.mkdir(exist_ok=True)
        file = self.run.evaluations / f"step_{step:09d}.json"
        write_text(file, strict_json.dumps(told, indent=1) + "\n")
        self._show(result, step)
        self.last = summary
        # The lower end of the interval, so that one lucky evaluation is not the best for ever. The
        # starts are always the same, so either all evaluations have an interval or none has.
        low = summary["return_ci"][0] if summary["return_ci"] else summary["return_mean"]
        better = low > self.best
        self.best = max(self.best, low)
        return metrics, better

    @property
    def _shows(self) -> bool:
        return self.config.gif or self.config.mp4

    def _play(self, team: Team, held_out: bool, watch: bool, greedy: bool = True) -> Evaluation:
        if held_out not in self.envs:
            self.envs[held_out] = self.make_env(held_out)
        env = self.envs[held_out]
        places = [(0, 0)] if watch else []
        limit, episodes = self.config.max_steps, self.config.episodes
        repetition = self.repetition(env.spec, greedy)
        if getattr(team, "evaluate", None):
            return matches.play_rivals(
                team, env, episodes, self.seed, greedy, places, limit, self.each_step, repetition
            )
        # Not the environment's seed: a player that draws its very numbers could foresee it.
        act = team.policy(greedy=greedy, seed=derive(self.seed, "policy"))
        episodes = repetition.enough(episodes)
        return evaluate(env, act, episodes, self.seed, places, limit, self.each_step, repetition)

    def _show(self, result: Evaluation, step: int) -> None:
        """Write what was watched. What fails is said and turned off: it must not end a run."""
        if not self._shows:
            return
        frames = next(iter(result.frames.values()))
        if not frames:
            warnings.warn("this environment draws no pictures: no GIF, no video", stacklevel=2)
            self.config.gif = self.config.mp4 = False
            return
        name, fps = self.run.media / f"eval_{step:09d}", frames.fps(self.envs[True].spec.fps)
        if self.config.gif:
            try:
                path = gif.write(name.with_suffix(".gif"), frames, fps)
                self.logger.gif(step, "eval/game", path)
            except Exception as ex:
                warnings.warn(f"no GIF: {type(ex).__name__}: {ex}", stacklevel=2)
                self.config.gif = False
        if self.config.mp4:
            try:
                mp4.write(name.with_suffix(".mp4"), frames, fps)
            except Exception as ex:
                warnings.warn(f"no video: {type(ex).__name__}: {ex}", stacklevel=2)
                self.config.mp4 = False

    def state_dict(self) -> State:
        return {"best": self.best, "last": self.last}

    def load_state_dict(self, state: State) -> None:
        self.best, self.last = state["best"], state["last"]

    def close(self) -> None:
        for env in self.envs.values():
            env.close()


def _as_metrics(summary: dict[str, Any]) -> dict[str, float]:
    found = {
        "eval/return_mean": summary["return_mean"],
        "eval/length_mean": summary["length_mean"],
    }
    if summary["return_ci"]:
        found["eval/return_ci_low"], found["eval/return_ci_high"] = summary["return_ci"]
    if summary["success_rate"] is not None:
        found["eval/success_rate"] = summary["success_rate"]
    return found


def _named(summaries: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Of evaluations that are told beside the score: metrics that end in their names."""
    found = {f"eval/return_mean/{name}": s["return_mean"] for name, s in summaries.items()}
    for name, summary in summaries.items():
        if summary["success_rate"] is not None:
            found[f"eval/success_rate/{name}"] = summary["success_rate"]
    return found
