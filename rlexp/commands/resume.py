"""`rlexp resume`: go on with a run from its newest whole checkpoint, in its own directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlexp.commands.common import one_path, take_trust, told
from rlexp.errors import RunStopped

HELP = """\
usage: rlexp resume PATH [key=value …]

PATH is a run's directory or a unique prefix of it. The run goes on bit for bit as if it had never
stopped. total_steps=… lets a finished run go on; how often things are logged, evaluated and saved,
the device, and numbers the agent learns with may change, too: what was saved, asked and is used is
printed. What would not fit the saved state is refused by name.

PATH may be a sweep's directory: what is missing is done, what failed is redone, what is finished is
skipped (hydra.launcher.n_jobs=2: two at a time). A search goes on to its number of trials
(hydra.sweeper.n_trials=40: to more).

trust=true lets the folder's config name code that is not rlexp's (docs/security.md).
"""


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2

    def run() -> int | None:
        from rlexp import going_on
        from rlexp.sweep import finish, search
        from rlexp.sweep.jobs import is_sweep

        path, overrides = one_path(argv, "resume")
        trusted, overrides = take_trust(overrides)
        folder = Path(path)
        if search.is_search(folder):
            from rlexp.commands import train

            code = train.main(search.resume_arguments(folder, overrides, trusted))
            if code == 1:  # else it has said what was wrong, or a signal has stopped it
                raise RunStopped(f"the search {path} has not ended well")
            return code
        if is_sweep(folder):
            if finish.resume(folder.absolute(), overrides, trusted):
                raise RunStopped(f"not every run of {path} is finished")
            return None
        going_on.resume(path, overrides, trusted)
        return None

    return told(run)
