"""Running statistics against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from gymnasium.spaces.utils import flatten_space

from rlexp.networks.actor_critic import ActorCritic
from rlexp.networks.standardise import Standardise, make_standardise


def test_mean_and_deviation_of_all_that_was_seen() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal([3.0, -100.0], [2.0, 0.01], size=(1000, 2))
    module = Standardise((2,), None)
    for part in np.split(seen, [1, 10, 500]):
        module.update(torch.from_numpy(part))
    np.testing.assert_allclose(module.mean, seen.mean(0))
    np.testing.assert_allclose(module.square, seen.var(0), rtol=1e-6)
    out = module(torch.from_numpy(seen).float())
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(0), 1, atol=1e-2)


def test_it_stops_at_the_limit_and_saves_all() -> None:
    module = Standardise((1,), until=3)
    module.update(torch.tensor([[1.0], [2.0]]))
    module.update(torch.tensor([[3.0], [99.0]]))
    module.update(torch.tensor([[1e6]]))
    assert module.mean.item() == 2.0 and module.count.item() == 3
    again = Standardise((1,), until=3)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(torch.tensor([[5.0]])), module(torch.tensor([[5.0]])))


def test_nothing_seen_changes_nothing() -> None:
    x = torch.tensor([[0.5, -2.0]])
    torch.testing.assert_close(Standardise((2,), None)(x), x)


@pytest.mark.parametrize(
    "space",
    [
        Box(0, 255, (5,), np.uint8),
        Box(0, 255, (2, 5), np.uint8),
        Box(0, 255, (2, 3, 4, 5), np.uint8),
        Box(0, 1, (5,), np.bool_),
        Box(-9, 9, (5,), np.int32),
        flatten_space(MultiBinary(5)),
        flatten_space(MultiDiscrete([3, 4])),
        flatten_space(Dict({"a": Box(0, 255, (3,), np.uint8), "b": Box(0, 9, (2,), np.uint8)})),
        flatten_space(Tuple((Discrete(3), MultiBinary(2)))),
    ],
)
def test_vectors_of_every_type_are_standardised(space: Any) -> None:
    layer = make_standardise(space, "running")
    assert layer is not None
    space.seed(0)
    seen = torch.from_numpy(np.stack([space.sample() for _ in range(500)]))
    layer.update(seen)
    even = layer(seen)
    assert even.dtype == torch.float32 and even.shape == seen.shape
    torch.testing.assert_close(even.mean(0), torch.zeros(space.shape), atol=1e-4, rtol=0)
    varies = seen.double().var(0) > 0
    torch.testing.assert_close(
        even.std(0)[varies], torch.ones(int(varies.sum())), atol=0.01, rtol=0
    )


@pytest.mark.parametrize("space", [Box(0, 255, (3, 8, 8), np.uint8), Discrete(4)])
def test_images_and_single_numbers_are_not(space: Any) -> None:
    assert make_standardise(space, "running") is None


def test_weights_from_before_bytes_were_standardised_play_as_they_did() -> None:
    space = Box(0, 255, (5,), np.uint8)
    old = ActorCritic(space, Discrete(2), [8])
    new = ActorCritic(space, Discrete(2), [8], standardise="running")
    new.load_state_dict(old.state_dict())
    again = ActorCritic(space, Discrete(2), [8], standardise="running")
    again.load_state_dict(new.state_dict())
    seen = torch.randint(0, 256, (20, 5), dtype=torch.uint8)
    for net in (new, again):
        assert net.standardise is not None
        net.standardise.update(seen)
        torch.testing.assert_close(net.values(seen), old.values(seen), rtol=0, atol=0)
    # Floats have always had the layer: weights without it are another network's.
    floats = Box(-1, 1, (5,))
    plain = ActorCritic(floats, Discrete(2), [8])
    with pytest.raises(RuntimeError, match="standardise"):
        ActorCritic(floats, Discrete(2), [8], standardise=9).load_state_dict(plain.state_dict())
