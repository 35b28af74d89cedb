"""Ranges of config values: NaN and infinity pass none of them, whatever the key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

import rlexp
from rlexp import registry
from rlexp.config import paths
from rlexp.errors import UserError
from rlexp.schemas.fields import number, validate

Main = Callable[..., tuple[int, str, str]]
GAME = ["env=gridworld", "agent=q_learning"]
SEATS = ["env=signaling", "agent=ppo"]
NOT_FINITE = [
    (["agent.gamma=nan"], "agent.gamma=nan must be a finite number"),
    (["agent.gamma=-inf"], "agent.gamma=-inf must be a finite number"),
    (["agent.lr=inf"], "agent.lr=inf must be a finite number"),
    (["agent.lr='inf'"], "agent.lr=inf must be a finite number"),
    (["agent.weight_decay=nan"], "agent.weight_decay=nan must be a finite number"),
    (["agent.clip_norm=inf"], "agent.clip_norm=inf must be a finite number"),
    (["agent.epsilon.end=nan"], "agent.epsilon."),
    (["agent.epsilon.decay=nan"], "agent.epsilon.decay=nan must be a finite number"),
    (["agent=ppo", "agent.log_std=inf"], "agent.log_std=inf must be a finite number"),
    ([*GAME, "agent.init=nan"], "agent.init=nan must be a finite number"),
    ([*GAME, "env.goal_reward=inf"], "env.goal_reward=inf must be a finite number"),
    (["env=bandit", "agent=ucb1", "env.arms=[0.5,nan]"], "env.arms=[0.5, nan] must be a finite"),
    (["env=rosenbrock", "agent=gradient_descent", "env.start=[inf,1]"], "env.start=[inf, 1.0]"),
    ([*SEATS, "seats.sender.lr=inf"], "seats.sender.lr=inf must be a finite number"),
    ([*SEATS, "seats.sender.gamma=nan"], "seats.sender.gamma=nan must be a finite number"),
    (["total_steps=inf"], "total_steps=inf: 'inf' is not a whole number"),
    (["total_steps=1e400"], "total_steps=1e400: 'inf' is not a whole number"),
    (["total_steps=1e30"], "must be at most 9,223,372,036,854,775,807"),
    (["seed=nan"], "seed=nan: 'nan' is not a whole number"),
    (["log_every=inf"], "log_every=inf"),
    (["evaluation.every='inf'"], "or of episodes: 10ep"),
    (["agent.hidden=[.inf]"], "is not a whole number"),
]


@pytest.mark.parametrize(("overrides", "message"), NOT_FINITE, ids=lambda v: str(v)[:40])
def test_nan_and_infinity_are_refused(
    main: Main, own_folder: Path, overrides: list[str], message: str
) -> None:
    code, out, err = main("train", *overrides)
    assert code == 2 and message in err and err.count("\n") == 1 and out == ""
    assert list(own_folder.iterdir()) == []


def test_every_float_of_every_component_refuses_both() -> None:
    """Of whatever schema: a new key that is declared without a range is found here."""
    checked = 0
    for kind in registry.KINDS:
        for name in paths.options(kind):
            schema = registry.lookup(kind, name).schema
            for f in dataclasses.fields(schema):
                if f.type not in ("float", "float | None"):
                    continue
                for value in (float("nan"), float("inf"), float("-inf")):
                    with pytest.raises(ValueError, match="must be a finite number"):
                        f.metadata["check"](value)
                    checked += 1
    assert checked > 200


def test_a_number_that_may_be_infinite() -> None:
    @dataclasses.dataclass
    class Limit:
        seconds: float = number(low=0, infinite=True)

    validate(Limit(float("inf")))
    with pytest.raises(UserError, match="seconds=nan must be a finite number"):
        validate(Limit(float("nan")))


def test_the_environments_own_arguments_stay_free() -> None:
    config = rlexp.compose(["env.kwargs.limit=inf", "env.kwargs.other=nan"]).config
    assert config.env.kwargs["limit"] == float("inf")  # type: ignore[attr-defined]
