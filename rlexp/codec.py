"""A state tree as JSON and named arrays: nothing in a checkpoint can run code when it is read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from rlexp.buffers.base import Segments

KIND = "__rlexp__"


def flatten(tree: Any) -> tuple[Any, dict[str, np.ndarray], dict[str, Segments]]:
    """(JSON, arrays, segments): arrays and segments are replaced by their path in the tree."""
    arrays: dict[str, np.ndarray] = {}
    segments: dict[str, Segments] = {}

    def walk(node: Any, path: str) -> Any:
        if node is None or isinstance(node, bool | int | str):
            return node
        if isinstance(node, float):
            return node if math.isfinite(node) else {KIND: "float", "value": repr(node)}
        if isinstance(node, torch.Tensor):
            value = node.detach().cpu().numpy()
            arrays[path] = np.ascontiguousarray(value).reshape(value.shape)  # keeps 0-d
            return {KIND: "tensor", "name": path}
        if isinstance(node, np.ndarray):
            arrays[path] = np.ascontiguousarray(node).reshape(node.shape)
            return {KIND: "array", "name": path}
        if isinstance(node, np.generic):
            return walk(node.item(), path)
        if isinstance(node, Segments):
            segments[path] = node
            info = {"length": node.length, "block": node.block}
            return {KIND: "segments", "name": path, **info}
        if isinstance(node, tuple):
            return {KIND: "tuple", "items": [walk(v, f"{path}/{i}") for i, v in enumerate(node)]}
        if isinstance(node, list):
            return [walk(v, f"{path}/{i}") for i, v in enumerate(node)]
        if isinstance(node, dict):
            if all(isinstance(k, str) for k in node) and KIND not in node:
                return {k: walk(v, f"{path}/{k}") for k, v in node.items()}
            pairs = [[walk(k, path), walk(v, f"{path}/{k}")] for k, v in node.items()]
            return {KIND: "dict", "items": pairs}
        raise TypeError(f"a checkpoint can't hold {type(node).__name__} (at {path})")

    return walk(tree, ""), arrays, segments


def unflatten(node: Any, arrays: dict[str, np.ndarray], segments: dict[str, Any]) -> Any:
    """The tree back, with tensors on the CPU."""
    if isinstance(node, list):
        return [unflatten(v, arrays, segments) for v in node]
    if not isinstance(node, dict):
        return node
    kind = node.get(KIND)
    if kind is None:
        return {k: unflatten(v, arrays, segments) for k, v in node.items()}
    if kind == "float":
        return float(node["value"])
    if kind == "tensor":
        return torch.from_numpy(arrays[node["name"]])
    if kind == "array":
        return arrays[node["name"]]
    if kind == "segments":
        return segments[node["name"]]
    if kind == "tuple":
        return tuple(unflatten(v, arrays, segments) for v in node["items"])
    if kind == "dict":
        pairs = node["items"]
        return {unflatten(k, arrays, segments): unflatten(v, arrays, segments) for k, v in pairs}
    raise ValueError(f"unknown kind {kind!r} in a checkpoint")
