"""The sequence buffer against what was played."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from rlexp import codec
from rlexp.buffers.base import Storage
from rlexp.buffers.sequence import Chunks, SequenceBuffer
from rlexp.types import SOLO, EnvSpec, Transition

ACTIONS = 3


def spec(rows: int) -> EnvSpec:
    return EnvSpec({SOLO: Box(0, 255, (1, 2, 2), np.uint8)}, {SOLO: Discrete(ACTIONS)}, rows)


def make(rows: int, capacity: int, **recent: float) -> SequenceBuffer:
    return SequenceBuffer(capacity, spec(rows), SOLO, Storage(), **recent)  # type: ignore[arg-type]


class Games:
    """Rows of games of random lengths; the story of a row is every slot it should have."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.obs = self._pictures(rows)
        self.first = np.ones(rows, dtype=bool)
        self.stories: list[list[tuple]] = [[] for _ in range(rows)]

    def _pictures(self, rows: int) -> np.ndarray:
        return self.rng.integers(256, size=(rows, 1, 2, 2), dtype=np.uint8)

    def step(self, buffer: SequenceBuffer) -> None:
        rows = len(self.first)
        action = self.rng.integers(ACTIONS, size=rows)
        reward = self.rng.normal(size=rows).astype(np.float32)
        next_obs = self._pictures(rows)
        end = self.rng.random(rows) < 0.2
        dies = end & (self.rng.random(rows) < 0.5)
        one_hot = np.eye(ACTIONS, dtype=np.float32)[action]
        for row in range(rows):
            if self.first[row]:
                zeros = (0.0,) * ACTIONS
                self.stories[row].append((self.obs[row].tobytes(), zeros, 0.0, True, False))
            slot = (next_obs[row].tobytes(), tuple(one_hot[row]), reward[row], False, dies[row])
            self.stories[row].append(slot)
        numbers = np.arange(rows)
        t = Transition(numbers, self.obs, action, reward, next_obs, dies, end & ~dies)
        buffer.add(t, one_hot)
        self.obs, self.first = (
            np.where(end[:, None, None, None], self._pictures(rows), next_obs),
            end,
        )


def slots(chunks: Chunks, b: int) -> list[tuple]:
    return [
        (
            chunks.obs[t, b].tobytes(),
            tuple(chunks.action[t, b]),
            chunks.reward[t, b],
            bool(chunks.first[t, b]),
            bool(chunks.terminated[t, b]),
        )
        for t in range(len(chunks.first))
    ]


def test_chunks_are_what_was_played() -> None:
    """Before and after the rings are full: every chunk is a piece of a row's story, and every piece
    that the ring still holds is drawn."""
    buffer, games = make(3, 60), Games(3, 0)
    for steps in (12, 60):
        for _ in range(steps):
            games.step(buffer)
        chunks = buffer.sample(2000, 5, np.random.default_rng(1))
        found = {tuple(slots(chunks, b)) for b in range(2000)}
        held = [story[-20:] for story in games.stories]
        expected = {
            tuple(story[i : i + 5]) for story in held for i in range(len(story) - 4)
        }  # fmt: skip
        assert found == expected
    assert len(buffer) == 60
    assert chunks.first[1:].any() and chunks.terminated[:-1].any()  # games end inside chunks


def test_a_death_has_its_reward_and_picture() -> None:
    buffer = make(1, 10)
    obs, after = np.full((1, 1, 2, 2), 7, np.uint8), np.full((1, 1, 2, 2), 8, np.uint8)
    yes, no = np.array([True]), np.array([False])
    reward = np.array([-6.0], np.float32)
    one_hot = np.array([[0, 1, 0]], np.float32)
    t = Transition(np.array([0]), obs, np.array([1]), reward, after, yes, no)
    buffer.add(t, one_hot)
    chunk = buffer.sample(1, 2, np.random.default_rng(0))
    assert chunk.obs[:, 0, 0, 0, 0].tolist() == [7, 8]
    assert chunk.reward[:, 0].tolist() == [0, -6]
    assert chunk.action[:, 0].tolist() == [[0, 0, 0], [0, 1, 0]]
    assert chunk.first[:, 0].tolist() == [True, False]
    assert chunk.terminated[:, 0].tolist() == [False, True]
    buffer.add(t, one_hot, drop_last=True)  # the mistake: the end leaves no trace
    assert len(buffer) == 3 and buffer.data.arrays["first"][:3].tolist() == [True, False, True]


def test_recent_chunks() -> None:
    buffer, games = make(2, 400, recent_share=0.5, recent=40), Games(2, 3)
    for _ in range(300):
        games.step(buffer)
    chunks = buffer.sample(4000, 4, np.random.default_rng(0))
    newest = {slot[0] for story in games.stories for slot in story[-20:]}
    inside = np.mean([all(s[0] in newest for s in slots(chunks, b)) for b in range(4000)])
    # Half of them by choice, and of the others 17 of 197 beginnings a row.
    assert inside == pytest.approx(0.5 + 0.5 * 17 / 197, abs=0.03)


def test_it_says_when_there_is_no_chunk_yet() -> None:
    buffer, games = make(2, 40), Games(2, 0)
    assert not buffer.ready(3)
    games.step(buffer)
    assert buffer.ready(2) and not buffer.ready(4)
    with pytest.raises(RuntimeError, match="no 4 steps"):
        buffer.sample(1, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="capacity=3"):
        make(2, 3)


def test_saved_and_restored() -> None:
    buffer, games = make(2, 30), Games(2, 5)
    for _ in range(40):
        games.step(buffer)
    again = make(2, 30)
    again.load_state_dict(codec.unflatten(*codec.flatten(buffer.state_dict())))
    ours, theirs = (b.sample(8, 4, np.random.default_rng(0)) for b in (buffer, again))
    assert [slots(ours, b) for b in range(8)] == [slots(theirs, b) for b in range(8)]
    games.step(buffer)
    assert not np.array_equal(buffer.data.arrays["obs"], again.data.arrays["obs"])  # a copy
    assert len(again) == 30


def test_a_save_writes_only_what_changed() -> None:
    buffer, games = make(1, 2000), Games(1, 0)
    for _ in range(1200):
        games.step(buffer)
    before = buffer.data.versions.copy()
    for _ in range(10):
        games.step(buffer)
    assert (buffer.data.versions != before).sum() <= 2
