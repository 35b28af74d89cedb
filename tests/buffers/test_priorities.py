"""Prioritised replay: the sum tree against brute force, frequencies, weights, both buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from rlexp import codec
from rlexp.buffers.base import Batch, Storage
from rlexp.buffers.frames import FrameBuffer
from rlexp.buffers.priorities import BYTES, Priorities, SumTree
from rlexp.buffers.replay import ReplayBuffer
from rlexp.buffers.rings import Rings
from rlexp.types import SOLO, EnvSpec, Transition

SPEC = EnvSpec({SOLO: Box(-1, 1, (1,), np.float32)}, {SOLO: Discrete(2)}, 2)
FRAMES = EnvSpec({SOLO: Box(0, 255, (4, 2, 2), np.uint8)}, {SOLO: Discrete(2)}, 2, frame_stack=4)
BY_ERROR: dict[str, Any] = {"priority_alpha": 1.0, "priority_beta": 1.0, "priority_eps": 1e-9}


@pytest.mark.parametrize("size", [1, 2, 5, 64, 100])
def test_the_tree_finds_what_a_running_sum_finds(size: int) -> None:
    rng = np.random.default_rng(size)
    tree, plain = SumTree(size), np.zeros(size)
    for _ in range(20):
        at = rng.permutation(size)[: max(1, size // 3)]
        # Whole numbers: sums without rounding, whatever their order.
        values = rng.integers(0, 5, len(at)).astype(float)
        tree.set(at, values)
        plain[at] = values
        assert tree.total == plain.sum()
        np.testing.assert_array_equal(tree.leaves, plain)
        if plain.any():
            marks = rng.random(500) * plain.sum()
            expected = np.searchsorted(plain.cumsum(), marks, side="right")
            np.testing.assert_array_equal(tree.find(marks), expected)


def test_a_mark_at_the_very_end_finds_a_place_that_has_something() -> None:
    tree = SumTree(7)
    tree.set(np.array([1, 2]), np.array([0.1, 0.2]))
    marks = np.array([0.0, np.nextafter(0.1, 0), 0.1, tree.total, tree.total * 2])
    assert tree.find(marks).tolist() == [1, 1, 2, 2, 2]


def test_the_last_counts_where_a_place_comes_twice() -> None:
    tree = SumTree(4)
    tree.set(np.array([3, 3, 0]), np.array([1.0, 2.0, 5.0]))
    assert tree.leaves.tolist() == [5, 0, 0, 2] and tree.total == 7


@pytest.mark.parametrize("size", [2, 64, 65, 1000, 1025])
def test_bytes_of_a_slot(size: int) -> None:
    assert SumTree(size).sums.nbytes <= BYTES * size


def test_a_filled_tree_has_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    tree, again = SumTree(100), SumTree(100)
    for _ in range(50):
        tree.set(rng.integers(100, size=8), rng.random(8))
    again.fill(tree.leaves)
    assert tree.sums.tobytes() == again.sums.tobytes()


def move(number: int, ended: bool = False) -> Transition:
    """Of two rows; the reward names it: 2 number and 2 number + 1."""
    value = np.array([2 * number, 2 * number + 1], dtype=np.float32)
    return Transition(
        rows=np.arange(2),
        obs=value[:, None],
        action=np.zeros(2, dtype=int),
        reward=value,
        next_obs=value[:, None],
        terminated=np.array([ended] * 2),
        truncated=np.zeros(2, dtype=bool),
    )


def counts(buffer: Any, names: int, draws: int = 40_000) -> np.ndarray:
    """How often each reward 0 … names - 1 is drawn."""
    batch = buffer.sample(draws, np.random.default_rng(0))
    return np.bincount(batch.reward.astype(int), minlength=names)


def set_errors(buffer: Any, error: Any) -> None:
    """Every move's TD error becomes `error(reward)`."""
    batch = buffer.sample(5000, np.random.default_rng(1))
    buffer.update_priorities(batch.index, error(batch.reward))


def test_moves_are_drawn_in_proportion_to_their_priorities() -> None:
    buffer = ReplayBuffer(16, SPEC, SOLO, Storage(), **(BY_ERROR | {"priority_alpha": 0.5}))
    for number in range(4):
        buffer.add(move(number))
    assert np.abs(counts(buffer, 8) / 40_000 - 1 / 8).max() < 0.01  # new: all alike
    set_errors(buffer, lambda reward: -((reward + 1.0) ** 2))  # p = |error| ** 0.5
    expected = np.arange(1, 9) / 36
    deviation = np.sqrt(expected * (1 - expected) / 40_000)
    assert (np.abs(counts(buffer, 8) / 40_000 - expected) < 5 * deviation).all()


def test_a_new_move_gets_the_highest_priority_so_far() -> None:
    buffer = ReplayBuffer(16, SPEC, SOLO, Storage(), **BY_ERROR)
    buffer.add(move(0))
    set_errors(buffer, lambda reward: np.full(len(reward), 5.0))
    set_errors(buffer, lambda reward: np.full(len(reward), 1.0))
    buffer.add(move(1))
    # p: 1, 1, 5, 5, though no move has an error of 5 any more.
    shares = counts(buffer, 4) / 40_000
    np.testing.assert_allclose(shares, [1 / 12, 1 / 12, 5 / 12, 5 / 12], atol=0.02)


def test_weights_by_hand() -> None:
    """p = 1, 2, 4, 8: (1 / P) ** beta over the largest of them is (p / 1) ** -beta."""
    rings = Rings(1, 4)
    for _ in range(4):
        rings.push(np.array([0]))
    priorities = Priorities(rings, alpha=1.0, beta=0.5, beta_steps=8, eps=1e-12)
    priorities.add(np.arange(4))
    priorities.update(np.arange(4), np.array([1.0, -2.0, 4.0, -8.0]))
    assert priorities.beta == pytest.approx(0.75)  # 4 of 8 moves on the way from 0.5 to 1
    drawn = weighed(priorities, [0, 1, 2, 3])
    np.testing.assert_allclose(drawn, np.array([1.0, 2.0, 4.0, 8.0]) ** -0.75, rtol=1e-6)
    np.testing.assert_allclose(weighed(priorities, [3, 2]), [0.5**0.75, 1], rtol=1e-6)
    priorities.added = 100
    np.testing.assert_allclose(weighed(priorities, [0, 3]), [1, 1 / 8], rtol=1e-6)


def weighed(priorities: Priorities, slots: list[int]) -> np.ndarray:
    nothing = np.zeros(0)
    batch = Batch(nothing, nothing, nothing, nothing, nothing)
    found = priorities.weigh(batch, np.zeros(len(slots), dtype=int), np.array(slots)).weights
    assert found is not None
    return found


def test_errors_of_moves_that_are_gone_change_nothing() -> None:
    buffer = ReplayBuffer(4, SPEC, SOLO, Storage(), **BY_ERROR)  # two slots a row
    for number in range(2):
        buffer.add(move(number))
    batch = buffer.sample(100, np.random.default_rng(0))
    buffer.add(move(2))  # in the place of moves 0 and 1
    buffer.update_priorities(batch.index, np.where(batch.reward < 2, 1e6, 1.0))
    assert buffer.priorities is not None
    np.testing.assert_allclose(buffer.priorities.tree.leaves, 1.0)
    assert set(buffer.sample(200, np.random.default_rng(0)).reward) == {2, 3, 4, 5}


def picture(number: int, ended: bool = False) -> Transition:
    t = move(number, ended)
    seen = np.arange(number - 3, number + 1).clip(0).astype(np.uint8)
    obs = np.broadcast_to(seen[None, :, None, None], (2, 4, 2, 2)).copy()
    t.obs, t.next_obs = obs, np.concatenate([obs[:, 1:], obs[:, -1:] + 1], 1)
    return t


def test_pictures_without_a_move_and_cut_stacks_are_never_drawn() -> None:
    buffer = FrameBuffer(2 * 8, FRAMES, SOLO, Storage(), **BY_ERROR)
    uniform = FrameBuffer(2 * 8, FRAMES, SOLO, Storage())
    for number in range(30):
        t = picture(number, ended=number == 25)
        buffer.add(t)
        uniform.add(t)
        expected = set(uniform.sample(400, np.random.default_rng(0)).reward)
        batch = buffer.sample(400, np.random.default_rng(0))
        assert set(batch.reward) == expected
        # Surprises long ago: high priorities where the ring cuts stacks, or writes anew.
        assert batch.index is not None
        buffer.update_priorities(batch.index, 1.0 + (batch.reward % 3))
    assert buffer.priorities is not None
    moves = buffer.data.arrays["moved"]
    np.testing.assert_array_equal(buffer.priorities.tree.leaves > 0, moves)
    assert buffer.priorities.added == 60


@pytest.mark.parametrize("kind", [ReplayBuffer, FrameBuffer])
def test_comes_back_from_its_state(kind: Any) -> None:
    spec, step = (SPEC, move) if kind is ReplayBuffer else (FRAMES, picture)

    def make() -> Any:
        return kind(20, spec, SOLO, Storage(), **(BY_ERROR | {"priority_beta_steps": 90}))

    buffer, again = make(), make()
    for number in range(15):
        buffer.add(step(number))
        set_errors(buffer, lambda reward: np.sin(reward))
    structure, arrays, segments = codec.flatten(buffer.state_dict())
    arrays = {name: array.copy() for name, array in arrays.items()}
    again.load_state_dict(codec.unflatten(structure, arrays, segments))
    for number in range(15, 25):
        batches = []
        for b in (buffer, again):
            b.add(step(number))
            batches.append(b.sample(16, np.random.default_rng(number)))
            b.update_priorities(batches[-1].index, batches[-1].reward)
        for name in ("obs", "reward", "weights", "index"):
            np.testing.assert_array_equal(getattr(batches[0], name), getattr(batches[1], name))


def test_without_priorities_a_batch_has_no_weights() -> None:
    buffer = ReplayBuffer(16, SPEC, SOLO, Storage())
    buffer.add(move(0))
    batch = buffer.sample(4, np.random.default_rng(0))
    assert batch.weights is None and batch.index is None
    assert set(buffer.state_dict()) == {"written", "data"}
