"""`rlexp list`: what there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from rlexp.commands.common import told
from rlexp.config import paths
from rlexp.config.provenance import read
from rlexp.errors import UserError, did_you_mean

HELP = """\
usage: rlexp list [GROUP]

GROUP is env, agent, buffer, device, logger or experiment (presets).
"""


def main(argv: Sequence[str]) -> int:
    if "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0
    return told(lambda: _list(argv))


def _list(argv: Sequence[str]) -> None:
    unknown = [name for name in argv if name not in paths.GROUPS]
    if unknown:
        raise UserError(f"no group {unknown[0]!r}.{did_you_mean(unknown[0], paths.GROUPS)}")
    for group in argv or paths.GROUPS:
        print(f"{group}=")
        found = paths.options(group)
        width = max([20, *map(len, found)]) + 2
        for name, file in found.items():
            print(f"  {name:<{width}}{' '.join(read(file)[0][:1])}")
