"""`rlexp lexicon`: the language of a signaling game, measured and drawn from a saved checkpoint."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rlexp import strict_json
from rlexp.commands.common import count, path_and_keys, told, yes_or_no
from rlexp.errors import UserError, did_you_mean
from rlexp.printable import one_line

HELP = """\
usage: rlexp lexicon PATH [key=value …] [games=all|N] [split=both|train|heldout] [greedy=true]
                     [checkpoint=last|best|STEP] [messages=12] [pictures=true] [seed=0] [--json]

What sender and receiver of env=signaling say to each other. PATH is a run's directory, one of its
checkpoints, or a unique prefix of either. Other keys change the run's config: env.images_seed=1.

Every picture of training and every held-out one is played once, greedily. games=N plays N games of
each split instead; greedy=false draws symbols and answers as training does. Prints the measures
(docs/language.md tells what they mean) and the `messages` most frequent messages. Writes numbers
and whole lexicon as JSON and each game as CSV into RUN/eval, pictures into a folder in RUN/media.
--json prints the result as JSON and nothing else.
"""
OWN = {
    "games": "all", "split": "both", "greedy": "true", "checkpoint": "last", "messages": "12",
    "pictures": "true", "seed": "0", "trust": "false",
}  # fmt: skip
SPLITS = {"train": "training", "heldout": "held out"}


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2

    def run() -> None:
        result, shown = _listen(argv)
        if "--json" in argv:
            print(strict_json.dumps(result))
        else:
            _print(result, shown)

    return told(run)


def _listen(argv: Sequence[str]) -> tuple[dict[str, Any], int]:
    """(result, messages to print)."""
    import numpy as np

    from rlexp.api import load
    from rlexp.config.setup import stamp
    from rlexp.media import language
    from rlexp.seeds import derive

    path, own, overrides = path_and_keys(argv, OWN, "lexicon")
    games = None if own["games"] == "all" else count(own, "games", 1)
    shown, seed = count(own, "messages", 1), count(own, "seed", 0)
    greedy, draw = yes_or_no(own, "greedy"), yes_or_no(own, "pictures")
    if own["split"] not in ("both", *SPLITS):
        hint = did_you_mean(own["split"], ("both", *SPLITS))
        raise UserError(f"split={own['split']} is not known.{hint}")
    loaded = load(path, own["checkpoint"], overrides, yes_or_no(own, "trust"))
    env = _game(loaded)
    seed_of_play = derive(loaded.config.seed, f"lexicon command {seed}")
    act = loaded.team.policy(greedy, derive(seed_of_play, "policy"))
    name = f"lexicon_{stamp()}_{secrets.token_hex(2)}_step_{loaded.step:09d}"
    result: dict[str, Any] = {
        "run": str(loaded.run.path),
        "checkpoint": str(loaded.checkpoint),
        "step": loaded.step,
        "greedy": greedy,
        "seed": seed,
        "overrides": overrides,
        "length": env.length,
        "vocabulary": env.vocabulary,
        "by_split": {},
    }
    played = {}
    for split in SPLITS if own["split"] == "both" else [own["split"]]:
        pictures = len(env.split(language.SPLITS[split])[1])
        rng = np.random.default_rng(derive(seed_of_play, split))
        places = None if games is None else _places(split, pictures, games, greedy, rng)
        played[split] = language.speak(env, act, split, places)
        result["by_split"][split] = language.report(env, played[split], act)
    try:
        _write(loaded.run, name, result, env, played, shown if draw else 0)
    except OSError as ex:
        print(f"rlexp: can't write {ex.filename}: {ex.strerror}", file=sys.stderr)
    return result, shown


def _game(loaded: Any) -> Any:
    from rlexp import build
    from rlexp.envs.signaling import Signaling

    env = build.env(loaded.config.env, 1)
    if isinstance(env, Signaling):
        return env
    env.close()
    raise UserError(
        f"{loaded.run.path} has no language: it plays env={loaded.config.env.name}; "
        "rlexp lexicon is for runs of env=signaling"
    )


def _places(split: str, pictures: int, games: int, greedy: bool, rng: Any) -> Any:
    """Pictures of N games: all have come k times before one comes the k + 1st."""
    import numpy as np

    if greedy and games > pictures:
        print(
            f"rlexp: {split} has {pictures} pictures, and greedy play says of each the same again: "
            f"{pictures} games (greedy=false draws)",
            file=sys.stderr,
        )
        games = pictures
    rounds = -(-games // pictures)
    return np.concatenate([rng.permutation(pictures) for _ in range(rounds)])[:games]


def _write(
    run: Any, name: str, result: dict[str, Any], env: Any, played: dict[str, Any], rows: int
) -> None:
    """Games as CSV, pictures with so many messages (none: no pictures), everything as JSON."""
    from rlexp.media import language
    from rlexp.run_dir import write_text

    files = {"games": run.evaluations / f"{name}.csv", "json": run.evaluations / f"{name}.json"}
    run.evaluations.mkdir(exist_ok=True)
    language.write_games(files["games"], env, played)
    if rows:
        files["pictures"] = run.media / name
        files["pictures"].mkdir(parents=True)
        for split, said in played.items():
            for title, figure in language.figures(env, said, split, rows).items():
                figure.savefig(files["pictures"] / f"{title}.png", dpi=120)
    result["files"] = {kind: str(path) for kind, path in files.items()}
    write_text(files["json"], strict_json.dumps(result, indent=1) + "\n")


def _print(result: dict[str, Any], shown: int) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=110 if not sys.stdout.isatty() else None)
    play = "greedy" if result["greedy"] else "sampled"
    console.print(_measures(result, f"{result['run']}, step {result['step']:,}, {play} play"))
    console.print(_lexicon(result, shown))
    for kind, path in result.get("files", {}).items():
        console.print(Text(one_line(f"{kind}: {path}")), soft_wrap=True, highlight=False)


def _table(title: str, columns: Sequence[str], left: Sequence[str]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(title)))
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right")
    return table


def _measures(result: dict[str, Any], title: str) -> Any:
    by_split = result["by_split"]
    table = _table(title, ["measure", *(SPLITS[split] for split in by_split)], ["measure"])
    most = result["vocabulary"] ** result["length"]
    possible = f"{most:,}" if most < 1e6 else f"{result['vocabulary']}^{result['length']}"
    rows: dict[str, Callable[[dict[str, Any]], str]] = {
        "games": lambda s: f"{s['games']:,}",
        "success": lambda s: _rate(s, "success"),
        "  at most, by purity": lambda s: f"{s['purity']:.1%}",
        "  at most, by capacity": lambda s: f"{s['capacity_bound']:.1%}",
        "  messages shuffled": lambda s: _rate(s, "shuffled_played"),
        "  blind guessing": lambda s: f"{1 / len(s['classes']):.1%}",
        f"different messages, of {possible}": lambda s: f"{s['distinct']:.0f}",
        "  for several classes": lambda s: f"{s['ambiguous_messages']:.1%}",
        "classes with several messages": lambda s: f"{s['synonymous_classes']:.1%}",
        "entropy of the messages, bits": lambda s: f"{s['message_entropy']:.2f}",
        "  I(message; class)": lambda s: f"{s['class_information']:.2f}",
        "  I(message; guess)": lambda s: f"{s['guess_information']:.2f}",
        "  ambiguity, H(class | message)": lambda s: f"{s['ambiguity']:.2f}",
        "  synonymy, H(message | class)": lambda s: f"{s['synonymy']:.2f}",
        "V-measure": partial(_number, "v_measure"),
        "topographic similarity": partial(_number, "topographic_similarity"),
        "posdis": partial(_number, "posdis"),
        "bosdis": partial(_number, "bosdis"),
    }
    for name in next(iter(by_split.values()))["information_by_position"]:
        rows[f"bits about the {name}, by position"] = partial(_bits, name)
    for label, show in rows.items():
        told = [show(s) for s in by_split.values()]
        if any(cell != "-" for cell in told):  # posdis and bosdis want attributes
            table.add_row(label, *told)
    return table


def _rate(s: dict[str, Any], name: str) -> str:
    interval = s[f"{name}_ci"]
    told = "" if interval is None else f" ({100 * interval[0]:.1f} … {100 * interval[1]:.1f})"
    return f"{s[name]:.1%}{told}"


def _number(name: str, s: dict[str, Any]) -> str:
    return f"{s[name]:.3f}" if name in s else "-"


def _bits(name: str, s: dict[str, Any]) -> str:
    values = s["information_by_position"][name]
    return " ".join(f"{bits:.2f}" for bits in values[:8]) + (" …" if len(values) > 8 else "")


def _lexicon(result: dict[str, Any], shown: int) -> Any:
    """The most frequent messages: their share of each split's games, what they were sent for and
    what the receiver made of them."""
    by_split = result["by_split"]
    columns = ["message", "sent for", "heard as", *(f"{SPLITS[s]}, games" for s in by_split)]
    table = _table("", columns, ["message", "sent for", "heard as"])
    games: dict[str, dict[str, int]] = {}
    tallies: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    for split, s in by_split.items():
        for word in s["lexicon"]:
            games.setdefault(word["message"], {})[split] = word["games"]
            both = tallies.setdefault(word["message"], ({}, {}))
            for tally, key in zip(both, ("sent_for", "heard_as"), strict=True):
                for name, times in word[key].items():
                    tally[name] = tally.get(name, 0) + times
    often = sorted(games, key=lambda message: -sum(games[message].values()))
    for message in often[:shown]:
        sent, heard = (_shares(tally) for tally in tallies[message])
        shares = [
            f"{games[message].get(split, 0) / s['games']:.1%}" for split, s in by_split.items()
        ]
        table.add_row(message, sent, heard, *shares)
    if len(often) > shown:
        rest = [
            sum(games[message].get(split, 0) for message in often[shown:]) / s["games"]
            for split, s in by_split.items()
        ]
        table.add_row(f"{len(often) - shown} more", "", "", *(f"{share:.1%}" for share in rest))
    return table


def _shares(tally: dict[str, int]) -> str:
    """lion 98 %, rabbit 2 %; the three most frequent."""
    total = sum(tally.values())
    most = sorted(tally.items(), key=lambda item: -item[1])
    told = [name if times == total else f"{name} {times / total:.0%}" for name, times in most[:3]]
    return ", ".join(told) + (f", {len(most) - 3} more" if len(most) > 3 else "")
