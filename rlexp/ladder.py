"""Everyone against everyone: checkpoints of runs, and scripted players, in a game for two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from rlexp.errors import UserError, did_you_mean
from rlexp.seeds import derive
from rlexp.trees import take
from rlexp.types import Env, Policy, Tick

MOST_ROWS = 1024


@dataclass
class Player:
    """A checkpoint, or a scripted player (`policy` None: its `code` is its action).

    `policy` makes one for a seed: each seat gets its own, whose memory is in order. `lens` is the
    environment of its run, through which it sees other runs' games; None: it sees all alike.
    """

    name: str
    run: str = ""
    step: int | None = None
    policy: Callable[[int], Policy] | None = None
    lens: Any = None
    code: int = 0


@dataclass
class Table:
    """Counts [P, P] of games that i won against j, and of draws; of knock-outs likewise."""

    players: list[Player]
    wins: np.ndarray
    draws: np.ndarray
    knock_outs: np.ndarray


def round_robin(
    players: Sequence[Player],
    make_env: Callable[[int], Env],
    games: int,
    seed: int,
    tell: Callable[[str], None] = lambda text: None,
) -> Table:
    """`games` games for each pair, half of them from each corner.

    Who has more lives at the end has won; environments that tell no outcome are judged by returns.
    Many pairs play at once, a row a game.
    """
    count = len(players)
    table = Table(list(players), *np.zeros((3, count, count), dtype=np.int64))
    seatings = []
    for a, b in combinations(range(count), 2):
        seatings += [(a, b) if game % 2 == 0 else (b, a) for game in range(games)]
    for start in range(0, len(seatings), MOST_ROWS):
        part = np.array(seatings[start : start + MOST_ROWS])
        tell(f"games {start + 1:,} to {start + len(part):,} of {len(seatings):,}")
        env = make_env(len(part))
        try:
            _play(table, env, part, derive(seed, f"games {start}"))
        finally:
            env.close()
    return table


def _play(table: Table, env: Env, seated: np.ndarray, seed: int) -> None:
    """One game in every row; `seated` [N, 2] says who has which seat."""
    seats = list(env.spec.observation_spaces)
    at: dict[tuple[int, str], Policy] = {}
    for index, player in enumerate(table.players):
        if player.lens is not None:
            player.lens.share(env)
        if player.policy is not None:
            at |= {(index, s): player.policy(derive(seed, f"{player.name} {s}")) for s in seats}
    tick, ended = env.start(seed), np.zeros(len(seated), dtype=bool)
    while not ended.all():
        actions = {seat: np.zeros(len(seated), dtype=np.int64) for seat in seats}
        for index, player in enumerate(table.players):
            for side, seat in enumerate(seats):
                policy = at.get((index, seat))
                sits = seated[:, side] == index
                if not getattr(policy, "recurrent", False):
                    sits = sits & ~ended  # one with a memory always gets the same rows
                rows = sits.nonzero()[0]
                if len(rows):
                    actions[seat][rows] = _act(player, policy, env, tick, seat, rows)
        env.send(actions)  # type: ignore[arg-type]
        tick = env.recv()
        for episode in tick.episodes:
            row = episode.row
            if ended[row]:
                continue
            ended[row] = True
            first, second = seated[row]
            lead = episode.info.get(f"outcome/{seats[0]}")
            if lead is None:
                lead = episode.returns[seats[0]] - episode.returns[seats[1]]
            if lead == 0:
                table.draws[first, second] += 1
                table.draws[second, first] += 1
            else:
                winner, loser = (first, second) if lead > 0 else (second, first)
                table.wins[winner, loser] += 1
            for side, seat in enumerate(seats):
                won = episode.info.get(f"is_success/{seat}", 0.0) > 0
                table.knock_outs[seated[row, side], seated[row, 1 - side]] += won


def _act(
    player: Player, policy: Policy | None, env: Any, tick: Tick, seat: str, rows: np.ndarray
) -> np.ndarray:
    """What a player does in these rows, [len(rows)]."""
    if policy is None:
        return np.full(len(rows), player.code)
    if player.lens is None:
        obs, legal = tick.obs[seat], tick.action_mask(seat)
        mask = None if legal is None else legal[rows]
        return np.asarray(policy.act(take(obs, rows), tick.first[rows], mask))
    legal = player.lens.legal_rows(seat)
    mask = None if legal is None else legal[rows]
    played = np.asarray(policy.act(player.lens.observe(seat, rows), tick.first[rows], mask))
    own: np.ndarray = env.frame(seat, player.lens.frame(seat, played))
    return own


def gather(
    paths: Sequence[str],
    greedy: bool,
    most: int | None,
    rivals: Sequence[str] | None,
    trusted: bool = False,
) -> tuple[list[Player], Callable[[int], Env]]:
    """(players, what makes their arena): checkpoints of runs and scripted rivals.

    Of each run `most` archived checkpoints at most, spread evenly, and its last; of a path to a
    checkpoint that one. UserError where runs can't meet.
    """
    from rlexp import api, build, locate
    from rlexp.run_dir import step_of

    players: list[Player] = []
    arena: Any = None
    court: Any = None
    met: set[Path] = set()
    for path in paths:
        located = locate.locate(path)
        folders = [located.checkpoint] if located.checkpoint else archived(located.run, most)
        for folder in folders:
            if folder.resolve() in met:
                continue  # named twice: against itself it would only draw
            met.add(folder.resolve())
            loaded = api.load(str(folder), trust=trusted)
            config = for_two(loaded.config.env)
            if arena is None:
                arena, first = config, str(path)
                court = build.env(arena, 1)
            lens = build.env(config, 1)
            _check(lens, court, str(path), first)
            agent = getattr(loaded.team, "agent", None)
            if agent is None:
                raise UserError(f"{path} has an agent for each seat, not one that plays any")

            def policy(seed: int, agent: Any = agent) -> Policy:
                found: Policy = agent.policy(greedy, seed)
                return found

            step = step_of(folder)
            shared = lens if hasattr(lens, "share") else None
            name = f"{located.run.path.name} {short(step)}"
            players.append(Player(name, str(located.run.path), step, policy, shared))
    known = court.spec.rivals
    for rival in known if rivals is None else rivals:
        if rival not in known:
            raise UserError(f"no rival {rival!r}.{did_you_mean(rival, known)}")
        players.append(Player(rival, code=-1 - known.index(rival)))
    if len(players) < 2:
        raise UserError("a ladder needs two players or more")
    return players, lambda rows: build.env(arena, rows)


def for_two(config: Any) -> Any:
    """The config of an environment, without the rival that a game for two may have inside."""
    if getattr(config, "rival", None) is not None:
        config.rival = None
    return config


def _check(lens: Any, arena: Any, path: str, first: str) -> None:
    """UserError unless a run can play in another's arena."""
    if len(lens.spec.observation_spaces) != 2:
        raise UserError(f"{path} is no run of a game for two")
    if hasattr(lens, "share") and hasattr(arena, "share"):
        if not lens.rules.same_game(arena.rules):
            raise UserError(f"{path} was not trained by the rules of {first}: they can't meet")
    elif lens.spec != arena.spec:
        raise UserError(f"{path} does not see what {first} sees: they can't meet")


def archived(run: Any, most: int | None) -> list[Path]:
    """A run's archived checkpoints by step, and its last full one; `most` of them, evenly."""
    from rlexp.locate import choose_checkpoint
    from rlexp.run_dir import step_of

    found = {step_of(p): p for p in run.archived()}
    last = choose_checkpoint(run, "last")
    found.setdefault(step_of(last), last)
    steps = sorted(found)
    if most is not None and len(steps) > most:
        steps = [steps[round(i * (len(steps) - 1) / max(1, most - 1))] for i in range(most)]
    return [found[step] for step in dict.fromkeys(steps)]


def short(step: int) -> str:
    """1500000 → 1.5M."""
    if step < 1000:
        return str(step)
    thousands = f"{step / 1000:.3g}"
    if float(thousands) < 1000:
        return f"{thousands}k"
    return f"{step / 1_000_000:.3g}M" if step < 999_500_000 else f"{step // 1_000_000}M"


def told(table: Table, games: int, seed: int, greedy: bool) -> dict[str, Any]:
    """All of it as JSON: players with ratings, the matrix, circles, rank correlation by run."""
    from rlexp.ratings import rate
    from rlexp.statistics import spearman

    found = rate(table.wins, table.draws)
    points = table.wins + table.draws / 2
    played = np.maximum(1, (table.wins + table.draws + table.wins.T).sum(1))
    order = np.argsort(-found.elo, kind="stable")
    correlation = {}
    for run in dict.fromkeys(p.run for p in table.players if p.run):
        mine = [i for i, p in enumerate(table.players) if p.run == run]
        steps = np.array([table.players[i].step for i in mine])
        correlation[run] = spearman(steps, found.elo[mine]) if len(mine) > 2 else None
    return {
        "players": [
            {
                "name": table.players[i].name,
                "run": table.players[i].run,
                "step": table.players[i].step,
                "elo": float(found.elo[i]),
                "elo_ci": [float(found.low[i]), float(found.high[i])],
                "points": float(points[i].sum() / played[i]),
                "knock_outs": int(table.knock_outs[i].sum()),
            }
            for i in order
        ],
        "wins": table.wins[order][:, order].tolist(),
        "draws": table.draws[order][:, order].tolist(),
        "intransitive": {"cycles": found.cycles, "triples": found.triples},
        "spearman_of_rating_and_step": correlation,
        "games_each_pair": games,
        "greedy": greedy,
        "seed": seed,
    }
