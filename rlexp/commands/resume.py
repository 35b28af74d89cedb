"""`rlexp resume`: go on with a run from its newest whole checkpoint, in its own directory."""

from __future__ import annotations

from collections.abc import Sequence

from rlexp.commands.common import one_path, told

HELP = """\
usage: rlexp resume PATH [key=value …]

PATH is a run's directory or a unique prefix of it. The run goes on bit for bit as if it had never
stopped. total_steps=… lets a finished run go on; how often things are logged, evaluated and saved,
the device, and numbers the agent learns with may change, too: what was saved, asked and is used is
printed. What would not fit the saved state is refused by name.
"""


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2

    def run() -> None:
        from rlexp import going_on

        path, overrides = one_path(argv, "resume")
        going_on.resume(path, overrides)

    return told(run)
