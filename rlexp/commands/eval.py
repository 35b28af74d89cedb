"""`rlexp eval`: play a saved checkpoint; scores with intervals, a JSON file, two GIFs."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlexp import strict_json
from rlexp.commands.common import choice, count, path_and_keys, told, yes_or_no
from rlexp.printable import one_line

HELP = """\
usage: rlexp eval PATH [key=value …] [episodes=20] [gif=true] [mp4=false] [seed=0]
                  [starts=new|training] [checkpoint=last|best|STEP] [--json]

PATH is a run's directory, one of its checkpoints, or a unique prefix of either. Other keys change
the run's config: env.noop_max=30. Greedy and sampled play; starts that training never evaluated on.
starts=training plays the games of training's own evaluations again, as many as these were, whatever
`seed` says: a checkpoint saved at an evaluation gives the same returns.
trust=true lets the run's config name code that is not rlexp's (docs/security.md).
--json prints the result as JSON and nothing else.
"""
OWN = {"episodes": "", "gif": "true", "mp4": "false", "checkpoint": "last", "seed": "0",
       "starts": "new", "trust": "false"}  # fmt: skip
EPISODES = 20  # unless training's own are wanted
KINDS = {"gif": "gifs", "mp4": "videos"}


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2

    def run() -> None:
        result = _evaluate(argv)
        if "--json" in argv:
            print(strict_json.dumps(result))
        else:
            _print_table(result)

    return told(run)


def _evaluate(argv: Sequence[str]) -> dict[str, Any]:
    from rlexp import build
    from rlexp.api import load
    from rlexp.config.setup import stamp

    path, own, overrides = path_and_keys(argv, OWN, "eval")
    seed, again = count(own, "seed", 0), choice(own, "starts", ("new", "training")) == "training"
    episodes = count(own, "episodes", 1) if own["episodes"] else EPISODES
    wanted = [kind for kind in KINDS if yes_or_no(own, kind)]
    loaded = load(path, own["checkpoint"], overrides, yes_or_no(own, "trust"))
    if again and not own["episodes"]:
        episodes = loaded.config.evaluation.episodes
    played, _ = loaded.play(episodes, True, seed, again=again)
    sampled, _ = loaded.play(episodes, False, seed, again=again)
    name = f"eval_{stamp()}_{secrets.token_hex(2)}_step_{loaded.step:09d}"
    result: dict[str, Any] = {
        "run": str(loaded.run.path),
        "checkpoint": str(loaded.checkpoint),
        "step": loaded.step,
        "greedy": played.summary(),
        "sampled": sampled.summary(),
        "seed": seed,
        "starts": own["starts"],
        "episodes": episodes,
        "overrides": overrides,
    }
    if build.has_splits(loaded.config.env):
        train, _ = loaded.play(episodes, True, seed, held_out=False, again=again)
        result["by_split"] = {"train": train.summary(), "heldout": result["greedy"]}
    if played.games[0].rival:
        from rlexp.matches import by_rival

        result["by_rival"] = {"greedy": by_rival(played), "sampled": by_rival(sampled)}
    if wanted:
        result |= _recordings(loaded, played, episodes, seed, again, name, wanted)
    _save(loaded, result, name)
    return result


def _recordings(
    loaded: Any,
    played: Any,
    episodes: int,
    seed: int,
    repeat: bool,
    name: str,
    kinds: Sequence[str],
) -> dict[str, dict[str, str]]:
    """Plays the greedy games again, which come out the same, and draws the two that are wanted."""
    from rlexp.media import gif, mp4

    write = {"gif": gif.write, "mp4": mp4.write}
    chosen = played.best_and_median()
    places = [game.place for game in chosen.values()]
    again, fps = loaded.play(episodes, True, seed, places, again=repeat)
    paths: dict[str, dict[str, str]] = {KINDS[kind]: {} for kind in kinds}
    for title, game in chosen.items():
        frames = again.frames[game.place]
        if not frames:
            print("rlexp: this environment draws no pictures: no GIF, no video", file=sys.stderr)
            return paths
        for kind in kinds:
            path = loaded.run.media / f"{name}_{title}.{kind}"
            try:
                paths[KINDS[kind]][title] = str(write[kind](path, frames, frames.fps(fps)))
            except Exception as ex:  # the scores are worth more than their images
                why = ex.strerror if isinstance(ex, OSError) else f"{type(ex).__name__}: {ex}"
                print(f"rlexp: can't write {path}: {why}", file=sys.stderr)
                return {KINDS[k]: {} for k in kinds}
    return paths


def _save(loaded: Any, result: dict[str, Any], name: str) -> None:
    from rlexp.run_dir import write_text

    path: Path = loaded.run.evaluations / f"{name}.json"
    try:
        path.parent.mkdir(exist_ok=True)
        write_text(path, strict_json.dumps(result, indent=1) + "\n")
    except OSError as ex:
        print(f"rlexp: can't write {path}: {ex.strerror}", file=sys.stderr)


def _print_table(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(f"{result['run']}, step {result['step']:,}")))
    columns = ("play", "return", "95 % interval", "length", "success", "95 % interval", "episodes")
    for name in columns:
        table.add_column(name, justify="left" if name == "play" else "right", no_wrap=True)
    plays = {play: result[play] for play in ("greedy", "sampled")}
    if "by_split" in result:
        plays["greedy, on training's data"] = result["by_split"]["train"]
    for play, s in plays.items():
        rate = s["success_rate"]
        table.add_row(
            play,
            _number(s["return_mean"]),
            _interval(s["return_ci"], _number),
            f"{s['length_mean']:.1f}",
            "-" if rate is None else f"{rate:.1%}",
            _interval(s["success_ci"], "{:.1%}".format),
            str(s["episodes"]),
        )
    console = Console(width=110 if not sys.stdout.isatty() else None)
    console.print(table)
    for play, s in plays.items():
        if s["distinct_starts"] not in (None, s["episodes"]) or s["distinct_starts"] == 1:
            console.print(f"{play}: {_by_start(s)}", soft_wrap=True, highlight=False)
    for play, rivals in result.get("by_rival", {}).items():
        console.print(_rivals_table(play, rivals))
    for kind in KINDS.values():
        for title, path in result.get(kind, {}).items():
            text = Text(one_line(f"{title} game: {path}"))
            console.print(text, soft_wrap=True, highlight=False)


def _by_start(summary: dict[str, Any]) -> str:
    """Say what the intervals of episodes go by that repeat one another."""
    starts = summary["distinct_starts"]
    if starts == 1:
        return "every episode had the same start, and only a start is drawn: no interval"
    return f"only a start is drawn, so the intervals are a bootstrap over {starts} distinct starts"


def _rivals_table(play: str, rivals: dict[str, dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{play}, by rival")
    told = {"ahead_rate": "ahead", "behind_rate": "behind", "win_rate": "won", "draw_rate": "draw",
            "loss_rate": "lost"}  # fmt: skip
    means = {"lives_difference": "lives +/-", "hits": "hits", "self_hits": "own hits"}
    shown = [n for n in (*told, *means) if all(n in values for values in rivals.values())]
    table.add_column("rival")
    for name in shown:
        table.add_column((told | means)[name], justify="right", no_wrap=True)
        if name == "ahead_rate":
            table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("episodes", justify="right")
    for rival, values in rivals.items():
        cells: list[Any] = [Text(one_line(rival))]
        for name in shown:
            cells.append(f"{values[name]:.1%}" if name in told else _number(values[name]))
            if name == "ahead_rate":
                cells.append(_interval(values["ahead_rate_ci"], "{:.1%}".format))
        table.add_row(*cells, str(values["games"]))
    return table


def _number(value: float) -> str:
    """Two decimals; three digits of what would be lost by them."""
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:.3g}"


def _interval(interval: list[float] | None, show: Callable[[float], str]) -> str:
    return "-" if interval is None else f"{show(interval[0])} … {show(interval[1])}"
