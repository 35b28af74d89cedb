"""What was meant by a name that rlexp does not know: other libraries' names among others."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rlexp import registry
from rlexp.config import paths
from rlexp.config.aliases import COMPONENTS, KEYS
from rlexp.errors import did_you_mean, nearest

_ID = re.compile(r"^(?:\w+:)?(?:[\w.-]+/)*[\w.-]+-v\d+$")


def plain(name: str) -> str:
    """`learningRate`, `learning-rate` and `LEARNING_RATE` are one name."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


_KEYS = {plain(name): meant for name, meant in KEYS.items()}
_COMPONENTS = {
    group: {plain(name): meant for name, meant in names.items()}
    for group, names in COMPONENTS.items()
}


def keys(name: str, known: Iterable[str], near: bool = True) -> list[str]:
    """The keys among `known` that `name` may stand for, the likeliest first, three at most.

    Another library's name for a key, then the same key at another place, then (`near`) what is
    spelled alike.
    """
    known = list(known)
    prefix, _, leaf = name.rpartition(".")
    same = [key for key in known if plain(_leaf(key)) == plain(leaf) and leaf != "name"]
    meant = [
        key
        for target in _KEYS.get(plain(leaf), ())
        for key in known
        if key == target or key.endswith(f".{target}")
    ]
    candidates = list(dict.fromkeys([*meant, *same]))
    candidates.sort(key=lambda key: key.rpartition(".")[0] != prefix)  # its own place first
    if not candidates and near:
        candidates = nearest(name, known)
    return candidates[:3]


def unknown(name: str, siblings: Iterable[str], known: Iterable[str]) -> str:
    """A sentence for an unknown key: which of `known`, else of its siblings, was meant."""
    exact = keys(name, known, near=False)
    if exact:
        return f" Did you mean {' or '.join(map(repr, exact))}?"
    return did_you_mean(name, siblings)


def owners(kind: str, leaf: str) -> list[str]:
    """The components of a kind that have a key."""
    return [
        name
        for name in paths.options(kind)
        if name in registry.names(kind)
        and leaf in {f.name for f in dataclasses.fields(registry.lookup(kind, name).schema)}
    ]


def component(group: str, name: str) -> str:
    """A sentence for a component that does not exist: alias, Gymnasium id, or spelled alike."""
    options = paths.options(group)
    meant = _COMPONENTS.get(group, {}).get(plain(name))
    if meant in options:
        return f" Did you mean {meant!r}?"
    if group == "env":
        id = gymnasium_id(name)
        if id is not None:
            return f" Did you mean env=gym env.id={id}?"
    return did_you_mean(name, options)


def gymnasium_id(name: str) -> str | None:
    """The id of Gymnasium that a name is, or is nearest to; None where it looks like none."""
    looks = _ID.match(name) is not None
    if not looks and not name[:1].isupper():
        return None
    from gymnasium.envs.registration import registry as ids

    from rlexp.envs.gym_ids import newest, split

    if name in ids:
        return name
    names: dict[str, list[str]] = {}
    for id in ids:
        names.setdefault(split(id)[0], []).append(id)
    like = nearest(split(name)[0], names, n=1)
    if like and (looks or like[0].lower() == name.lower()):
        return newest(names[like[0]])
    return name if looks else None


def all_keys(config: Any) -> list[str]:
    """Every key of a composed config, as one writes it on the command line."""
    return [key for key in _walk(config, "") if not key.startswith("hydra.")]


def default_keys() -> list[str]:
    """The keys of `rlexp train` without any override."""
    from rlexp.config.compose import compose

    return all_keys(OmegaConf.structured(compose().config))


def _walk(node: Any, prefix: str) -> Iterable[str]:
    for name in node:
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            yield from _walk(child, f"{prefix}{name}.")
            if len(child):
                continue
        yield f"{prefix}{name}"


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]
