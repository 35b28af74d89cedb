"""One learner in a game for two; frozen copies of it, or scripted players, on the other side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rlexp.clock import Clock
from rlexp.seating import Seating
from rlexp.seeds import derive
from rlexp.teams.pool import FIRST_RATING, Pool, chosen, memory, rated, remember
from rlexp.trees import take
from rlexp.types import SOLO, Agent, Episode, Metrics, Seat, State, Tick, Tree, truncate_games
from rlexp.weights import agent_weights

LATEST = 0  # the rival's number where it is the learner as it is now
WINDOW = 100


class SelfPlay:
    """The learner sees all rows, each from the seat it has there, and knows of no other.

    A row's rival is drawn when a game begins: a scripted one (its number is -1 - k, which the
    environment plays by itself), the learner as it is now (LATEST; where it learns while others
    play, its newest copy), or a copy of the pool. After `observe` the Tick tells what the learner
    did, as a one-seat game would: metrics need not know of seats.

    `rival_sees` "learner" and `rival_forgets` false are mistakes that can be switched on: the rival
    is shown the learner's view, and its memory goes on from game to game.
    """

    def __init__(
        self,
        agent: Agent,
        seats: Sequence[Seat],
        rivals: Sequence[str],
        num_envs: int,
        overlap: bool,
        seed: int,
        *,
        save_every: int | str | None,
        swap_every: int | str | None,
        window: int,
        latest_ratio: float,
        scripted: list[str],
        scripted_share: float,
        random_until: int | str | None,
        greedy_rivals: bool,
        alternate: bool,
        both_views: bool,
        rival_sees: str,
        rival_forgets: bool,
        evaluate: list[str],
        **_: Any,
    ) -> None:
        self.agent, self.overlap, self.rivals = agent, overlap, tuple(rivals)
        self.save_every, self.swap_every, self.random_until = save_every, swap_every, random_until
        self.latest_ratio, self.scripted_share = latest_ratio, scripted_share
        self.scripted = [-1 - self.rivals.index(name) for name in scripted]
        self.both_views, self.rival_sees = both_views, rival_sees
        self.rival_forgets, self.evaluate = rival_forgets, evaluate
        self.seating = Seating(seats, num_envs, None if alternate else seats[0])
        self.pool = Pool(agent, window, greedy_rivals, derive(seed, "pool"))
        self.latest = agent.policy(greedy_rivals, derive(seed, "latest rival"))
        self.rng = np.random.default_rng(derive(seed, "rivals"))
        self.rival = np.zeros(num_envs, dtype=np.int64)
        self.drawn = np.full(num_envs, -1, dtype=np.int64)  # in which round, each row's
        self.round = 0
        self.random = random_until is not None
        self.rating = FIRST_RATING
        self.scripted_ratings = dict.fromkeys(self.rivals, FIRST_RATING)
        self.results: deque[float] = deque(maxlen=WINDOW)
        self.pool.add(0, self.rating)

    @property
    def finished(self) -> bool:
        return bool(getattr(self.agent, "finished", False))

    def act(self, tick: Tick) -> dict[Seat, Tree]:
        for row in tick.first.nonzero()[0]:
            self._draw_rival(int(row))
        self.pool.drop(self.rival.tolist())
        mine = self.agent.act(self.seating.obs(tick), tick.first, self.seating.legal(tick))
        assert isinstance(mine, np.ndarray)
        return self.seating.actions(mine, self._rivals_act(tick))

    def _draw_rival(self, row: int) -> None:
        kept = self.rival[row] <= LATEST or self.rival[row] in self.pool.playable()
        if kept and self.swap_every is not None and self.drawn[row] == self.round:
            return
        self.drawn[row] = self.round
        self.rival[row] = self._chosen()

    def _chosen(self) -> int:
        if self.random:
            return -1 - self.rivals.index("random")
        if self.scripted and self.rng.random() < self.scripted_share:
            return chosen(self.rng, self.scripted)
        if self.rng.random() < self.latest_ratio:
            return self.pool.own[-1] if self.overlap else LATEST
        return chosen(self.rng, self.pool.playable())

    def _rivals_act(self, tick: Tick) -> np.ndarray:
        """[N]: numbers of scripted ones stay as they are, the environment knows what to do."""
        side = self.seating if self.rival_sees == "learner" else self.seating.other()
        obs, legal = side.obs(tick), side.legal(tick)
        first = tick.first if self.rival_forgets else np.zeros_like(tick.first)
        actions = self.rival.copy()
        for number in np.unique(self.rival[self.rival >= LATEST]).tolist():
            rows = (self.rival == number).nonzero()[0]
            policy = self.latest if number == LATEST else self.pool.copies[number].policy
            if getattr(policy, "recurrent", False):
                # Its memory is by row, so it sees all of them.
                played = policy.act(obs, first, legal)
                actions[rows] = np.asarray(played)[rows]
            else:
                mask = None if legal is None else legal[rows]
                actions[rows] = np.asarray(policy.act(take(obs, rows), first[rows], mask))
        return actions

    def observe(self, tick: Tick) -> None:
        mine = self.seating.done(tick.done)
        self.agent.observe(mine)
        if self.both_views:
            theirs = self.seating.other().done(tick.done)
            self.agent.store(  # type: ignore[attr-defined]
                replace(theirs, rows=theirs.rows + len(theirs.rows))
            )
        tick.episodes = [self._told(episode, mine.info) for episode in tick.episodes]
        tick.done = {SOLO: mine}
        for episode in tick.episodes:
            self._rate(episode)
        self.seating.next(tick.first)

    def truncate(self, rows: np.ndarray) -> None:
        """Close the learner's games in these rows, which were cut, as truncated; nobody won."""
        both = [rows, rows + len(self.rival)] if self.both_views else [rows]
        truncate_games(self.agent, np.concatenate(both))

    def _told(self, episode: Episode, info: dict[str, np.ndarray]) -> Episode:
        """The game as the learner saw it."""
        seats, row = self.seating.seats, episode.row
        own = int(self.seating.which[row])
        returns = {SOLO: episode.returns[seats[own]], "rival": episode.returns[seats[1 - own]]}
        numbers = {name: float(values[row]) for name, values in info.items()}
        return Episode(row, episode.length, returns, numbers)

    def _rate(self, episode: Episode) -> None:
        result = outcome(episode.info, episode.returns[SOLO], episode.returns["rival"])
        self.results.append(result)
        number = int(self.rival[episode.row])
        if number < 0:
            name = self.rivals[-1 - number]
            theirs = self.scripted_ratings[name]
            self.rating, self.scripted_ratings[name] = rated(self.rating, theirs, result)
        elif number > 0:
            one = self.pool.copies[number]
            self.rating, one.rating = rated(self.rating, one.rating, result)

    def learn(self, clock: Clock) -> Metrics | None:
        metrics = self.agent.learn(clock)
        random = self.random_until is not None and not clock.reached(self.random_until)
        # Where random play ends, a round does too: else rows would go on with it until the next.
        self.round += clock.crossed(self.swap_every) + (self.random and not random)
        self.random = random
        if clock.crossed(self.save_every):
            self.pool.add(clock.steps, self.rating)
        return metrics

    def policy(self, greedy: bool, seed: int) -> Callable[[Tick], dict[Seat, Tree]]:
        """The learner at every seat."""
        players = {
            seat: self.agent.policy(greedy, derive(seed, f"policy {seat}"))
            for seat in self.seating.seats
        }

        def play(tick: Tick) -> dict[Seat, Tree]:
            return {
                seat: player.act(tick.obs[seat], tick.first, tick.action_mask(seat))
                for seat, player in players.items()
            }

        return play

    def match(
        self, rival: str, rows: int, greedy: bool, seed: int
    ) -> Callable[[Tick], dict[Seat, Tree]]:
        """The learner against a scripted player, from one corner after the other.

        The seat of game n of row r is (r + n) modulo 2. For one environment, from its start on.
        """
        player = self.agent.policy(greedy, derive(seed, f"against {rival}"))
        number = -1 - self.rivals.index(rival)
        seating, begun = Seating(self.seating.seats, rows, None), False

        def play(tick: Tick) -> dict[Seat, Tree]:
            nonlocal begun
            if begun:
                seating.next(tick.first)
            begun = True
            mine = player.act(seating.obs(tick), tick.first, seating.legal(tick))
            return seating.actions(np.asarray(mine), np.full(rows, number))

        return play

    def metrics(self) -> Metrics:
        found = self.agent.metrics()
        found |= {"train/rating": self.rating, "train/pool": len(self.pool.copies)}
        if self.results:
            found["train/won"] = float(np.mean(self.results))
        return found

    def state_dict(self) -> State:
        return {
            "learner": self.agent.state_dict(),
            "pool": self.pool.state_dict(),
            "seating": self.seating.state_dict(),
            "latest": memory(self.latest),
            "rng": self.rng.bit_generator.state,
            "rows": {"rival": self.rival.copy(), "drawn": self.drawn.copy()},
            "round": self.round,
            "random": self.random,
            "rating": self.rating,
            "scripted_ratings": dict(self.scripted_ratings),
            "results": list(self.results),
        }

    def load_state_dict(self, state: State) -> None:
        self.pool.load_state_dict(state["pool"])  # borrows the agent
        self.agent.load_state_dict(state["learner"])
        self.seating.load_state_dict(state["seating"])
        remember(self.latest, state["latest"])
        self.rng.bit_generator.state = state["rng"]
        self.rival, self.drawn = (np.array(state["rows"][n]) for n in ("rival", "drawn"))
        self.round, self.random = state["round"], state["random"]
        self.rating = state["rating"]
        self.scripted_ratings = dict(state["scripted_ratings"])
        self.results = deque(state["results"], maxlen=WINDOW)

    def load_weights(self, weights: State) -> None:
        # Those of another self-play run, or of one agent that played alone.
        learner = weights.get("learner")
        self.agent.load_weights(learner["weights"] if learner else agent_weights(weights))
        self.pool.renew()


def outcome(info: dict[str, float], mine: float, theirs: float) -> float:
    """1 for a game won, 1/2 for a draw, 0: what it says of itself, or by the returns."""
    lead = info.get("outcome", mine - theirs)
    return 0.5 + 0.5 * float(np.sign(lead))
