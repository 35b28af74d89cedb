"""What a self-play learner is worth: games against scripted players, from both corners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from rlexp.evaluate import (
    INDEPENDENT,
    Evaluation,
    Place,
    Played,
    Repetition,
    Sample,
    evaluate,
)
from rlexp.seeds import derive
from rlexp.types import SOLO, Env, Team


def play_rivals(
    team: Team,
    env: Env,
    episodes: int,
    seed: int,
    greedy: bool,
    watch: Iterable[Place] = (),
    max_steps: int | None = None,
    each_step: Callable[[], None] | None = None,
    repetition: Repetition = INDEPENDENT,
) -> Evaluation:
    """`episodes` games against each of the rivals that the team is evaluated with.

    Of rival k, rows are counted from k times the environment's. Returns and numbers of a game are
    the learner's own, those of the rival beside them; `Played.rival` names it.
    """
    rows, seats = env.spec.num_envs, list(env.spec.observation_spaces)
    rivals: Sequence[str] = team.evaluate  # type: ignore[attr-defined]
    found = Evaluation([], repetition=repetition)
    for k, rival in enumerate(rivals):
        own = [(row - k * rows, nth) for row, nth in watch if row // rows == k]
        act = team.match(rival, rows, greedy, derive(seed, "policy"))  # type: ignore[attr-defined]
        result = evaluate(env, act, episodes, seed, own, max_steps, each_step, repetition)
        for game in result.games:
            row, nth = game.place
            found.games.append(_seen_by(game, (row + nth) % 2, seats, rival, k * rows))
        found.frames |= {(row + k * rows, nth): f for (row, nth), f in result.frames.items()}
    return found


def _seen_by(game: Played, seat: int, seats: Sequence[str], rival: str, offset: int) -> Played:
    me, other = seats[seat], seats[1 - seat]
    info = {
        name.removesuffix(f"/{me}"): value
        for name, value in game.info.items()
        if name.endswith(f"/{me}")
    }
    info |= {
        "rival_" + name.removesuffix(f"/{other}"): value
        for name, value in game.info.items()
        if name.endswith(f"/{other}")
    }
    return replace(
        game,
        place=(game.place[0] + offset, game.place[1]),
        returns={SOLO: game.returns[me], "rival": game.returns[other]},
        success=bool(info["is_success"]) if "is_success" in info else None,
        info=info,
        rival=rival,
    )


def by_rival(result: Evaluation) -> dict[str, dict[str, Any]]:
    """Rates with 95 % intervals and means, for each rival; what a game doesn't tell is left out."""
    names = list(dict.fromkeys(game.rival for game in result.games))
    return {name: _against(result.sample(name)) for name in names}


def _against(sample: Sample) -> dict[str, Any]:
    games = sample.games
    found: dict[str, Any] = {"games": len(games), "distinct_starts": sample.distinct_starts}

    def rate(name: str, true: Sequence[bool]) -> None:
        found[f"{name}_rate"], found[f"{name}_rate_ci"] = sample.rate(true)

    def mean(name: str, values: Sequence[float]) -> None:
        found[name], found[f"{name}_ci"] = sample.mean(values)

    lead = [game.info.get("outcome", game.returns[SOLO] - game.returns["rival"]) for game in games]
    rate("ahead", [value > 0 for value in lead])
    rate("behind", [value < 0 for value in lead])
    if all("is_success" in game.info for game in games):
        won = [bool(game.info["is_success"]) for game in games]
        lost = [bool(game.info["rival_is_success"]) for game in games]
        rate("win", won)
        rate("draw", [not (w or g) for w, g in zip(won, lost, strict=True)])
        rate("loss", lost)
    if all("lives" in game.info for game in games):
        mean("lives_difference", [g.info["lives"] - g.info["rival_lives"] for g in games])
        mean("hits", [game.info["hits"] for game in games])
        mean("self_hits", [game.info["self_hits"] for game in games])
    mean("return_mean", [game.returns[SOLO] for game in games])
    mean("length_mean", [game.length for game in games])
    return found


def metrics(told: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The same as metrics, by rival."""
    found: dict[str, float] = {}
    names = ("ahead_rate", "behind_rate", "win_rate", "draw_rate", "loss_rate", "lives_difference",
             "hits", "self_hits", "return_mean")  # fmt: skip
    for rival, values in told.items():
        found |= {f"eval/{name}/{rival}": values[name] for name in names if name in values}
        for name in ("ahead_rate", "win_rate"):
            interval = values.get(f"{name}_ci")
            if interval is not None:
                found[f"eval/{name}_ci_low/{rival}"] = interval[0]
                found[f"eval/{name}_ci_high/{rival}"] = interval[1]
    return found
