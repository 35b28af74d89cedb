"""What may not be played is worth nothing: learners never bootstrap from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from rlexp.agents.common import random_actions
from rlexp.agents.sarsa import Sarsa
from rlexp.agents.td_control import QLearning, TDControl
from rlexp.clock import Clock
from rlexp.envs.base import BatchEnv
from rlexp.loop import train
from rlexp.seating import Seating
from rlexp.spaces import mask_size
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, EnvSpec, State, Tree
from tiny import Corridor, dqn, epsilon, trained_team

CELLS = 10
COSTS = np.arange(-CELLS, 0)
"""What the only action is worth in each cell: all moves that are left cost 1."""


class OneWay(BatchEnv):
    """A walk to the end of ten cells, each move -1; action 1 leads nowhere and is never legal.

    It declares no masks, as a plugin that is older than the declaration.
    """

    def __init__(self, num_envs: int = 2, pixels: bool = False) -> None:
        space = Box(0, 255, (1, 36, 36), np.uint8) if pixels else Box(0.0, 1.0, (CELLS,))
        super().__init__(EnvSpec({SOLO: space}, {SOLO: Discrete(2)}, num_envs))
        self.pixels = pixels
        self.cell = np.zeros(num_envs, dtype=np.int64)

    def reset_rows(self, rows: np.ndarray) -> None:
        self.cell[rows] = self.rng.integers(CELLS, size=len(rows))

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert (actions == 0).all()
        self.cell = self.cell + 1
        return np.full(len(self.cell), -1.0), self.cell == CELLS, {}

    def legal_rows(self) -> np.ndarray:
        return np.tile([True, False], (len(self.cell), 1))

    def observe_rows(self) -> Tree:
        return self.seen(np.minimum(self.cell, CELLS - 1))

    def seen(self, cells: np.ndarray) -> np.ndarray:
        if not self.pixels:
            return np.eye(CELLS, dtype=np.float32)[cells]
        pictures = np.zeros((len(cells), 1, 36, 36), dtype=np.uint8)
        for i, cell in enumerate(cells):
            pictures[i, 0, 18 * (cell // 5) :][:18, 7 * (cell % 5) :][:, :7] = 255
        return pictures

    def game_state(self) -> State:
        return {"cell": self.cell.copy()}

    def load_game_state(self, state: State) -> None:
        self.cell = np.array(state["cell"])


def play(env: OneWay, agent: Any, steps: int) -> None:
    for _ in train(Solo(agent, SOLO, agent.needs.overlap), env, Clock(total_steps=steps), 0):
        pass


def action_values(env: OneWay, agent: Any) -> np.ndarray:
    """Q(s, 0) of every cell."""
    obs = torch.from_numpy(env.seen(np.arange(CELLS)))
    with torch.no_grad():
        values: np.ndarray = agent.online(obs)[:, 0].numpy()
    return values


@pytest.mark.parametrize(("double", "n_step"), [(False, 1), (True, 1), (True, 3)])
def test_dqn_does_not_bootstrap_from_illegal_actions(double: bool, n_step: int) -> None:
    env = OneWay()
    agent = dqn(
        env, gamma=1.0, double=double, n_step=n_step, hidden=[], lr=0.03, loss="squared",
        target_every=20, epsilon=epsilon(kind="constant", start=0.5),
    )  # fmt: skip
    play(env, agent, 2000)
    np.testing.assert_allclose(action_values(env, agent), COSTS, atol=0.2)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("pixels", [False, True])
def test_targets_from_both_buffers(pixels: bool, double: bool) -> None:
    """Both nets think that the illegal action is worth 100."""
    env = OneWay(pixels=pixels)
    agent = dqn(env, double=double, n_step=2, learning_starts=10**6)
    play(env, agent, 60)
    for net in (agent.online, agent.target):
        with torch.no_grad():
            net.head.bias[1] = 100.0
    batch = agent.buffer.sample(200, np.random.default_rng(0), n_step=2, gamma=0.9)
    assert isinstance(batch.next_obs, np.ndarray)
    with torch.no_grad():
        following = agent.target(torch.from_numpy(batch.next_obs))[:, 0].numpy()
    found = agent._targets(batch, slice(None)).numpy()
    np.testing.assert_allclose(found, batch.reward + batch.discount * following, rtol=1e-5)


class Gates(OneWay):
    """The walk with masks of its own in every cell: cell c allows action 1 where c is odd."""

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        return super().step_rows(np.zeros_like(actions))

    def legal_rows(self) -> np.ndarray:
        if (self.cell == CELLS).any():
            raise AssertionError("nobody needs to know what a finished game allows")
        return np.stack([np.ones(len(self.cell), dtype=bool), self.cell % 2 == 1], 1)


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("n_step", [1, 3])
def test_buffers_give_the_mask_of_the_last_successor(pixels: bool, n_step: int) -> None:
    env = Gates(pixels=pixels)
    agent = dqn(env, learning_starts=10**6)
    play(env, agent, 200)
    batch = agent.buffer.sample(500, np.random.default_rng(0), n_step, gamma=0.9)
    assert batch.next_action_mask is not None and isinstance(batch.next_obs, np.ndarray)
    shown = env.seen(np.arange(CELLS)).reshape(CELLS, -1)
    cells = (batch.next_obs.reshape(500, 1, -1) == shown).all(2).argmax(1)
    going_on = batch.discount > 0
    assert len(np.unique(cells[going_on])) == CELLS - n_step
    expected = np.stack([np.ones(500, dtype=bool), (cells % 2 == 1) | ~going_on], 1)
    np.testing.assert_array_equal(batch.next_action_mask, expected)


@pytest.mark.parametrize("pixels", [False, True])
def test_a_buffer_keeps_its_masks_and_one_without_counts_all_as_legal(pixels: bool) -> None:
    env = Gates(pixels=pixels)
    saved, without = (dqn(env, learning_starts=10**6) for _ in range(2))
    play(env, saved, 60)
    again = dqn(env, learning_starts=10**6)
    again.buffer.load_state_dict(saved.buffer.state_dict())
    batches = [a.buffer.sample(50, np.random.default_rng(0), 2) for a in (saved, again)]
    masks = [batch.next_action_mask for batch in batches]
    assert masks[0] is not None and not masks[0].all()
    np.testing.assert_array_equal(*masks)
    # As it was saved before there were masks.
    del saved.buffer.data.arrays["next_action_mask"]  # type: ignore[attr-defined]
    with pytest.warns(UserWarning, match="saved without action masks"):
        without.buffer.load_state_dict(saved.buffer.state_dict())
    mask = without.buffer.sample(50, np.random.default_rng(0)).next_action_mask
    assert mask is not None and mask.all()
    play(env, without, 60)
    mask = without.buffer.sample(500, np.random.default_rng(0)).next_action_mask
    assert mask is not None and not mask.all()


def test_a_truncated_game_has_the_mask_of_its_own_last_state() -> None:
    env = Gates(1)
    env.max_steps = 1
    tick = env.start(0)
    for _ in range(30):
        cell = int(env.cell[0])
        env.send({SOLO: np.zeros(1, dtype=int)})
        tick, before = env.recv(), tick
        t = tick.done[SOLO]
        assert t.action_mask is not None and t.next_action_mask is not None
        np.testing.assert_array_equal(t.action_mask, before.action_mask(SOLO))
        assert t.action_mask[0, 1] == (cell % 2 == 1)
        assert t.next_action_mask[0, 1] == (cell == CELLS - 1 or cell % 2 == 0)


class FirstVisit(OneWay):
    """The same walk, always from its first cell, as numbers: every successor is new at first."""

    def __init__(self, max_steps: int) -> None:
        super().__init__(1)
        self.spec = EnvSpec({SOLO: Discrete(CELLS + 1)}, {SOLO: Discrete(2)}, 1)
        self.max_steps = max_steps

    def reset_rows(self, rows: np.ndarray) -> None:
        self.cell[rows] = 0

    def observe_rows(self) -> Tree:
        return self.cell.copy()


@pytest.mark.parametrize(("kind", "limit"), [(QLearning, 1), (QLearning, 3), (Sarsa, 3)])
def test_td_control_knows_what_an_unseen_successor_allows(
    kind: type[TDControl], limit: int
) -> None:
    """The first game: all that may be played is thought to be worth -7, all else 0."""
    env = FirstVisit(limit)
    spaces = env.spec.observation_spaces[SOLO], env.spec.action_spaces[SOLO]
    agent = kind(
        *spaces, 1, torch.device("cpu"), 0, hidden=None, init=0.0, gamma=1.0, lr=1.0,
        epsilon=epsilon(kind="constant", start=0.5), eval_epsilon=0.0,
    )  # fmt: skip
    table: Any = agent.q
    table.q[:, :, 0] = -7.0
    play(env, agent, limit)
    assert agent.action_values(0)[limit - 1, 0] == -1.0 - 7.0


def test_seats_have_masks_of_their_own() -> None:
    """Bomberman from either seat, the learner's buffer of both views, and a scripted rival."""
    game = ["env=bomberman", "env.mask=true", "env.num_envs=4", "env.limit=9", "env.width=5",
            "env.height=5", "env.bricks=0"]  # fmt: skip
    team, env = trained_team(
        [*game, "agent=dqn", "agent.padding=same", "self_play.enabled=true",
         "self_play.both_views=true", "agent.learning_starts=1000", "buffer.capacity=2000",
         "total_steps=200"]
    )  # fmt: skip
    arrays = team.agent.buffer.data.arrays
    assert len(team.agent.buffer) == 400 and arrays["next_action_mask"].shape == (2000, 6)
    tick, rng = env.start(0), np.random.default_rng(0)
    for _ in range(60):
        masks = {seat: tick.action_mask(seat) for seat in tick.obs}
        env.send({seat: random_actions(rng, 4, 6, mask) for seat, mask in masks.items()})
        tick = env.recv()
        which = np.arange(4) % 2
        mine = Seating(list(tick.obs), 4, None).done(tick.done)
        assert mine.action_mask is not None and mine.next_action_mask is not None
        for row, seat in enumerate(list(tick.obs)[i] for i in which):
            t, before = tick.done[seat], masks[seat]
            assert before is not None and t.next_action_mask is not None
            np.testing.assert_array_equal(mine.action_mask[row], before[row])
            after = tick.action_mask(seat)
            assert after is not None
            expected = np.ones(6, dtype=bool) if t.ended[row] else after[row]
            np.testing.assert_array_equal(mine.next_action_mask[row], expected)


def test_masks_are_for_environments_that_give_them() -> None:
    _, without = trained_team(["env=bomberman", "agent=random", "total_steps=8"])
    assert without.spec.action_masks is False and mask_size(without.spec, "player_0") == 0
    assert "next_action_mask" not in dqn(Corridor()).buffer.data.arrays  # type: ignore[attr-defined]

    class Restated(Corridor):
        """Sets its EnvSpec once more."""

        def __init__(self) -> None:
            super().__init__()
            self.spec = EnvSpec(self.spec.observation_spaces, self.spec.action_spaces, 1)

    assert Restated().spec.action_masks is False and FirstVisit(1).spec.action_masks is True

    class Forgetful(Corridor):
        """Gives its mask only in some steps, and as Gymnasium does: as int8, for all rows alike."""

        def legal_rows(self) -> Any:
            return np.array([0, 1], dtype=np.int8) if self.cell[0] == 2 else None

    env = Forgetful(2)
    tick = env.start(0)
    assert env.spec.action_masks and tick.action_mask(SOLO).tolist() == [[True] * 2] * 2  # type: ignore[union-attr]
    for _ in range(2):
        env.send({SOLO: np.ones(2, dtype=int)})
        tick = env.recv()
    assert tick.action_mask(SOLO).tolist() == [[False, True]] * 2  # type: ignore[union-attr]

    class Wrong(Forgetful):
        def __init__(self) -> None:
            super().__init__(2)
            self.spec = replace(self.spec, action_masks=False)

    env = Wrong()
    env.start(0)
    env.cell[:] = 2
    with pytest.raises(ValueError, match="action_masks=False"):
        env._mask()
