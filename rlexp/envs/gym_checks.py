"""Checks what a Gymnasium environment hands over: one line says what it returned instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rlexp.envs.rendering import described
from rlexp.errors import UserError

STEP = "observation, reward, terminated, truncated, info"


def reset_observation(name: str, result: Any) -> Any:
    """The observation of what `reset` returned: (observation, info)."""
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Mapping):
        raise UserError(
            f"{name}: reset() returned {described(result)}; it must return (observation, info), "
            "the API since Gymnasium 0.26"
        )
    return result[0]


def step_results(name: str, result: Any) -> tuple[Any, float, bool, bool, dict[str, float]]:
    """What `step` returned: its observation, and the rest as plain numbers."""
    if not isinstance(result, tuple | list) or len(result) != 5:
        returned = described(result)
        if isinstance(result, tuple | list):
            returned = f"{len(result)} value{'s' * (len(result) != 1)}"
            if len(result) == 4:
                returned += " (observation, reward, done, info: the API before Gymnasium 0.26)"
        raise UserError(f"{name}: step() returned {returned}; it must return 5: {STEP}")
    obs, reward, terminated, truncated, info = result
    number = _scalar(reward)
    if number is None or not math.isfinite(number):
        raise UserError(
            f"{name}: step() returned the reward {described(reward)}; it must be a finite number"
        )
    ends = _truth(name, "terminated", terminated), _truth(name, "truncated", truncated)
    if not isinstance(info, Mapping):
        raise UserError(f"{name}: step() returned the info {described(info)}; it must be a dict")
    return obs, number, *ends, _numbers(info)


def _scalar(value: Any) -> float | None:
    """A real number as float, one of an array without axes too; None for anything else."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, int | float | np.number | np.bool_) or np.iscomplexobj(value):
        return None
    try:
        return float(value)
    except OverflowError:  # a Python int beyond the largest float
        return math.inf


def _truth(name: str, what: str, value: Any) -> bool:
    number = _scalar(value)
    if number is None or number not in (0, 1):
        raise UserError(
            f"{name}: step() returned {what}={described(value)}; it must be True or False"
        )
    return bool(number)


def _numbers(info: Mapping[Any, Any]) -> dict[str, float]:
    """The entries that are numbers."""
    # To rlexp "score" is what a game's return is told by, in the place of its rewards.
    kept = {k: _scalar(v) for k, v in info.items() if isinstance(k, str) and k != "score"}
    return {name: number for name, number in kept.items() if number is not None}


def declared(env: Any, name: str) -> Any:
    """An entry of an environment's metadata; None where it has none, or no metadata at all."""
    return env.metadata.get(name) if isinstance(env.metadata, Mapping) else None


def frames_per_second(env: Any) -> float:
    """`render_fps` of its metadata; 30 where that says nothing of use."""
    fps = _scalar(declared(env, "render_fps"))
    return max(1, int(fps)) if fps is not None and math.isfinite(fps) and fps > 0 else 30
