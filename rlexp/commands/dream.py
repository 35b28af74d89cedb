"""`rlexp dream`: what a world model predicts with its eyes shut, as a GIF and as numbers."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from rlexp.commands.common import one_path, told, yes_or_no
from rlexp.errors import UserError, did_you_mean
from rlexp.printable import one_line

HELP = """\
usage: rlexp dream PATH [key=value …] [context=10] [steps=50] [games=16] [dreams=16]
                   [play=agent|random] [min_p=0] [checkpoint=last|best|STEP] [seed=0]

PATH is a run's directory, one of its checkpoints, or a unique prefix of either; its agent has a
world model (agent=dreamer). New games are played; the model sees `context` steps of each and
predicts the next `steps` from the actions alone, as the mean of so many dreams. Written into the
run's media/: a GIF of three games, true, predicted and error side by side (the border turns from
green to orange where prediction begins); the error by horizon beside that of the last frame,
copied (PNG); the numbers (JSON). With play=random every action is drawn: who hides or waits makes
games in which the copied frame is hard to beat. min_p=0.1 leaves out, at every step, what is less
than a tenth as likely as the likeliest. Other keys change the run's config.
"""
OWN = {"context": 10, "steps": 50, "games": 16, "dreams": 16, "seed": 0}
PLAYERS = ("agent", "random")


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _dream(argv))


def _arguments(argv: Sequence[str]) -> tuple[str, dict[str, int], dict[str, str], list[str]]:
    """(path, our numbers, our words, overrides of the run's config)."""
    from rlexp.schemas.run import RunConfig

    path, given = one_path(argv, "dream")
    own, overrides = dict(OWN), []
    words = {"checkpoint": "last", "play": "agent", "min_p": "0", "trust": "false"}
    for arg in given:
        name, _, value = arg.partition("=")
        if name in words:
            words[name] = value
        elif name in own:
            low = 0 if name == "seed" else 1
            if not value.isdecimal() or int(value) < low:
                raise UserError(f"{arg} must be a whole number, at least {low}")
            own[name] = int(value)
        elif name.partition(".")[0] in RunConfig.__dataclass_fields__:
            overrides.append(arg)
        else:
            known = [*OWN, *words, *RunConfig.__dataclass_fields__]
            raise UserError(f"unknown key {name!r}.{did_you_mean(name, known)}")
    if words["play"] not in PLAYERS:
        near = did_you_mean(words["play"], PLAYERS)
        raise UserError(f"play={words['play']} must be agent or random.{near}")
    try:
        fits = 0 <= float(words["min_p"]) <= 1
    except ValueError:
        fits = False
    if not fits:
        raise UserError(f"min_p={words['min_p']} must be a number from 0 to 1")
    return path, own, words, overrides


def _dream(argv: Sequence[str]) -> None:
    path, own, words, overrides = _arguments(argv)
    from rlexp import build
    from rlexp.agents.dreamer.agent import Dreamer
    from rlexp.api import load
    from rlexp.config.setup import stamp
    from rlexp.media import dream
    from rlexp.seeds import derive

    loaded = load(path, words["checkpoint"], overrides, yes_or_no(words, "trust"))
    agent = getattr(loaded.team, "agent", None)
    if not isinstance(agent, Dreamer):
        raise UserError(
            f"{path}: agent={loaded.config.agent.name} has no world model to dream with"
        )
    seed = derive(loaded.config.seed, f"dream {own['seed']}")
    act = loaded.team.policy(greedy=False, seed=derive(seed, "policy"))
    env = build.env(loaded.config.env, own["games"], evaluation=True)
    if words["play"] == "random":
        act = dream.at_random(env.spec, derive(seed, "policy"))
    try:
        found = dream.dream(
            agent, env, act, own["context"], own["steps"], seed,
            dreams=own["dreams"], min_p=float(words["min_p"]),
        )  # fmt: skip
    finally:
        env.close()
    if found is None:
        length = own["context"] + own["steps"]
        raise UserError(f"no game lasted {length} steps: write a smaller context= or steps=")
    name = f"dream_{stamp()}_{secrets.token_hex(2)}_step_{loaded.step:09d}"
    title = f"{loaded.config.agent.name} on {loaded.config.env.name}, step {loaded.step:,}"
    try:
        paths = dream.write(found, loaded.run.media, name, title)
    except OSError as ex:
        raise UserError(f"can't write into {loaded.run.media}: {ex.strerror}") from ex
    _print(found.report())
    for kind in paths.values():
        print(one_line(str(kind)))


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    unit = "dB" if "psnr" in report else "root mean squared error"
    pair = ("psnr", "copied_psnr") if "psnr" in report else ("error", "copied_error")
    table = Table(title=f"{report['games']} unseen games, {report['context']} steps seen; {unit}")
    for name in ("steps ahead", "predicted", "last frame, copied"):
        table.add_column(name, justify="right", no_wrap=True)
    ours, copied = (report[name] for name in pair)
    if "psnr" not in report:
        ours, copied = ([e**0.5 for e in values] for values in (ours, copied))
    for k in report["horizon"]:
        if k in (1, 2, 5, 10, 15) or k % 25 == 0 or k == len(ours):
            table.add_row(str(k), f"{ours[k - 1]:.4g}", f"{copied[k - 1]:.4g}")
    Console().print(table)
