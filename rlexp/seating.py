"""Which seat a player has in each row of a game with several, and what is its own of a Tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rlexp.types import Seat, State, Tick, Transition, Tree


class Seating:
    """A player's seat by row, `which` [N]: an index into `seats`.

    `start` is the seat in every row, or None: rows begin one seat after the other, and each goes to
    the next seat with its next game, so that no seat's view is seen more than another's.
    """

    def __init__(self, seats: Sequence[Seat], rows: int, start: Seat | None) -> None:
        self.seats, self.moves = tuple(seats), start is None
        first = 0 if start is None else self.seats.index(start)
        self.which = np.full(rows, first, dtype=np.int64)
        if self.moves:
            self.which = np.arange(rows) % len(self.seats)

    def next(self, ended: np.ndarray) -> None:
        """New games have begun in these rows, bool [N]."""
        if self.moves:
            self.which = (self.which + ended) % len(self.seats)

    def other(self) -> Seating:
        """Of two seats the one that the player does not have."""
        assert len(self.seats) == 2
        found = Seating(self.seats, len(self.which), self.seats[0])
        found.which = 1 - self.which
        return found

    def own(self, by_seat: Mapping[Seat, Tree]) -> Tree:
        """Of each seat's rows the player's own."""
        trees = [by_seat[seat] for seat in self.seats]
        if isinstance(trees[0], dict):
            return {
                name: self._choose([tree[name] for tree in trees])  # type: ignore[call-overload]
                for name in trees[0]
            }
        return self._choose(trees)  # type: ignore[arg-type]

    def _choose(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        found = arrays[0].copy()
        for index, array in enumerate(arrays[1:], 1):
            mine = self.which == index
            found[mine] = array[mine]
        return found

    def obs(self, tick: Tick) -> Tree:
        return self.own(tick.obs)

    def legal(self, tick: Tick) -> np.ndarray | None:
        return self._own_mask([tick.action_mask(seat) for seat in self.seats])

    def _own_mask(self, masks: Sequence[np.ndarray | None]) -> np.ndarray | None:
        """The player's own rows of each seat's mask; a seat without one allows everything."""
        given = [mask for mask in masks if mask is not None]
        if not given:
            return None
        return self._choose([np.ones_like(given[0]) if m is None else m for m in masks])

    def done(self, moves: Mapping[Seat, Transition]) -> Transition:
        """The player's own moves of all rows. Call it before `next`."""
        parts = [moves[seat] for seat in self.seats]
        names = parts[0].info.keys()
        own = {
            name: self.own({seat: getattr(moves[seat], name) for seat in self.seats})
            for name in ("obs", "action", "reward", "next_obs", "terminated", "truncated")
        }
        info = {n: self._choose([part.info[n] for part in parts]) for n in names}
        scores = [part.score for part in parts if part.score is not None]
        score = self._choose(scores) if len(scores) == len(parts) else None
        masks = {
            name: self._own_mask([getattr(part, name) for part in parts])
            for name in ("action_mask", "next_action_mask")
        }
        return Transition(parts[0].rows, info=info, score=score, **own, **masks)  # type: ignore[arg-type]

    def actions(self, mine: np.ndarray, theirs: np.ndarray) -> dict[Seat, Tree]:
        """Both seats' actions from the player's [N] and the other's."""
        return {
            seat: np.where(self.which == index, mine, theirs)
            for index, seat in enumerate(self.seats)
        }

    def state_dict(self) -> State:
        return {"which": self.which.copy()}

    def load_state_dict(self, state: State) -> None:
        self.which = np.array(state["which"])
