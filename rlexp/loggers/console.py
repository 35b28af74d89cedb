"""Progress in the terminal: a live bar, or plain lines where there is no terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rlexp.clock import Clock
from rlexp.loggers.base import About, Logger
from rlexp.printable import printable

REFRESH = 0.25  # seconds
SHOWN = {
    "train/return": "return",
    "train/length": "length",
    "loss/td": "loss",
    "loss/fit": "loss",
    "train/entropy": "entropy",
    "train/q": "Q",
    "train/epsilon": "epsilon",
    "time/steps_per_s": "steps/s",
    "eval/return_mean": "eval return",
    "eval/success_rate": "eval success",
}


def short(value: float) -> str:
    """Numbers as people read them in passing."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}"
    return f"{value:.2e}"


class Patient(Console):
    """Goes quiet when nobody reads any more (`| head`): a run is not to end for that."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class ConsoleLogger(Logger):
    """`style`: live, lines, or auto: live in a terminal."""

    def __init__(self, style: str) -> None:
        self.console = Patient(stderr=True, highlight=False, soft_wrap=True)
        self.live = style == "live" or (style == "auto" and self.console.is_terminal)
        self.bar: Progress | None = None
        self.total = 0
        self.shown = 0.0
        self.latest: dict[str, float] = {}
        self.every: int | str | None = None  # a line that often; None: one every log
        self.due = False
        self.last_time, self.last_step = time.monotonic(), 0

    def start(self, about: About) -> None:
        self.last_time, self.last_step = time.monotonic(), about.step
        self.every = about.config.get("report_every")
        if self.live:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[text]}"),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                console=self.console,
                refresh_per_second=4,
            )
            self.bar.add_task("training", total=None, text="")
            self.bar.start()

    def note(self, text: str) -> None:
        self.console.print(printable(text), markup=False)

    def progress(self, clock: Clock, returns: float | None) -> None:
        self.due = self.due or clock.crossed(self.every) > 0 or not clock.running
        if self.bar is None or time.monotonic() - self.shown < REFRESH:
            return
        self.shown = time.monotonic()
        by_steps = clock.total_steps is not None
        done = clock.steps if by_steps else clock.episodes
        total = clock.total_steps if by_steps else clock.total_episodes
        unit = "steps" if by_steps else "episodes"
        parts = [f"{done:,}/{total:,} {unit}" if total else f"{done:,} {unit}"]
        if returns is not None:
            parts.append(f"return {short(returns)}")
        for name in ("time/steps_per_s", "train/epsilon", "eval/return_mean"):
            if name in self.latest:
                parts.append(f"{SHOWN[name]} {short(self.latest[name])}")
        task = self.bar.task_ids[0]
        self.bar.update(task, completed=done, total=total, text="  ".join(parts))

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.latest.update(metrics)
        evaluated = "eval/return_mean" in metrics
        if self.bar is None and (self.every is None or self.due or evaluated):
            self.due = False
            parts = [f"{SHOWN[n]} {short(metrics[n])}" for n in SHOWN if n in metrics]
            self.console.print(f"step {step:>9,}  " + "  ".join(parts), markup=False)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
