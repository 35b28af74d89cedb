"""Running statistics against NumPy's."""

from __future__ import annotations

import numpy as np
import torch

from rlexp.networks.standardise import Standardise


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
