"""`rlexp tensorboard`: TensorBoard on a folder of runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rlexp.commands.common import told
from rlexp.errors import UserError

HELP = """\
usage: rlexp tensorboard [DIR] [TensorBoard's flags]

  rlexp tensorboard                        everything under outputs/
  rlexp tensorboard SWEEP --port 6007      one sweep
"""


def main(argv: Sequence[str]) -> int:
    if "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0
    return told(lambda: _serve(argv))


def _serve(argv: Sequence[str]) -> None:
    from rlexp import run_dir

    named = bool(argv) and not argv[0].startswith("-")
    folder, flags = (argv[0], argv[1:]) if named else (str(run_dir.OUTPUTS), argv)
    if not Path(folder).is_dir():
        from rlexp.locate import locate

        folder = str(locate(folder).run.path) if named else folder
    runs = run_dir.find(Path(folder))
    if not any(any(run.tensorboard.glob("events*")) for run in runs):
        raise UserError(
            f"{folder} holds no run with TensorBoard events: they come from logger=tensorboard"
        )
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", folder, *flags]
    code = subprocess.call(command)
    if code:
        raise UserError(f"TensorBoard ended with exit code {code}")
