"""`rlexp fork`: a new run that goes on from a checkpoint of another."""

from __future__ import annotations

from collections.abc import Sequence

from rlexp.commands.common import one_path, take_trust, told

HELP = """\
usage: rlexp fork RUN[@STEP] [key=value …]

  rlexp fork outputs/mario-ddqn/2026…@500000 agent.lr=1e-4 total_steps=1e6

The new run has a directory of its own and the parent's metrics up to there; system.json names the
parent. RUN without @STEP is its last checkpoint. trust=true lets the run's config name
code that is not rlexp's (docs/security.md).
"""


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2

    def run() -> None:
        from rlexp import going_on

        path, overrides = one_path(argv, "fork")
        trusted, overrides = take_trust(overrides)
        going_on.fork(path, overrides, trusted)

    return told(run)
