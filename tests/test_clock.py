"""When something is due, and where in a tick."""

from __future__ import annotations

import pytest

from rlexp.clock import Clock


def test_crossings_of_steps() -> None:
    clock = Clock(steps=24, previous_steps=16)
    assert clock.crossings(4) == [0.5, 1.0]
    assert clock.crossings(3) == [0.25, 0.625, 1.0]
    assert clock.crossings(5) == [0.5]
    assert clock.crossings(16) == clock.crossings(100) == clock.crossings(None) == []
    assert clock.crossings("1ep") == []


def test_crossings_of_episodes() -> None:
    """How often an episode ended is known, not after which step of the tick."""
    clock = Clock(steps=24, previous_steps=16, episodes=7, previous_episodes=3)
    assert clock.crossings("1ep") == [0.25, 0.5, 0.75, 1.0]
    assert clock.crossings("5ep") == [0.5]
    assert Clock(episodes=4, previous_episodes=3).crossings("4ep") == [1.0]


@pytest.mark.parametrize("every", [1, 3, 7, 8, 1000, "1ep", "2ep"])
@pytest.mark.parametrize("rows", [1, 8, 13])
def test_there_are_as_many_positions_as_crossings(every: int | str, rows: int) -> None:
    clock = Clock()
    for tick in range(200):
        clock.previous_steps, clock.previous_episodes = clock.steps, clock.episodes
        clock.steps += rows
        clock.episodes += tick % 3
        positions = clock.crossings(every)
        assert len(positions) == clock.crossed(every)
        assert positions == sorted(positions) and all(0 < at <= 1 for at in positions)
