"""Weights that a team begins with, or plays against: another run's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlexp.errors import UserError
from rlexp.types import State, Team


class Misfit(UserError):
    """Weights and config are of different agents or environments."""


def find_weights(path: str) -> Path:
    """The checkpoint that a path means: a run's last, or the one that is named."""
    from rlexp import locate

    located = locate.locate(path)
    return located.checkpoint or locate.choose_checkpoint(located.run, "last")


def init_weights(team: Team, folder: Path) -> None:
    """Begin with the weights of a checkpoint."""
    from rlexp import checkpoint

    try:
        team.load_weights(checkpoint.load(folder, weights_only=True)["team"])
    except (RuntimeError, KeyError, TypeError) as ex:
        raise UserError(f"agent.init_from: the weights of {folder} don't fit: {why(ex)}") from ex


def restore(team: Team, state: State, run: Path) -> None:
    """All that a team had learnt when the run was saved."""
    try:
        team.load_state_dict(state)
    except (RuntimeError, KeyError) as ex:
        raise UserError(
            f"{run} does not fit the agent that this version of rlexp makes of its config: "
            f"{why(ex)}"
        ) from ex


def add_members(team: Team, folders: Sequence[Path]) -> None:
    """Put the agents of other runs' checkpoints into a self-play team's pool."""
    from rlexp import checkpoint

    for folder in folders:
        try:
            weights = agent_weights(checkpoint.load(folder, weights_only=True)["team"])
            team.pool.adopt(weights, str(folder))  # type: ignore[attr-defined]
        except (RuntimeError, KeyError, TypeError) as ex:
            raise UserError(
                f"self_play.members: the weights of {folder} don't fit: {why(ex)}"
            ) from ex


def agent_weights(team: State) -> State:
    """The weights of the one agent in a team's saved branch, whatever its team was."""
    if len(team) != 1:
        raise KeyError(f"it has {len(team)} agents: {', '.join(team)}")
    (one,) = team.values()
    return one["weights"]


def non_finite(tree: Any, path: str = "") -> str | None:
    """Return the name of the first tensor in a tree that holds NaN or infinity, or None."""
    if isinstance(tree, dict):
        parts = (non_finite(value, f"{path}/{key}") for key, value in tree.items())
        return next((name for name in parts if name is not None), None)
    if isinstance(tree, torch.Tensor | np.ndarray):
        values = torch.as_tensor(tree)
        if values.is_floating_point() and not bool(values.isfinite().all()):
            return path.lstrip("/")
    return None


def why(ex: Exception) -> str:
    """The telling part of what torch says of weights that don't fit."""
    told = ex.args[0] if isinstance(ex, KeyError) and ex.args else ex  # str() would quote it
    lines = [line.strip() for line in str(told).strip().splitlines()]
    return lines[1] if len(lines) > 1 else lines[0]
