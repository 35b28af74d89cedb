"""`rlexp info agent=ddqn`: every key of a component with value, type, meaning and file."""

from __future__ import annotations

from collections.abc import Sequence

from rlexp.commands.common import told
from rlexp.errors import UserError, did_you_mean

HELP = """\
usage: rlexp info GROUP=NAME | GROUP | run | experiment=NAME

  rlexp info agent=ddqn            keys of a component
  rlexp info run                   keys of the run itself
  rlexp info experiment=mario_ddqn every key of a preset
"""


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _info(argv[0], list(argv[1:])))


def _info(what: str, more: list[str]) -> None:
    from rlexp.config import paths, provenance
    from rlexp.config.compose import compose

    group, _, name = what.partition("=")
    if group not in (*paths.GROUPS, "run"):
        raise UserError(f"no group {group!r}.{did_you_mean(group, [*paths.GROUPS, 'run'])}")
    if group == "experiment" and not name:
        raise UserError(
            "which preset? rlexp info experiment=NAME; they are in rlexp list experiment"
        )
    overrides = ([what] if name else []) + more
    if what.startswith("env=gym"):
        overrides.append("env.id=CartPole-v1")  # the id has no default; any will do to list keys
    config = compose(overrides).config
    chains = provenance.sources(overrides)
    file = paths.options(group).get(name)
    if file is not None:
        print(" ".join(provenance.read(file)[0]) + "\n")
    for key, value, kind in provenance.leaves(config):
        head = key.partition(".")[0]
        inside = head == group or group == "experiment"
        if inside or (group == "run" and head not in paths.GROUPS):
            chain = chains.get(key, [])
            print(f"{key} = {provenance.show(value)}  ({kind})")
            print(f"    {provenance.meaning(chain)}")
            if chain:
                print(f"    {chain[-1].place}")
