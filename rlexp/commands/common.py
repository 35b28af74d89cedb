"""What commands share: reading one path, and exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence

from rlexp.errors import RunStopped, UserError
from rlexp.interrupt import Interrupted


def one_path(argv: Sequence[str], command: str) -> tuple[str, list[str]]:
    """(the path, overrides) of a command that takes one path."""
    paths = [arg for arg in argv if "=" not in arg]
    flags = [arg for arg in paths if arg.startswith("-")]
    if flags:
        raise UserError(f"unknown flag {flags[0]}: see rlexp {command} --help")
    if len(paths) != 1:
        raise UserError(f"name one run (got {len(paths)}): rlexp {command} PATH")
    return paths[0], [arg for arg in argv if "=" in arg]


def told(run: Callable[[], None]) -> int:
    """Run it; one line and code 2 for a user's mistake, code 1 or a signal's for other ends."""
    try:
        run()
        return 0
    except UserError as ex:
        print(f"rlexp: {ex}", file=sys.stderr)
        return 2
    except (RunStopped, Interrupted) as ex:
        print(f"rlexp: {ex}", file=sys.stderr)
        return ex.code if isinstance(ex, Interrupted) else 1
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        return 1
