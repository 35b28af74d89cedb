"""`rlexp export`: a trained agent to give away, small and complete."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rlexp.commands.common import keys_and_paths, told, yes_or_no
from rlexp.errors import UserError
from rlexp.printable import printable

HELP = """\
usage: rlexp export RUN FOLDER [checkpoint=last|best|STEP] [weights=true]

Writes the weights of one checkpoint, the run's config, curve and facts, a GIF, and a README.md
with the exact command and what `rlexp eval` found for that checkpoint. FOLDER is new. What was
written plays anywhere: rlexp eval FOLDER; other runs begin with it: agent.init_from=FOLDER.
weights=false writes facts and curve alone, enough for rlexp report and compare. The weights are
loaded once, to see that they fit the run's config; trust=true lets that name code that is not
rlexp's (docs/security.md).
"""
OWN = {"checkpoint": "last", "weights": "true", "trust": "false"}


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _export(argv))


def _export(argv: Sequence[str]) -> None:
    from pathlib import Path

    from rlexp import locate

    paths, own = keys_and_paths(argv, OWN, "export")
    if len(paths) != 2:
        raise UserError(f"name a run and a new folder (got {len(paths)}): rlexp export RUN FOLDER")
    located = locate.locate(paths[0])
    source = located.checkpoint or locate.choose_checkpoint(located.run, own["checkpoint"])
    from rlexp.export import export

    def tell(text: str) -> None:
        print(f"rlexp: {printable(text)}", file=sys.stderr)

    weights, trusted = yes_or_no(own, "weights"), yes_or_no(own, "trust")
    given = export(located.run, source, Path(paths[1]), weights, trusted, tell)
    size = sum(p.stat().st_size for p in given.path.rglob("*") if p.is_file())
    text = f"rlexp: {given.path}: {source.name} of {located.run.path}, {size / 1e6:.1f} MB"
    print(printable(text))
