"""`rlexp ladder`: checkpoints and scripted players, everyone against everyone, rated."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp import strict_json
from rlexp.commands.common import count, keys_and_paths, told, yes_or_no
from rlexp.errors import UserError
from rlexp.printable import one_line

HELP = """\
usage: rlexp ladder RUN [RUN …] [games=20] [most=8] [rivals=all|none|NAME,NAME] [greedy=false]
                    [seed=0] [--json]

Every archived checkpoint of the runs (checkpoint.archive_every), at most `most` of each, spread
evenly, and the game's scripted players: `games` games for each pair, half from each corner. More
lives at the end win. RUN may also be one checkpoint. Writes the matrix of wins and draws, Elo
ratings with intervals and the share of circles into the first run: eval/ladder_*.json, and
media/ladder_*.png.
"""
OWN = {"games": "20", "most": "8", "rivals": "all", "greedy": "false", "seed": "0",
       "trust": "false"}  # fmt: skip


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _ladder(argv))


def _ladder(argv: Sequence[str]) -> None:
    paths, own = keys_and_paths(argv, OWN, "ladder", flags=("--json",))
    if not paths:
        raise UserError("name one run or more: rlexp ladder RUN [RUN …]")
    games, seed, most = count(own, "games", 2), count(own, "seed", 0), count(own, "most", 1)
    greedy = yes_or_no(own, "greedy")
    from rlexp import device as devices
    from rlexp import ladder
    from rlexp.config.setup import stamp
    from rlexp.locate import locate
    from rlexp.media.ladder import draw
    from rlexp.run_dir import write_text

    devices.prepare()
    rivals = None if own["rivals"] == "all" else own["rivals"].split(",")
    if own["rivals"] == "none":
        rivals = []
    players, make_env = ladder.gather(paths, greedy, most, rivals, yes_or_no(own, "trust"))
    table = ladder.round_robin(
        players, make_env, games, seed, lambda text: print(f"rlexp: {text}", file=sys.stderr)
    )
    found = ladder.told(table, games, seed, greedy)
    run = locate(paths[0]).run
    name = f"ladder_{stamp()}"
    for path in (run.evaluations / f"{name}.json", run.media / f"{name}.png"):
        path.parent.mkdir(exist_ok=True)
    write_text(run.evaluations / f"{name}.json", strict_json.dumps(found, indent=1) + "\n")
    picture = draw(found, run.media / f"{name}.png")
    if "--json" in argv:
        print(strict_json.dumps(found))
    else:
        _print(found, picture)


def _print(found: dict[str, Any], picture: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{found['games_each_pair']} games each pair")
    for name in ("player", "Elo", "95 % interval", "points", "knock-outs"):
        table.add_column(name, justify="left" if name == "player" else "right", no_wrap=True)
    for player in found["players"]:
        low, high = player["elo_ci"]
        table.add_row(
            Text(one_line(player["name"])),
            f"{player['elo']:.0f}",
            f"{low:.0f} … {high:.0f}",
            f"{player['points']:.1%}",
            str(player["knock_outs"]),
        )
    console = Console(width=110 if not sys.stdout.isatty() else None)
    console.print(table)
    circles = found["intransitive"]
    console.print(f"circles: {circles['cycles']} of {circles['triples']} triples", highlight=False)
    for run, value in found["spearman_of_rating_and_step"].items():
        if value is not None:
            text = Text(one_line(f"{run}: rank correlation of rating and steps {value:.2f}"))
            console.print(text, soft_wrap=True, highlight=False)
    console.print(Text(one_line(f"picture: {picture}")), soft_wrap=True, highlight=False)
