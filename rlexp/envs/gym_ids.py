"""Gymnasium's ids: what was meant by one that is not known."""

from __future__ import annotations

import re

from gymnasium.envs.registration import registry

from rlexp.errors import UserError, nearest

# [module:][namespace/]Name[-vVERSION]
_ID = re.compile(r"(?P<name>.+?)(?:-v(?P<version>\d+))?$")


def check(id: str, key: str = "env.id") -> None:
    """UserError for an id that Gymnasium does not know, with what it knows instead.

    "module:Name-v0" imports the module first, so that what it registers is known.
    """
    if id in registry or ":" in id:
        return
    name, version = split(id)
    names: dict[str, list[str]] = {}
    for known in registry:
        names.setdefault(split(known)[0], []).append(known)
    told = f"{key}={id}: "
    if name in names:
        ids = " and ".join(sorted(names[name]))
        raise UserError(f"{told}name a version: Gymnasium has {ids}." if version is None
                        else f"{told}there is no such version: Gymnasium has {ids}.")  # fmt: skip
    near = [newest(names[n]) for n in nearest(name, names)]
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
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
