"""Names to components: (schema, "module:Class"). The class is imported only when it is built.

    @register("agent", "sarsa", impl="my_package.sarsa:Sarsa")
    @dataclass
    class SarsaConfig(AgentConfig):
        lr: float = number(above=0)

A plugin package does the same in the module its entry point (group "rlexp.plugins") names.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import Any, NamedTuple, TypeVar

from rlexp import isolation
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


OWN = ("rlexp", "gymnasium")


def is_own(spec: str, packages: Sequence[str] = OWN[:1]) -> bool:
    """Say whether "module:name" names something inside rlexp itself (or other `packages`)."""
    return spec.partition(":")[0].partition(".")[0] in packages


def imported(spec: str, key: str, fits: Callable[[Any], bool], what: str) -> Any:
    """Return what "module:name" names; UserError that blames the config key.

    In rlexp and Gymnasium it has to be `what` the key takes (`fits` says so) and no other thing
    that happens to lie there. Elsewhere anything that can be called may be named.
    """
    module, _, name = spec.partition(":")
    inside = isolation.module_inside_run(module)
    if inside is not None:
        raise UserError(f"{key}={spec}: {inside} lies in a run's folder; nothing is imported there")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as ex:
        raise UserError(f"{key}={spec} is no module:name: {ex}") from ex
    if not (fits(found) if is_own(spec, OWN) else callable(found)):
        raise UserError(f"{key}={spec} is not {what}")
    return found


def sweep_figure[F: Callable[..., Any]](function: F) -> F:
    """Mark a function of rlexp's as one that `sweep_figure` may name."""
    function.draws_sweeps = True  # type: ignore[attr-defined]
    return function


def names(kind: str) -> list[str]:
    return sorted(_entries[kind])
