"""The frames buffer against a naive one that stores every stack whole."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from rlexp import codec
from rlexp.buffers.base import Storage
from rlexp.buffers.frames import FrameBuffer
from rlexp.types import SOLO, EnvSpec, Transition

STACK = 4


def spec(rows: int, channels: int = 1) -> EnvSpec:
    box = Box(0, 255, (STACK * channels, 3, 2), np.uint8)
    return EnvSpec({SOLO: box}, {SOLO: Discrete(4)}, rows, frame_stack=STACK)


class Games:
    """Rows of games with random lengths; every picture is unique, so stacks name themselves."""

    def __init__(
        self, rows: int, seed: int, channels: int = 1, longest: int = 9, midst: float = 0.0
    ) -> None:
        """`midst`: how often a game goes on from its midst, with pictures before its first."""
        self.rng = np.random.default_rng(seed)
        self.rows, self.channels, self.longest, self.midst = rows, channels, longest, midst
        self.obs = np.stack([self._start() for _ in range(rows)])

    def _picture(self) -> np.ndarray:
        return self.rng.integers(256, size=(self.channels, 3, 2), dtype=np.uint8)

    def _start(self) -> np.ndarray:
        if self.midst and self.rng.random() < self.midst:
            return np.concatenate([self._picture() for _ in range(STACK)])
        return np.tile(self._picture(), (STACK, 1, 1))

    def step(self) -> Transition:
        new = np.stack([self._picture() for _ in range(self.rows)])
        next_obs = np.concatenate([self.obs[:, self.channels :], new], axis=1)
        end = self.rng.random(self.rows) < 1 / self.longest
        dies = self.rng.random(self.rows) < 0.5
        t = Transition(
            rows=np.arange(self.rows),
            obs=self.obs,
            action=self.rng.integers(4, size=self.rows),
            reward=self.rng.normal(size=self.rows).astype(np.float32),
            next_obs=next_obs,
            terminated=end & dies,
            truncated=end & ~dies,
        )
        self.obs = next_obs.copy()
        for row in np.flatnonzero(end):
            self.obs[row] = self._start()
        return t


def key(obs: np.ndarray, action: int, reward: float, next_obs: np.ndarray, end: bool) -> bytes:
    parts = (
        obs.tobytes(),
        bytes([int(action), int(end)]),
        np.float32(reward).tobytes(),
        next_obs.tobytes(),
    )
    return b"|".join(parts)


def remembered(buffer: FrameBuffer, games: Games, steps: int) -> list[bytes]:
    """Every transition ever added, in order."""
    found = []
    for _ in range(steps):
        t = games.step()
        buffer.add(t)
        for i in range(games.rows):
            found.append(key(t.obs[i], t.action[i], t.reward[i], t.next_obs[i], t.terminated[i]))
    return found


def sampled(buffer: FrameBuffer, size: int = 4000, seed: int = 0) -> set[bytes]:
    b = buffer.sample(size, np.random.default_rng(seed), gamma=0.5)
    return {
        key(b.obs[i], b.action[i], b.reward[i], b.next_obs[i], b.discount[i] == 0)
        for i in range(size)
    }


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("steps", [5, 30, 200])
def test_samples_are_true_transitions_and_nothing_is_lost(
    rows: int, channels: int, steps: int
) -> None:
    capacity = 64 * rows
    buffer = FrameBuffer(capacity, spec(rows, channels), SOLO, Storage())
    everything = remembered(buffer, Games(rows, seed=steps, channels=channels), steps)
    found = sampled(buffer)
    assert found <= set(everything)
    # The newest ones are all there; a full ring may have cut the stacks of its oldest few.
    newest = everything[-rows * min(steps, 40) :]
    assert set(newest) <= found
    assert len(buffer) <= len(found) + 3 * rows
    if steps < 40:
        assert found == set(everything) and len(buffer) == len(everything)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("steps", [15, 200])
def test_games_that_go_on_from_their_midst_keep_what_was_seen_before(
    steps: int, channels: int
) -> None:
    buffer = FrameBuffer(3 * 64, spec(3, channels), SOLO, Storage())
    games = Games(3, seed=steps, channels=channels, midst=0.6)
    everything = remembered(buffer, games, steps)
    found = sampled(buffer)
    assert found <= set(everything) and set(everything[-3 * min(steps, 25) :]) <= found
    if steps == 15:
        assert found == set(everything) and len(buffer) == len(everything)


def test_sampling_is_uniform() -> None:
    buffer = FrameBuffer(200, spec(2), SOLO, Storage())
    everything = remembered(buffer, Games(2, seed=1), 30)
    draws = 60_000
    b = buffer.sample(draws, np.random.default_rng(0), gamma=0.5)
    keys = [
        key(b.obs[i], b.action[i], b.reward[i], b.next_obs[i], b.discount[i] == 0)
        for i in range(draws)
    ]
    counts = np.array([keys.count(k) for k in everything])
    expected = draws / len(everything)
    assert np.abs(counts - expected).max() < 6 * np.sqrt(expected)


def test_rows_that_move_alone() -> None:
    """Transition.rows may name some of the rows only."""
    buffer = FrameBuffer(60, spec(3), SOLO, Storage())
    games = Games(3, seed=2)
    everything = set()
    rng = np.random.default_rng(0)
    queue: list[Transition] = [games.step() for _ in range(15)]
    for row in rng.permutation(3):
        for t in queue:
            one = Transition(
                rows=np.array([row]),
                **{
                    n: getattr(t, n)[row : row + 1]
                    for n in ("obs", "action", "reward", "next_obs", "terminated", "truncated")
                },
            )
            buffer.add(one)
            everything.add(
                key(t.obs[row], t.action[row], t.reward[row], t.next_obs[row], t.terminated[row])
            )
    assert sampled(buffer) == everything


def test_comes_back_from_its_state(tmp_path: object) -> None:
    buffer = FrameBuffer(90, spec(3), SOLO, Storage())
    games = Games(3, seed=3)
    remembered(buffer, games, 50)
    structure, arrays, segments = codec.flatten(buffer.state_dict())
    again = FrameBuffer(90, spec(3), SOLO, Storage())
    again.load_state_dict(codec.unflatten(structure, arrays, segments))
    for _ in range(20):
        t = games.step()
        buffer.add(t)
        again.add(t)
        a = buffer.sample(16, np.random.default_rng(1))
        b = again.sample(16, np.random.default_rng(1))
        np.testing.assert_array_equal(a.obs, b.obs)
        np.testing.assert_array_equal(a.next_obs, b.next_obs)
    assert len(buffer) == len(again)


def test_versions_name_every_block_that_changed() -> None:
    from rlexp.buffers import frames

    buffer = FrameBuffer(frames.BLOCK * 4, spec(1), SOLO, Storage())
    games = Games(1, seed=4)
    for _ in range(30):
        before = {i: (v, {n: a.copy() for n, a in w.items()}) for i, v, w in buffer.data.blocks()}
        remembered(buffer, games, 97)
        for index, version, views in buffer.data.blocks():
            old_version, old = before.get(index, (0, {}))
            if version == old_version:
                for name, array in views.items():
                    np.testing.assert_array_equal(array, old[name])


def test_bytes_a_transition() -> None:
    """Under 7,300 for Mario at capacity 100,000, also when games are short."""
    box = Box(0, 255, (4, 84, 84), np.uint8)
    mario = EnvSpec({SOLO: box}, {SOLO: Discrete(2)}, 1, frame_stack=4)
    each = FrameBuffer.bytes_per_item(mario, SOLO)
    buffer = FrameBuffer(1000, mario, SOLO, Storage())
    assert sum(a.nbytes for a in buffer.data.arrays.values()) == each * 1000
    shortest = 40  # moves of a game in which Mario runs into the first Goomba
    assert each * (shortest + 1) / shortest < 7300


def test_too_small() -> None:
    with pytest.raises(ValueError, match="capacity=8 must be more than 8"):
        FrameBuffer(8, spec(2), SOLO, Storage())
