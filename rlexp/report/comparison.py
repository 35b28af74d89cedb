"""Groups of runs held against each other: scores, ranks, differences, and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rlexp.report import bootstrap, score
from rlexp.report.bootstrap import Interval
from rlexp.report.groups import Group
from rlexp.report.reading import Run
from rlexp.report.table import between, number

# Smaller is better for these; `better=` decides otherwise.
LOWER = ("loss/", "train/regret", "train/expected_steps", "train/td_error")
# Fewer runs than these say nothing about runs that were not made.
ENOUGH = 3
# The best of more settings than these was partly lucky.
MANY = 8


@dataclass
class Scored:
    """A group with one score a run; `strata` holds them by task."""

    group: Group
    runs: list[Run]
    strata: list[list[float]]

    @property
    def label(self) -> str:
        return self.group.label

    @property
    def scores(self) -> list[float]:
        return [value for values in self.strata for value in values]

    @cached_property
    def iqm(self) -> float:
        return bootstrap.iqm_of(self.strata)

    @cached_property
    def interval(self) -> Interval | None:
        return bootstrap.interval(self.strata)


@dataclass
class Duel:
    """One group less another."""

    ours: Scored
    theirs: Scored
    middle: float
    interval: Interval | None
    better: float  # probability that a run of ours has the better score

    @property
    def enough(self) -> bool:
        return min(len(s) for s in [*self.ours.strata, *self.theirs.strata]) >= ENOUGH

    @property
    def clear(self) -> bool:
        """The interval leaves zero out, and it rests on runs enough."""
        return self.enough and self.interval is not None and self.interval[0] * self.interval[1] > 0

    def __str__(self) -> str:
        sign = "+" if self.middle > 0 else ""
        told = f"{sign}{number(self.middle)}"
        if self.interval is not None:
            told += f" (95 % interval {between(self.interval)})"
        return told


@dataclass
class Comparison:
    """All groups, the best first, under one metric."""

    metric: str | None  # one for all runs; None where none has been measured
    lower: bool
    ranked: list[Scored]
    unfinished: bool  # no run is finished: scores are what was logged last
    left_out: list[Group] = field(default_factory=list)
    asked: bool = False  # for this metric; else it is the runs' score
    notes: list[str] = field(default_factory=list)

    @property
    def what(self) -> str:
        """The score, in words."""
        if self.asked:
            return f"last {self.metric}"
        kind = "training" if str(self.metric).startswith("train/") else "mean"
        return f"{kind} return so far" if self.unfinished else f"final {kind} return"

    def duel(self, ours: Scored, theirs: Scored) -> Duel:
        middle, interval = bootstrap.difference(ours.strata, theirs.strata)
        higher = bootstrap.improvement(ours.strata, theirs.strata)
        return Duel(ours, theirs, middle, interval, 1 - higher if self.lower else higher)

    @cached_property
    def duels(self) -> list[Duel]:
        """The winner against each of the others."""
        return [self.duel(self.ranked[0], other) for other in self.ranked[1:]]

    @cached_property
    def chances(self) -> dict[str, float]:
        """Label → share of the redrawn sets of runs in which it has the best IQM; of groups with
        runs enough, and empty where the winner has fewer."""
        able = [s for s in self.ranked if all(len(scores) >= ENOUGH for scores in s.strata)]
        if not able or able[0] is not self.ranked[0]:
            return {}
        drawn = np.stack([bootstrap.draws(s.strata, i) for i, s in enumerate(able)])
        best = drawn.min(axis=0) if self.lower else drawn.max(axis=0)
        winners = drawn == best
        shares = (winners / winners.sum(axis=0)).mean(axis=1)
        return {s.label: float(share) for s, share in zip(able, shares, strict=True)}

    @property
    def uncounted(self) -> int:
        """How many have too few seeds for a chance."""
        return len(self.ranked) - len(self.chances)

    @property
    def named(self) -> str:
        """The score, in words and by its metric's name."""
        return self.what if self.asked or not self.metric else f"{self.what} ({self.metric})"

    @property
    def tied(self) -> list[Scored]:
        """Those that the winner is not clearly ahead of."""
        return [duel.theirs for duel in self.duels if not duel.clear]


def compare(
    groups: Sequence[Group],
    metric: str | None = None,
    better: str | None = None,
    strata: str | None = None,
) -> Comparison:
    """Score every group by one metric (score.common, if none is asked for); runs that did not
    finish have no score, unless no run did. Which side is better: as asked, else as the metric is
    meant, else as the searches that made the runs want it."""
    unfinished = not any(g.finished for g in groups)
    every = [run for g in groups for run in (g.runs if unfinished else g.finished)]
    asked, metric = bool(metric), metric or score.common(every)
    lower = better == "lower" if better else str(metric).startswith(LOWER)
    notes: list[str] = []
    if better is None and not asked:
        lower, notes = score.minimized(every)
    if metric is not None:
        why = f"no {metric}, by which all are compared: left out"
        notes += [f"{run.name}: {why}" for run in score.without(every, metric)]
    scored, left_out = [], []
    tasks: dict[str, None] = {}
    found: list[tuple[Group, list[Run], dict[str, list[float]]]] = []
    for group in groups:
        runs: list[Run] = []
        by_task: dict[str, list[float]] = {}
        for run in group.runs if unfinished else group.finished:
            value = run.value(metric)
            if value is not None:
                task = str(run.config.get(strata)) if strata else ""
                tasks[task] = None
                by_task.setdefault(task, []).append(value)
                runs.append(run)
        found.append((group, runs, by_task))
    if len(tasks) > 1:
        _scale(tasks, [by_task for _, _, by_task in found])
    for group, runs, by_task in found:
        if set(by_task) == set(tasks) and runs:
            scored.append(Scored(group, runs, [by_task[task] for task in tasks]))
        else:
            left_out.append(group)
    scored.sort(key=lambda s: s.iqm, reverse=not lower)
    return Comparison(metric, lower, scored, unfinished, left_out, asked, notes)


def _scale(tasks: dict[str, None], found: Sequence[dict[str, list[float]]]) -> None:
    """Scores of each task to 0..1, from the lowest to the highest that any run has there."""
    for task in tasks:
        every = [value for by_task in found for value in by_task.get(task, [])]
        low, span = min(every), (max(every) - min(every)) or 1.0
        for by_task in found:
            if task in by_task:
                by_task[task] = [(value - low) / span for value in by_task[task]]


def verdict(found: Comparison) -> tuple[str, str]:
    """(who won, how sure we are), each a sentence or two for someone who knows nothing of it."""
    ranked = found.ranked
    if not ranked:
        return "No run has a score yet.", ""
    first = ranked[0]
    about = f"{number(first.iqm)}" + (
        f", 95 % interval {between(first.interval)}" if first.interval else ""
    )
    runs = f"{len(first.scores)} run{'s' * (len(first.scores) != 1)}"
    if len(ranked) == 1:
        return f"One setting, {runs}: {found.what} {about}.", _few([first])
    head = f"{first.label} has the {'lowest' if found.lower else 'highest'} {found.what}: {about}."
    duel = found.duels[0]
    second = duel.theirs
    gap = f"{second.label} comes second with {number(second.iqm)}; the difference is {duel}."
    tied = found.tied
    if not duel.enough and not all(d.enough for d in found.duels):
        sure = f"Too few seeds to be sure of anything: {ENOUGH} or more of each setting are needed."
    elif not tied:
        sure = f"It is clear: {first.label} is ahead of all others by more than chance explains."
    elif len(tied) == len(found.duels):
        sure = "It is not clear: no difference to the others is larger than chance explains."
    else:
        names = " and ".join(s.label for s in tied) if len(tied) < 3 else f"{len(tied)} others"
        sure = f"It is ahead of the rest, but not clearly of {names}."
    return head, f"{sure} {gap} {_few(ranked)}".strip()


def _few(ranked: Sequence[Scored]) -> str:
    least = min(len(scores) for scored in ranked for scores in scored.strata)
    told = []
    if ENOUGH <= least < 10:
        told.append(
            f"With {least} seeds an interval is narrower than it should be: take it as a hint."
        )
    if len(ranked) > MANY and least < 10:
        told.append(
            f"The best of {len(ranked)} settings owes something to luck: "
            "run it again with new seeds."
        )
    return " ".join(told)
