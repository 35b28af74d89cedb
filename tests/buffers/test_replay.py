"""The replay buffer: a ring of whole transitions, in memory or on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from rlexp import machine
from rlexp.buffers.base import Storage
from rlexp.buffers.replay import ReplayBuffer
from rlexp.types import SOLO, EnvSpec, Transition

SPEC = EnvSpec({SOLO: Box(-1, 1, (2,), np.float32)}, {SOLO: Discrete(3)}, 2)


def transition(number: int) -> Transition:
    value = np.array([2 * number, 2 * number + 1], dtype=np.float32)
    pair = np.stack([value, value], axis=1)
    return Transition(
        rows=np.arange(2),
        obs=pair,
        action=(value % 3).astype(int),
        reward=value,
        next_obs=pair + 0.5,
        terminated=value % 5 == 0,
        truncated=np.zeros(2, dtype=bool),
    )


@pytest.mark.parametrize("disk", [False, True])
def test_keeps_the_newest(tmp_path: Path, disk: bool) -> None:
    buffer = ReplayBuffer(7, SPEC, SOLO, Storage(tmp_path / "buffer" if disk else None))
    for number in range(10):
        buffer.add(transition(number))
        assert len(buffer) == min(6, 2 * number + 2)
    batch = buffer.sample(500, np.random.default_rng(0))
    assert set(batch.reward) == set(range(14, 20))
    np.testing.assert_array_equal(batch.obs[:, 0], batch.reward)
    np.testing.assert_array_equal(batch.next_obs[:, 1], batch.reward + 0.5)
    np.testing.assert_array_equal(batch.action, batch.reward % 3)
    np.testing.assert_array_equal(batch.discount == 0, batch.reward % 5 == 0)
    assert (tmp_path / "buffer" / "obs.bin").exists() == disk


def test_bytes() -> None:
    buffer = ReplayBuffer(100, SPEC, SOLO, Storage())
    total = sum(a.nbytes for a in buffer.data.arrays.values())
    assert total == 100 * ReplayBuffer.bytes_per_item(SPEC, SOLO)


def test_largest_capacity_fits() -> None:
    assert machine.largest(100, 1_000_000) * 100 <= 1_000_000 * machine.SHARE
    assert machine.largest(7068, 20_000_000_000) == 2_200_000
    assert machine.human(450e12) == "450 TB" and machine.human(706_800_000) == "707 MB"


@pytest.mark.parametrize("n_step", [1, 3, 5])
def test_looks_ahead_within_the_game(n_step: int) -> None:
    """Against brute force: two rows, games of four moves, the second row's ends by truncation."""
    buffer = ReplayBuffer(1000, SPEC, SOLO, Storage())
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=(22, 2)).astype(np.float32)
    for move in range(22):
        place = np.array([[move, 0], [move, 1]], dtype=np.float32)
        ended = np.array([move % 4 == 3] * 2)
        buffer.add(
            Transition(
                rows=np.arange(2),
                obs=place,
                action=np.zeros(2, dtype=int),
                reward=rewards[move],
                next_obs=place + [1, 0],
                terminated=ended & [True, False],
                truncated=ended & [False, True],
            )
        )
    batch = buffer.sample(600, rng, n_step, gamma=0.5)
    assert {(m, r) for m, r in batch.obs} == {(m, r) for m in range(22) for r in (0, 1)}
    for i in range(600):
        move, row = map(int, batch.obs[i])
        end = min(move + n_step, (move // 4 + 1) * 4, 22)
        expected = sum(0.5 ** (m - move) * rewards[m, row] for m in range(move, end))
        assert batch.reward[i] == pytest.approx(expected, abs=1e-6)
        np.testing.assert_array_equal(batch.next_obs[i], [end, row])
        died = end % 4 == 0 and row == 0
        assert batch.discount[i] == (0 if died else 0.5 ** (end - move))
