"""Names to components: (schema, "module:Class"). The class is imported only when it is built.

    @register("agent", "sarsa", impl="my_package.sarsa:Sarsa")
    @dataclass
    class SarsaConfig(AgentConfig):
        lr: float = number(above=0)

A plugin package does the same in the module its entry point (group "rlexp.plugins") names.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, NamedTuple, TypeVar

from rlexp.errors import UserError, did_you_mean

KINDS = ("env", "agent", "buffer", "device", "logger")
T = TypeVar("T", bound=type)


class Entry(NamedTuple):
    schema: type
    impl: str

    def load(self) -> Any:
        """The class or function itself."""
        module, _, name = self.impl.partition(":")
        return getattr(importlib.import_module(module), name)


_entries: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}


def register(kind: str, *names: str, impl: str) -> Callable[[T], T]:
    """Decorate a schema dataclass: `names` of this `kind` are built by `impl` ("module:Class")."""
    if kind not in KINDS:
        raise ValueError(f"no kind {kind!r}; kinds are {', '.join(KINDS)}")

    def decorate(schema: T) -> T:
        if not is_dataclass(schema):
            raise TypeError(
                f"{schema.__name__} must be a dataclass: put @dataclass below @register"
            )
        for name in names:
            known = _entries[kind].get(name)
            if known is not None and known.impl != impl:
                raise ValueError(f"{kind} {name!r} is already {known.impl}")
            _entries[kind][name] = Entry(schema, impl)
            _store(kind, name, schema)
        return schema

    return decorate


def _store(kind: str, name: str, schema: type) -> None:
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    store.store(group=f"schema/{kind}", name=name, node=schema, provider="rlexp")


def lookup(kind: str, name: str) -> Entry:
    """The entry of a name, or a UserError with the nearest names."""
    try:
        return _entries[kind][name]
    except KeyError:
        raise UserError(f"no {kind} named {name!r}.{did_you_mean(name, _entries[kind])}") from None


def imported(spec: str, key: str) -> Any:
    """What "module:name" names; UserError that blames the config key."""
    module, _, name = spec.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as ex:
        raise UserError(f"{key}={spec} is no module:name: {ex}") from ex


def names(kind: str) -> list[str]:
    return sorted(_entries[kind])
