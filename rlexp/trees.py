"""Arrays or dicts of arrays, handled alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlexp.types import Tree


def stack(parts: Sequence[Tree]) -> Tree:
    """One row each → a batch."""
    if isinstance(parts[0], dict):
        return {k: np.stack([p[k] for p in parts]) for k in parts[0]}
    return np.stack(parts)  # type: ignore[arg-type]


def take(tree: Tree, index: np.ndarray | slice | int) -> Tree:
    """Rows of a batch."""
    if isinstance(tree, dict):
        return {k: v[index] for k, v in tree.items()}
    return tree[index]


def copy(tree: Tree) -> Tree:
    if isinstance(tree, dict):
        return {k: v.copy() for k, v in tree.items()}
    return tree.copy()


def equal(a: Tree, b: Tree) -> bool:
    """Same keys, shapes and values, NaN equal to NaN."""
    if isinstance(a, dict) or isinstance(b, dict):
        return (
            isinstance(a, dict)
            and isinstance(b, dict)
            and a.keys() == b.keys()
            and all(equal(a[k], b[k]) for k in a)
        )
    nan = np.issubdtype(a.dtype, np.floating)
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=nan)
