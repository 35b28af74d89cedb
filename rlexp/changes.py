"""What of a run's config may be another when it goes on, and what may not."""

from __future__ import annotations

import dataclasses
from typing import Any

from rlexp.config.provenance import leaves, show
from rlexp.errors import UserError
from rlexp.report.groups import HOUSEKEEPING
from rlexp.run_dir import RunDir
from rlexp.schemas.run import RunConfig
from rlexp.shell import command

# Whatever is not named here shapes the games, the networks or the random numbers that were saved.
FREE = (
    *("total_steps", "total_episodes", "log_every", "report_every", "run_dir", "resume"),
    *("sweep_figure", "env.threads", "env.workers", "env.data_dir", "env.download"),
    "self_play.evaluate",
)
FREE_GROUPS = ("evaluation", "checkpoint", "device", "logger")
# Of these a command that is given again may have other values: the run's results stay the same.
SAME_RESULTS = (
    *HOUSEKEEPING,
    *("evaluation.gif", "evaluation.mp4", "env.threads", "env.workers", "env.data_dir"),
    "env.download",
)
LIMITS = ("total_steps", "total_episodes")
NAMED = 3


@dataclasses.dataclass(frozen=True)
class Change:
    key: str
    saved: Any
    asked: Any
    safe: bool


def changes(saved: RunConfig, asked: RunConfig) -> list[Change]:
    """Every key whose value differs."""
    before, after = _values(saved), _values(asked)
    names = [*before, *(key for key in after if key not in before)]
    return [
        Change(key, before.get(key), after.get(key), _safe(key, asked))
        for key in names
        if before.get(key) != after.get(key)
    ]


def _values(config: RunConfig) -> dict[str, Any]:
    return {key: value for key, value, _ in leaves(config) if key != "seats"}  # of none


def _safe(key: str, config: RunConfig) -> bool:
    group, _, rest = key.partition(".")
    if key in FREE or group in FREE_GROUPS:
        return True
    if group == "seats":  # an agent's keys, after the name of the seat
        group, rest = "agent", rest.partition(".")[2]
    if group != "agent" or rest in ("name", "init_from"):
        return False
    schema = {f.name: f for f in dataclasses.fields(config.agent)}
    field = schema.get(rest.partition(".")[0])
    return field is not None and not field.metadata.get("fixed", False)


def refuse_unsafe(found: list[Change], what: str) -> None:
    """UserError that names the first key which can't change; `what` says what to do instead."""
    unsafe = [change for change in found if not change.safe]
    if unsafe:
        names = ", ".join(change.key for change in unsafe)
        first = unsafe[0]
        raise UserError(
            f"{names} can't change when a run goes on (saved: {first.key}={show(first.saved)}, "
            f"asked: {show(first.asked)}). {what}"
        )


def refuse_another_run(run: RunDir, found: list[Change], instead: str) -> None:
    """UserError that names what makes the run in a directory another one than a command's.

    A limit may be raised, since the run then resumes up to it. `instead` says what to do.
    """
    differing = [change for change in found if not _same_results(change)]
    if not differing:
        return
    parts = [f"{c.key} is {show(c.saved)} there, {show(c.asked)} here" for c in differing[:NAMED]]
    if len(differing) > NAMED:
        parts.append(f"and {len(differing) - NAMED} more keys differ")
    raise UserError(f"{run.path} holds another run: {'; '.join(parts)}. {instead}")


def resume_command(run: RunDir, found: list[Change]) -> str | None:
    """The command that resumes a run with the changes on purpose; None where one can't change."""
    changed = [change for change in found if change.key not in ("run_dir", "resume")]
    if not all(change.safe for change in changed):
        return None
    keys = [f"{c.key}={show(c.asked)}" for c in changed if not _same_results(c)]
    return command("rlexp", "resume", run.path, *keys)


def _same_results(change: Change) -> bool:
    if change.key in LIMITS:
        return change.asked is None or (change.saved is not None and change.asked >= change.saved)
    return change.key in SAME_RESULTS or change.key.partition(".")[0] in HOUSEKEEPING


def table(found: list[Change]) -> str:
    """saved, asked and used values, one key a line."""
    lines = [f"{'key':<28}{'saved':<16}{'asked':<16}used"]
    for change in found:
        saved, asked = show(change.saved), show(change.asked)
        lines.append(f"{change.key:<28}{saved:<16}{asked:<16}{asked}")
    return "\n".join(lines)
