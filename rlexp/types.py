"""The few types that cross rooms: what an environment hands to agents, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

from rlexp.clock import Clock

if TYPE_CHECKING:
    from gymnasium import Space

Tree = np.ndarray | dict[str, np.ndarray]
"""An array or a dict of arrays. The leading axis is rows, one row a game."""

Seat = str
"""Who moves; `SOLO` where there is one player."""

SOLO: Seat = "agent"

Metrics = dict[str, Any]
"""Metric name (see metrics.py) to a number or a 0-d tensor."""

State = dict[str, Any]
"""What `state_dict` gives: nested dicts and lists of numbers, strings, arrays and tensors."""


OFFERS = {
    "answers": 'the right answer to every move (info["target"])',
    "gradients": "observations that are the gradient of what is to be minimised",
}
"""What an environment may offer besides its spaces, and an agent may ask for."""


@dataclass(slots=True)
class Transition:
    """One seat's completed moves, one entry a row.

    rows        int   [B]  which games moved; all of them in most environments
    obs         Tree  [B, …]
    action      Tree  [B, …]
    reward      f32   [B]  everything earned from this move to the seat's next one
    next_obs    Tree  [B, …]  the true successor, a game's last picture included
    terminated  bool  [B]  the game itself ended: nothing follows
    truncated   bool  [B]  a limit cut the game: bootstrap through it
    info        numbers [B], such as "target", "is_success", "x_pos"
    score       f32   [B]  what is reported as return, where that is not the reward; else None
    action_mask, next_action_mask
                bool  [B, actions]  the actions that are legal in obs and in next_obs; None where
                everything always is. After a termination nothing follows: all true there
    """

    rows: np.ndarray
    obs: Tree
    action: Tree
    reward: np.ndarray
    next_obs: Tree
    terminated: np.ndarray
    truncated: np.ndarray
    info: dict[str, np.ndarray] = field(default_factory=dict)
    score: np.ndarray | None = None
    action_mask: np.ndarray | None = None
    next_action_mask: np.ndarray | None = None

    @property
    def gain(self) -> np.ndarray:
        """What the move adds to the return that is reported, [B]."""
        return self.reward if self.score is None else self.score

    @property
    def ended(self) -> np.ndarray:
        """bool [B]: this move was its game's last."""
        return self.terminated | self.truncated


@dataclass(slots=True)
class Episode:
    """A finished game: row, length in moves, return of each seat, numbers of the last info."""

    row: int
    length: int
    returns: dict[Seat, float]
    info: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Tick:
    """One turn of the loop: who is to move now, and what the last moves led to.

    obs       of the seats to move now, all rows; games that ended have already restarted
    first     bool [N]: this obs opens a game, so recurrent memory is to be cleared
    legal     bool [N, actions] a seat, or None where every action is always allowed
    done      the moves this tick completed, by seat (a sender's and its receiver's together)
    steps     environment steps this tick took, over all rows
    episodes  the games that ended
    pictures  of watched rows whose game ended: how it ended, RGB uint8 [H, W, 3]
    """

    obs: dict[Seat, Tree]
    first: np.ndarray
    legal: dict[Seat, np.ndarray] | None = None
    done: dict[Seat, Transition] = field(default_factory=dict)
    steps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    pictures: dict[int, np.ndarray] = field(default_factory=dict)

    def action_mask(self, seat: Seat) -> np.ndarray | None:
        """Return the legal actions of a seat, bool [N, actions]; None where all always are."""
        return None if self.legal is None else self.legal.get(seat)


class Translator(Protocol):
    """Translates one row between the environment as its user holds it and what agents get.

    It remembers what an observation needs of the ones before it, such as stacked frames.

    observation_space, action_space  the environment's own
    """

    observation_space: Space[Any]
    action_space: Space[Any]

    def first(self, obs: Any) -> np.ndarray: ...  # the agent's, of what opens an episode
    def next(self, obs: Any) -> np.ndarray: ...  # the agent's, of what follows
    def action(self, action: Any) -> Any: ...  # the environment's, of the agent's


@dataclass(frozen=True, slots=True)
class EnvSpec:
    """What an environment is, known before any agent is built.

    observation_spaces, action_spaces  by seat, of one row; images are channel-first uint8 [C, H, W]
    num_envs       rows
    frame_stack    observations are this many pictures, stacked along the channels, newest last
    resume         "state": saved and restored; "replay": the actions since the start are played
                   again; "none": a resumed run starts new games
    deterministic  nothing is drawn at all: the same actions always lead to the same episode, so
                   greedy play repeats itself
    fps            pictures a second when shown
    rivals         scripted players: a seat's action -1 - k lets the k-th of them move in that row
    notes          what a run says of it at its start, a line each
    offers         what some agents ask for besides, by seat: see OFFERS
    action_masks   time steps hold action masks (`Tick.legal`); None says that they may. A base
                   class of ours turns None into whether its game overrides `legal_rows`
    random_starts_only  everything is drawn when an episode starts and nothing after that (by the
                   scripted players neither): from an equal start the same actions lead to the same
                   episode. Where this is false, an evaluation takes episodes as independent
    translator     makes a Translator; None where the environment's own spaces are those above
    """

    observation_spaces: dict[Seat, Space[Any]]
    action_spaces: dict[Seat, Space[Any]]
    num_envs: int
    frame_stack: int = 1
    resume: Literal["state", "replay", "none"] = "state"
    deterministic: bool = False
    fps: float = 30
    rivals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    offers: dict[Seat, tuple[str, ...]] = field(default_factory=dict)
    action_masks: bool | None = None
    random_starts_only: bool = False
    translator: Callable[[], Translator] | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What an agent can work with; checked before anything is built.

    actions       "discrete", "multidiscrete", "continuous"
    bounded       continuous actions must have bounds on either side
    observations  "vector", "pixels", "discrete" (a number int64 [B], not one-hot), "mixed"
                  (pictures and numbers in one vector: spaces.Packed)
    buffers       names it can learn from, the preferred one first; empty: it keeps none
    overlap       learns while the environment steps (off-policy agents)
    rows          "shared": rows feed one learner; "independent": one learner a row
    seats         "one": an agent of its own at every seat; "all": one for all seats, which gets
                  `observation_spaces` and `action_spaces` and is a Team by itself
    asks          what an environment must offer besides its spaces: see OFFERS
    priorities    tells its buffer TD errors, which may decide what is drawn (buffers/priorities.py)
    stochastic_when_greedy  its greedy play draws numbers, too: from an equal start it may play
                  another episode
    """

    actions: tuple[str, ...]
    observations: tuple[str, ...] = ("vector", "pixels", "discrete", "mixed")
    buffers: tuple[str, ...] = ()
    overlap: bool = False
    rows: Literal["shared", "independent"] = "shared"
    seats: Literal["one", "all"] = "one"
    asks: tuple[str, ...] = ()
    priorities: bool = False
    stochastic_when_greedy: bool = False
    bounded: bool = False


class Env(Protocol):
    """Always `spec.num_envs` games at once, also when that is one."""

    spec: EnvSpec

    # After load_state_dict the pending Tick; where a game could not be brought back, `first`.
    def start(self, seed: int) -> Tick: ...
    def send(self, actions: dict[Seat, Tree]) -> None: ...  # begins the step; threads may run
    def recv(self) -> Tick: ...  # ends it
    def render(self, row: int) -> np.ndarray | None: ...  # RGB uint8 [H, W, 3]
    def watch(self, rows: Iterable[int]) -> None: ...  # whose last pictures Ticks shall hold
    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...
    def close(self) -> None: ...


class Policy(Protocol):
    """Plays without learning, with its own RNG and memory: evaluation, GIFs, rivals.

    For rivals in self-play it also has `state_dict` and `load_state_dict`, which hold both, it can
    be copied (copy.deepcopy), and one whose memory is by row says `recurrent = True`.
    """

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None = None) -> Tree: ...


class Agent(Protocol):
    """One seat's player and learner. One that may stop by itself has a bool `finished`; one that
    stores parts of games has `truncate` (see truncate_games)."""

    needs: ClassVar[Needs]

    def act(self, obs: Tree, first: np.ndarray, legal: np.ndarray | None) -> Tree: ...
    def observe(self, t: Transition) -> None: ...  # stores; takes no gradients
    def learn(self, clock: Clock) -> Metrics | None: ...  # all updates owed since the last call
    def policy(self, greedy: bool, seed: int) -> Policy: ...  # never touches training state
    def metrics(self) -> Metrics: ...  # values of now: epsilon, learning rate
    def state_dict(self) -> State: ...  # key "weights": all that policy() needs
    def load_state_dict(self, state: State) -> None: ...
    def load_weights(self, weights: State) -> None: ...


class Team(Protocol):
    """Who sits where. The same verbs over a whole Tick: the only code that knows seats.

    Like an agent, one that stores parts of games has `truncate`.
    """

    overlap: bool

    @property
    def finished(self) -> bool: ...  # nothing is left to learn: the run ends
    def act(self, tick: Tick) -> dict[Seat, Tree]: ...
    def observe(self, tick: Tick) -> None: ...
    def learn(self, clock: Clock) -> Metrics | None: ...
    def policy(self, greedy: bool, seed: int) -> Callable[[Tick], dict[Seat, Tree]]: ...
    def metrics(self) -> Metrics: ...
    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...
    def load_weights(self, weights: State) -> None: ...


def truncate_games(player: Agent | Team, rows: np.ndarray) -> None:
    """Tell an agent or a team that new games begin in `rows`, whatever it has stored of old ones.

    A game of which it has seen no end was cut: its `truncate(rows)` closes that as truncated after
    the last step that was stored, so that nothing is joined to the new game. Rows whose game had
    ended stay as they are. A player that stores no games needs no such method.
    """
    truncate = getattr(player, "truncate", None)
    if truncate is not None:
        truncate(rows)
