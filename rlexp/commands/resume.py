"""`rlexp resume`: go on with a run from its last checkpoint, in its own directory."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from rlexp.errors import UserError

HELP = """\
usage: rlexp resume PATH [key=value …]

PATH is a run's directory or a unique prefix of it. total_steps=… lets a finished run go on.
"""


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    try:
        return _resume(argv)
    except UserError as ex:
        print(f"rlexp: {ex}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        return 1


def _resume(argv: Sequence[str]) -> int:
    from rlexp import run_dir, runner
    from rlexp.config.compose import load

    paths = [arg for arg in argv if "=" not in arg]
    if len(paths) != 1:
        raise UserError(f"name one run (got {len(paths)}): rlexp resume PATH")
    located = run_dir.locate(paths[0])
    folder = located.checkpoint or run_dir.choose_checkpoint(located.run, "last")
    config = load(located.run.config, [arg for arg in argv if "=" in arg])
    runner.resume(located.run, config, folder)
    return 0
