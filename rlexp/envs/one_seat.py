"""One seat of a game for two, with a scripted player at the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rlexp.errors import UserError, did_you_mean
from rlexp.seating import Seating
from rlexp.types import SOLO, Env, Episode, Seat, State, Tick, Tree


class OneSeat:
    """An environment whose EnvSpec names `rivals`, with one of them inside.

    `seat` is where the player sits, or None for one seat after the other, game by game. What the
    rival did is in a Transition's `info`, rival_action: with both seats' actions a game can be
    played again.
    """

    def __init__(self, env: Env, rival: str, seat: Seat | None) -> None:
        spec = env.spec
        if rival not in spec.rivals:
            raise UserError(f"no rival {rival!r}.{did_you_mean(rival, spec.rivals)}")
        self.env, self.code = env, -1 - spec.rivals.index(rival)
        seats = tuple(spec.observation_spaces)
        self.spec = replace(
            spec,
            observation_spaces={SOLO: spec.observation_spaces[seats[0]]},
            action_spaces={SOLO: spec.action_spaces[seats[0]]},
            rivals=(),
            offers={SOLO: spec.offers.get(seats[0], ())},
        )
        self.start_seat, self.seating = seat, Seating(seats, spec.num_envs, seat)
        self._loaded = False

    def start(self, seed: int) -> Tick:
        if not self._loaded:
            self.seating = Seating(self.seating.seats, self.spec.num_envs, self.start_seat)
        self._loaded = False
        return self._shown(self.env.start(seed))

    def _shown(self, tick: Tick) -> Tick:
        legal = self.seating.legal(tick)
        return replace(
            tick,
            obs={SOLO: self.seating.obs(tick)},
            legal=None if legal is None else {SOLO: legal},
            done={},
            episodes=[],
        )

    def send(self, actions: dict[Seat, Tree]) -> None:
        mine = actions[SOLO]
        assert isinstance(mine, np.ndarray)
        self.env.send(self.seating.actions(mine, np.full(len(mine), self.code)))

    def recv(self) -> Tick:
        tick = self.env.recv()
        seating = self.seating
        done = seating.done(tick.done)
        episodes = []
        for episode in tick.episodes:
            seat = seating.seats[seating.which[episode.row]]
            info = {name: float(values[episode.row]) for name, values in done.info.items()}
            own = {SOLO: episode.returns[seat]}
            episodes.append(Episode(episode.row, episode.length, own, info))
        theirs = seating.other().done(tick.done).action
        if isinstance(theirs, np.ndarray):
            done.info["rival_action"] = theirs
        seating.next(tick.first)
        shown = self._shown(tick)
        shown.done, shown.episodes = {SOLO: done}, episodes
        return shown

    def render(self, row: int) -> np.ndarray | None:
        return self.env.render(row)

    def watch(self, rows: Iterable[int]) -> None:
        self.env.watch(rows)

    def state_dict(self) -> State:
        return {"env": self.env.state_dict(), "seating": self.seating.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.env.load_state_dict(state["env"])
        self.seating.load_state_dict(state["seating"])
        self._loaded = True

    def close(self) -> None:
        self.env.close()
