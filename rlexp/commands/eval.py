"""`rlexp eval`: play a saved checkpoint; scores with intervals, a JSON file, two GIFs."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlexp.commands.common import count, path_and_keys, yes_or_no
from rlexp.errors import UserError

HELP = """\
usage: rlexp eval PATH [key=value …] [episodes=20] [gif=true] [checkpoint=last|best|STEP]
                  [seed=0] [--json]

PATH is a run's directory, one of its checkpoints, or a unique prefix of either. Other keys change
the run's config: env.noop_max=30. Greedy and sampled play; starts that training never evaluated on.
--json prints the result as JSON and nothing else.
"""
OWN = {"episodes": "20", "gif": "true", "checkpoint": "last", "seed": "0"}


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    try:
        result = _evaluate(argv)
    except UserError as ex:
        print(f"rlexp: {ex}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if "--json" in argv:
        print(json.dumps(result))
    else:
        _print_table(result)
    return 0


def _evaluate(argv: Sequence[str]) -> dict[str, Any]:
    from rlexp import build
    from rlexp.api import load
    from rlexp.config.setup import stamp

    path, own, overrides = path_and_keys(argv, OWN, "eval")
    episodes, seed = count(own, "episodes", 1), count(own, "seed", 0)
    gif = yes_or_no(own, "gif")
    loaded = load(path, own["checkpoint"], overrides)
    played, _ = loaded.play(episodes, True, seed)
    sampled, _ = loaded.play(episodes, False, seed)
    name = f"eval_{stamp()}_{secrets.token_hex(2)}_step_{loaded.step:09d}"
    result: dict[str, Any] = {
        "run": str(loaded.run.path),
        "checkpoint": str(loaded.checkpoint),
        "step": loaded.step,
        "greedy": played.summary(),
        "sampled": sampled.summary(),
        "seed": seed,
        "overrides": overrides,
    }
    if build.has_splits(loaded.config.env):
        train, _ = loaded.play(episodes, True, seed, held_out=False)
        result["by_split"] = {"train": train.summary(), "heldout": result["greedy"]}
    if gif:
        result["gifs"] = _gifs(loaded, played, episodes, seed, name)
    _save(loaded, result, name)
    return result


def _gifs(loaded: Any, played: Any, episodes: int, seed: int, name: str) -> dict[str, str]:
    """Plays the greedy games again, which come out the same, and draws the two that are wanted."""
    from rlexp.media import gif

    chosen = played.best_and_median()
    again, fps = loaded.play(episodes, True, seed, [game.place for game in chosen.values()])
    paths: dict[str, str] = {}
    for title, game in chosen.items():
        frames = again.frames[game.place]
        if not frames:
            print("rlexp: this environment draws no pictures: no GIF", file=sys.stderr)
            return {}
        path = loaded.run.media / f"{name}_{title}.gif"
        try:
            paths[title] = str(gif.write(path, frames, fps))
        except OSError as ex:
            print(f"rlexp: can't write {path}: {ex.strerror}", file=sys.stderr)
            return {}
    return paths


def _save(loaded: Any, result: dict[str, Any], name: str) -> None:
    from rlexp.run_dir import write_text

    path: Path = loaded.run.evaluations / f"{name}.json"
    try:
        path.parent.mkdir(exist_ok=True)
        write_text(path, json.dumps(result, indent=1) + "\n")
    except OSError as ex:
        print(f"rlexp: can't write {path}: {ex.strerror}", file=sys.stderr)


def _print_table(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result['run']}, step {result['step']:,}")
    columns = ("play", "return", "95 % interval", "length", "success", "95 % interval", "games")
    for name in columns:
        table.add_column(name, justify="left" if name == "play" else "right", no_wrap=True)
    plays = {play: result[play] for play in ("greedy", "sampled")}
    if "by_split" in result:
        plays["greedy, on training's data"] = result["by_split"]["train"]
    for play, s in plays.items():
        rate = s["success_rate"]
        games = str(s["episodes"])
        if s["played"] != s["episodes"]:
            games += f" distinct of {s['played']}"
        table.add_row(
            play,
            _number(s["return_mean"]),
            _interval(s["return_ci"], _number),
            f"{s['length_mean']:.1f}",
            "-" if rate is None else f"{rate:.1%}",
            _interval(s["success_ci"], "{:.1%}".format),
            games,
        )
    console = Console(width=110 if not sys.stdout.isatty() else None)
    console.print(table)
    for title, path in result.get("gifs", {}).items():
        console.print(f"{title} game: {path}", soft_wrap=True, highlight=False)


def _number(value: float) -> str:
    """Two decimals; three digits of what would be lost by them."""
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:.3g}"


def _interval(interval: list[float] | None, show: Callable[[float], str]) -> str:
    return "-" if interval is None else f"{show(interval[0])} … {show(interval[1])}"
