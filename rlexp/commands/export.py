"""`rlexp export`: a trained agent to give away, small and complete."""

from __future__ import annotations

from collections.abc import Sequence

from rlexp.commands.common import keys_and_paths, told, yes_or_no
from rlexp.errors import UserError

HELP = """\
usage: rlexp export RUN FOLDER [checkpoint=last|best|STEP] [weights=true]

Writes the weights of one checkpoint, the run's config, curve and facts, a GIF, and a README.md
with the exact command and what `rlexp eval` found for that checkpoint. FOLDER is new. What was
written plays anywhere: rlexp eval FOLDER; other runs begin with it: agent.init_from=FOLDER.
weights=false writes facts and curve alone, enough for rlexp report and compare.
"""


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _export(argv))


def _export(argv: Sequence[str]) -> None:
    from pathlib import Path

    from rlexp import locate

    paths, own = keys_and_paths(argv, {"checkpoint": "last", "weights": "true"}, "export")
    if len(paths) != 2:
        raise UserError(f"name a run and a new folder (got {len(paths)}): rlexp export RUN FOLDER")
    located = locate.locate(paths[0])
    source = located.checkpoint or locate.choose_checkpoint(located.run, own["checkpoint"])
    from rlexp.export import export

    given = export(located.run, source, Path(paths[1]), yes_or_no(own, "weights"))
    size = sum(p.stat().st_size for p in given.path.rglob("*") if p.is_file())
    print(f"rlexp: {given.path}: {source.name} of {located.run.path}, {size / 1e6:.1f} MB")
