"""Observations as a user holds them: do they fit a space, one of them or a batch, and as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple


def is_single(obs: Any, space: Space[Any]) -> bool:
    """Whether `obs` has the structure and the shapes of one observation."""
    if isinstance(space, Dict):
        return (
            isinstance(obs, Mapping)
            and obs.keys() == space.keys()
            and all(is_single(obs[name], part) for name, part in space.items())
        )
    if isinstance(space, Tuple):
        return (
            isinstance(obs, tuple | list)
            and len(obs) == len(space)
            and all(is_single(part, inner) for part, inner in zip(obs, space, strict=True))
        )
    return space.shape is None or shape_of(obs) == space.shape


def rows_of(obs: Any, space: Space[Any]) -> list[Any] | None:
    """The observations of a batch; None where `obs` is no batch of this space's.

    A batch has another leading axis everywhere, as vectorized environments give it, or is a
    sequence of single observations.
    """
    count = _count(obs, space)
    if count:
        return [_row(obs, space, index) for index in range(count)]
    if isinstance(obs, tuple | list) and obs and all(is_single(one, space) for one in obs):
        return list(obs)
    return None


def _count(obs: Any, space: Space[Any]) -> int | None:
    """The length of the leading axis; None where there is none, or several."""
    counts: set[int | None]
    if isinstance(space, Dict):
        if not isinstance(obs, Mapping) or obs.keys() != space.keys():
            return None
        counts = {_count(obs[name], part) for name, part in space.items()}
    elif isinstance(space, Tuple):
        if not isinstance(obs, tuple) or len(obs) != len(space):
            return None
        counts = {_count(part, inner) for part, inner in zip(obs, space, strict=True)}
    elif space.shape is None:
        return len(obs) if isinstance(obs, tuple | list) else None
    else:
        shape = shape_of(obs)
        return shape[0] if shape and shape[1:] == space.shape else None
    return counts.pop() if len(counts) == 1 else None


def _row(obs: Any, space: Space[Any], index: int) -> Any:
    if isinstance(space, Dict):
        return {name: _row(obs[name], part, index) for name, part in space.items()}
    if isinstance(space, Tuple):
        return tuple(_row(part, inner, index) for part, inner in zip(obs, space, strict=True))
    return obs[index]


def shape_of(obs: Any) -> tuple[int, ...] | None:
    """The shape of what NumPy takes for an array of numbers; None of anything else."""
    if obs is None or isinstance(obs, str | bytes | Mapping):
        return None
    try:
        return tuple(np.shape(obs))
    except ValueError:  # lists of different lengths
        return None


def converted(obs: Any, space: Space[Any], name: str = "obs") -> Any:
    """An observation that fits, or a batch of arrays, with the space's types.

    ValueError for values that are none of the space's: numbers of a Discrete that are out of its
    range, fractions or text where whole numbers belong.
    """
    if isinstance(space, Dict):
        return {key: converted(obs[key], part, f"{name}[{key!r}]") for key, part in space.items()}
    if isinstance(space, Tuple):
        return tuple(
            converted(obs[index], part, f"{name}[{index}]") for index, part in enumerate(space)
        )
    if not isinstance(space, Box | Discrete | MultiBinary | MultiDiscrete):
        return obs
    array = np.asarray(obs)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {array.dtype}; {described(space)} holds numbers")
    assert space.dtype is not None
    if np.issubdtype(space.dtype, np.floating):
        return array.astype(space.dtype)
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64)
    low, high = _range(space)
    wrong = (whole != array) | (whole < low) | (whole > high)
    if wrong.any():
        value = array[wrong].flat[0] if array.ndim else array
        raise ValueError(f"{name} holds {value}, which is outside {described(space)}")
    return whole.astype(space.dtype)


def _range(space: Box | Discrete | MultiBinary | MultiDiscrete) -> tuple[Any, Any]:
    """The least and the largest value of whole numbers."""
    if isinstance(space, Discrete):
        return int(space.start), int(space.start) + int(space.n) - 1
    if isinstance(space, MultiDiscrete):
        start = np.asarray(space.start, dtype=np.int64)
        return start, start + np.asarray(space.nvec, dtype=np.int64) - 1
    if isinstance(space, MultiBinary):
        return 0, 1
    limits = np.iinfo(str(space.dtype))  # bounds are often told too tight, types are not
    return limits.min, min(int(limits.max), np.iinfo(np.int64).max)


def described(space: Space[Any]) -> str:
    """What one observation looks like."""
    if isinstance(space, Dict):
        return "{" + ", ".join(f"{k!r}: {described(part)}" for k, part in space.items()) + "}"
    if isinstance(space, Tuple):
        return "(" + ", ".join(described(part) for part in space) + ")"
    if isinstance(space, Discrete):
        low, high = _range(space)
        return f"a number {low}..{high}"
    if isinstance(space, Box | MultiBinary | MultiDiscrete):
        return f"{space.shape} {space.dtype}"
    return str(space)


def what_came(obs: Any) -> str:
    """The same of what a user gave."""
    if isinstance(obs, Mapping):
        return "{" + ", ".join(f"{key!r}: {what_came(part)}" for key, part in obs.items()) + "}"
    if isinstance(obs, tuple | list) and not _is_array(obs):
        parts = [what_came(part) for part in obs[:4]] + ["…"] * (len(obs) > 4)
        return f"({', '.join(parts)})"
    shape = shape_of(obs)
    if shape is None:
        return type(obs).__name__
    dtype = np.asarray(obs).dtype
    return f"{shape} {dtype}" if shape else f"{obs!r}"


def _is_array(obs: Sequence[Any]) -> bool:
    shape = shape_of(obs)
    return shape is not None and np.asarray(obs).dtype.kind in "biuf"
