"""`rlexp tensorboard`: TensorBoard on a folder of runs."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rlexp.commands.common import told
from rlexp.errors import UserError, did_you_mean

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

    named, flags = folder_and_flags(argv)
    folder = named or str(run_dir.OUTPUTS)
    if named and not Path(named).is_dir():
        from rlexp.locate import locate

        folder = str(locate(named).run.path)
    runs = run_dir.find(Path(folder))
    if not any(any(run.tensorboard.glob("events*")) for run in runs):
        raise UserError(
            f"{folder} holds no run with TensorBoard events: they come from logger=tensorboard"
        )
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", folder, *flags]
    code = subprocess.call(command)
    if code:
        raise UserError(f"TensorBoard ended with exit code {code}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        told = message.removeprefix("argument ").replace("<lambda> ", "")
        raise UserError(f"{told} (of TensorBoard's flags)")


def folder_and_flags(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """(the folder that was named, all the rest): TensorBoard's own parser knows which of its flags
    are followed by a value, so that `--port 6007 DIR` and `DIR --port 6007` are one."""
    from tensorboard import default
    from tensorboard.backend.application import make_plugin_loader

    parser = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for plugin in default.get_plugins():
        make_plugin_loader(plugin).define_flags(parser)
    asked, rest = parser.parse_known_args(argv)
    for arg in rest:
        if arg.startswith("-"):
            name = arg.partition("=")[0]
            known = [o for action in parser._actions for o in action.option_strings]
            raise UserError(f"TensorBoard has no flag {name}.{did_you_mean(name, known)}")
    if len(rest) > 1:
        raise UserError(f"name one folder (got {len(rest)}: {', '.join(rest)})")
    if getattr(asked, "logdir", "") or getattr(asked, "logdir_spec", ""):
        raise UserError("the folder needs no flag: rlexp tensorboard DIR")
    if not rest:
        return None, list(argv)
    # The same word may be a flag's value, too: it is the folder where all else stays as it is.
    for place, arg in enumerate(argv):
        others = [*argv[:place], *argv[place + 1 :]]
        if arg == rest[0]:
            try:
                if parser.parse_known_args(others) == (asked, []):
                    return arg, others
            except UserError:
                continue
    raise UserError(f"name the folder first: rlexp tensorboard {rest[0]} …")
