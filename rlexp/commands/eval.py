"""`rlexp eval`: play a saved checkpoint; scores with intervals, a JSON file, two GIFs."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlexp.errors import UserError, did_you_mean

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


def _arguments(argv: Sequence[str]) -> tuple[str, dict[str, str], list[str]]:
    """(path, our own keys, overrides of the run's config)."""
    from rlexp.schemas.run import RunConfig

    paths = [arg for arg in argv if "=" not in arg and not arg.startswith("-")]
    flags = [arg for arg in argv if arg.startswith("-") and arg != "--json"]
    if flags:
        raise UserError(f"unknown flag {flags[0]}: rlexp eval knows --json and --help")
    if len(paths) != 1:
        raise UserError(f"name one run or checkpoint (got {len(paths)}): rlexp eval PATH")
    own, overrides = dict(OWN), []
    for arg in argv:
        name, equals, value = arg.partition("=")
        if equals and name in own:
            own[name] = value
        elif equals:
            if name.partition(".")[0].partition("@")[0] not in RunConfig.__dataclass_fields__:
                known = [*OWN, *RunConfig.__dataclass_fields__]
                raise UserError(f"unknown key {name!r}.{did_you_mean(name, known)}")
            overrides.append(arg)
    return paths[0], own, overrides


def _count(own: dict[str, str], name: str, low: int) -> int:
    try:
        count = int(float(own[name]))
    except ValueError:
        count = -1
    if count < low:
        raise UserError(f"{name}={own[name]} must be a whole number, at least {low}")
    return count


def _evaluate(argv: Sequence[str]) -> dict[str, Any]:
    from rlexp import build
    from rlexp.api import load
    from rlexp.config.setup import stamp

    path, own, overrides = _arguments(argv)
    episodes, seed = _count(own, "episodes", 1), _count(own, "seed", 0)
    if own["gif"] not in ("true", "false"):
        raise UserError(f"gif={own['gif']} must be true or false")
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
    if played.games[0].rival:
        from rlexp.matches import by_rival

        result["by_rival"] = {"greedy": by_rival(played), "sampled": by_rival(sampled)}
    if own["gif"] == "true":
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
    for play, rivals in result.get("by_rival", {}).items():
        console.print(_rivals_table(play, rivals))
    for title, path in result.get("gifs", {}).items():
        console.print(f"{title} game: {path}", soft_wrap=True, highlight=False)


def _rivals_table(play: str, rivals: dict[str, dict[str, Any]]) -> Any:
    from rich.table import Table

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
    table.add_column("games", justify="right")
    for rival, values in rivals.items():
        cells = [rival]
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
