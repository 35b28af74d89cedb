"""Gymnasium's ids: what was meant by one that is not known."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gymnasium.envs.registration import registry

from rlexp.errors import UserError, did_you_mean, nearest

# [module:][namespace/]Name[-vVERSION]
_ID = re.compile(r"(?P<name>.+?)(?:-v(?P<version>\d+))?$")


def check(id: str, own: Sequence[str] | None = None) -> None:
    """UserError for an id that Gymnasium does not know, with what it knows instead.

    "module:Name-v0" is let through: its module registers it when the game is made. `own`: the ids
    there are to choose from, where these are not all.
    """
    known = registry if own is None else own
    if id in known or (own is None and ":" in id):
        return
    name, version = split(id)
    names: dict[str, list[str]] = {}
    for other in known:
        names.setdefault(split(other)[0], []).append(other)
    told = f"env.id={id}: "
    if name in names:
        ids = " and ".join(sorted(names[name]))
        raise UserError(f"{told}name a version: Gymnasium has {ids}." if version is None
                        else f"{told}there is no such version: Gymnasium has {ids}.")  # fmt: skip
    near = [newest(names[n]) for n in nearest(name, names)]
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    if own is not None:
        raise UserError(f"{told}there is no such task.{meant or did_you_mean(id, own)}")
    raise UserError(
        f"{told}Gymnasium knows no such id.{meant}"
        " Of a package that registers its own, name the module: env.id=module:Name-v0."
    )


def split(id: str) -> tuple[str, int | None]:
    """(name with its namespace, version)."""
    match = _ID.match(id)
    if match is None or match["version"] is None:
        return id, None
    return match["name"], int(match["version"])


def newest(ids: list[str]) -> str:
    """The one of the highest version."""
    return max(ids, key=lambda id: split(id)[1] or 0)
