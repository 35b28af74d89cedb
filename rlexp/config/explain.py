"""Turns what Hydra, OmegaConf and YAML raise into one line with the nearest valid choice."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import omegaconf
import yaml
from hydra.errors import (
    CompactHydraException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlexp import registry
from rlexp.config import paths, values
from rlexp.config.values import one_line
from rlexp.errors import UserError, did_you_mean

CONFIG_ERRORS = (
    CompactHydraException,
    HydraException,
    OmegaConfBaseException,
    yaml.YAMLError,
    UserError,
)
# Hydra's plugins: what installs them. Ray's is no extra of ours, since it holds cloudpickle back.
PLUGINS = {
    "hydra/launcher/ray": "hydra-ray-launcher",
    "hydra/launcher/submitit_local": "'rlexp[slurm]'",
    "hydra/launcher/submitit_slurm": "'rlexp[slurm]'",
}
# What composes a config: an exception that begins there is about what was to be composed.
_COMPOSERS = tuple(str(Path(str(package.__file__)).parent) for package in (hydra, omegaconf, yaml))


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn whatever goes wrong while a config is composed into a UserError of one line."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="provider=hydra.searchpath .* not available")
            yield
    except CONFIG_ERRORS as ex:
        raise UserError(explain(ex)) from ex
    except RecursionError as ex:
        from rlexp.config import defaults

        circle = defaults.circle()
        if circle is None:
            raise
        raise UserError(f"defaults that lead back to themselves: {' → '.join(circle)}") from ex
    except Exception as ex:
        frames = traceback.extract_tb(ex.__traceback__)
        if not frames[-1].filename.startswith(_COMPOSERS):
            raise
        missing = re.search(r"provider=hydra.searchpath .*path=(.*) is not available", str(ex))
        if missing:
            raise UserError(f"hydra.searchpath: there is no folder {missing[1]}") from ex
        raise UserError(one_line(str(ex)) or type(ex).__name__) from ex


def explain(ex: BaseException) -> str:
    """One line: what is wrong, where, and what to write instead."""
    if isinstance(ex, UserError):
        return str(ex)
    if isinstance(ex, yaml.YAMLError):
        return _yaml(ex)
    if isinstance(ex, MissingConfigException) and ex.options is not None:
        return _missing(ex)
    if isinstance(ex, OverrideParseException):
        return _unreadable(str(ex.override))
    text = str(ex)
    cause = ex.__cause__ or ex.__context__
    for pattern, tell in (
        (r"Could not override '([^']+)'", _unknown_key),
        (r"In '([^']+)': (?:ConfigKeyError|ConfigAttributeError)", _unknown_key_in_file),
        (r"In '([^']+)': \w+ raised", _bad_value_in_file),
        (r"Error merging override (.+)", _bad_value),
        (r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", _several),
        (r"Cannot find primary config '([^']+)'", _no_root),
        (r"Primary config (?:module|directory) '(.+?)' *not found", _no_root_folder),
        (r"Multiple values for ([\w/]+)\. To override a value use 'override ([^']+)'", _twice),
    ):
        match = re.search(pattern, text)
        if match:
            return tell(match[1], text, cause)
    missing = re.search(r"Could not load '(\w+)/([^']+)'", text)
    if missing:
        return _no_component(missing[1], missing[2])
    if isinstance(cause, yaml.YAMLError):
        return _yaml(cause)
    if isinstance(ex, OmegaConfBaseException):
        return values.interpolation(ex) or one_line(text).partition("; full_key")[0]
    return one_line(text)


def unknown_key(
    name: str, siblings: Iterable[str], where: str = "", known: Iterable[str] = ()
) -> str:
    """Say what was meant by a key: one of all those `known`, else of its siblings."""
    from rlexp.config import suggest

    prefix, _, leaf = name.rpartition(".")
    beside = [f"{prefix}.{s}" if prefix else s for s in siblings]
    hint = suggest.unknown(name, beside, known or beside)
    if prefix in paths.GROUPS:
        owners = suggest.owners(prefix, leaf)
        if owners:
            hint = f" It is a key of {prefix}={', '.join(owners[:4])}."
        hint += f" All keys: rlexp info {prefix}"
    return f"unknown key {name!r}{where}.{hint}"


def missing_values(cfg: Any) -> list[str]:
    """Keys without a value (???), such as env.id of env=gym."""
    return sorted(OmegaConf.missing_keys(cfg))


def _missing(ex: MissingConfigException) -> str:
    group, _, name = (ex.missing_cfg_file or "").rpartition("/")
    if ex.missing_cfg_file in PLUGINS:
        return f"{group}={name} is not installed: pip install {PLUGINS[ex.missing_cfg_file]}"
    if not group:
        return f"no config named {name!r}.{did_you_mean(name, ex.options or [])}"
    inner = group.removeprefix("experiment/")
    if inner != group and inner in paths.GROUPS:
        return f"no {group} named {name!r}. In a preset write `- override /{inner}: {name}`"
    if group in paths.GROUPS:
        return _no_component(group, name)
    return f"no {group} named {name!r}.{did_you_mean(name, ex.options or [])}"


def _no_component(group: str, name: str) -> str:
    from rlexp.config import suggest

    return f"no {group} named {name!r}.{suggest.component(group, name)}"


def _unreadable(override: str) -> str:
    """Say of an override that Hydra can't parse how to write such a value."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override!r} can't be read as key=value"
    quoted = value.replace("'", r"\'")
    return f"{override!r} can't be read: quote such a value, \"{key}='{quoted}'\""


def _several(override: str, *_: Any) -> str:
    key, value = override.split("=", 1)
    single = "(" in value or key in paths.GROUPS
    listed = "" if single else f" (a list is written {key}=[{value}])"
    return f"{override} asks for several runs: rlexp train -m {override}{listed}"


def _twice(group: str, text: str, _: Any) -> str:
    name = text.rpartition(":")[2].strip().strip("'")
    return f"{group} is chosen twice: in a preset write `- override /{group}: {name}`"


def _no_root(name: str, *_: Any) -> str:
    return f"--config-name={name}: no such file in {', '.join(map(str, paths.search_path()))}"


def _no_root_folder(folder: str, *_: Any) -> str:
    return f"--config-path: there is no folder {folder.removeprefix('rlexp.commands.')}"


def _keys_of(node: Any) -> list[str]:
    try:
        return [str(k) for k in node.keys()]
    except Exception:
        return []


def _known(cause: Any) -> list[str]:
    """Every key of the config that an exception of OmegaConf's is about."""
    from rlexp.config import suggest

    node = getattr(cause, "parent_node", None)
    try:
        return [] if node is None else suggest.all_keys(node._get_root())
    except Exception:  # half composed
        return []


def _unknown_key(name: str, text: str, cause: Any) -> str:
    name = name.lstrip("/")
    group = name.partition("@")[0]
    siblings = _keys_of(getattr(cause, "parent_node", None))
    if group in paths.GROUPS and "." not in name:
        return f"{name!r} takes the name of a component.{did_you_mean('', paths.options(group))}"
    root = "No match in the defaults list" in text or (not siblings and "." not in group)
    if not root and "." in name:
        name = _first_unknown(name, cause)
        return unknown_key(name, siblings, known=_known(cause))
    from rlexp.config import suggest

    inner = group.removeprefix("experiment/")
    if root and inner != group and inner in paths.GROUPS:
        return f"unknown group {group!r}: in a preset write `- override /{inner}: NAME`"
    name = group if root else name
    known = _known(cause) or suggest.default_keys()
    return f"unknown key or group {name!r}.{suggest.unknown(name, _root_keys(), known)}"


def _first_unknown(name: str, cause: Any) -> str:
    """The part of a key that does not exist: agent.epsilon of agent.epsilon.start."""
    try:
        parent = str(cause.parent_node._get_full_key(None) or "")
    except Exception:
        return name
    rest = name.removeprefix(f"{parent}.") if parent else name
    return f"{parent}.{rest.partition('.')[0]}" if parent and rest != name else name


def _root_keys() -> list[str]:
    from dataclasses import fields

    from rlexp.schemas.run import RunConfig

    return [*(f.name for f in fields(RunConfig)), "experiment"]


def _unknown_key_in_file(config: str, text: str, cause: Any) -> str:
    match = re.search(r"Key '([^']+)' (?:not in|is not in) '?(\w+)", text) or re.search(
        r"Key '([^']+)'()", text
    )
    leaf, file = match[1] if match else "?", _file(config)
    node = getattr(cause, "parent_node", None)
    full = str(getattr(cause, "full_key", None) or leaf)
    kind = full.partition(".")[0]
    if config.startswith("experiment/"):
        from rlexp.config import defaults

        if leaf == "experiment":
            return f"{file} is a preset: its first line must be `# @package _global_`"
        made_for, chosen = defaults.choice_of(Path(file), kind), _name_of(node)
        if made_for is not None and chosen is not None and made_for != chosen:
            preset = config.partition("/")[2]
            return (
                f"experiment={preset} is for {kind}={made_for}: {kind}={chosen} has no key "
                f"{leaf!r}, which {file} sets"
            )
    if config.startswith(tuple(f"{group}/" for group in registry.KINDS)):
        from rlexp.config import defaults

        kind, name = config.split("/", 1)
        if not defaults.of(Path(file)):
            options = [option for option in paths.options(kind) if option != name]
            shown = ", ".join(options[:4])
            return (
                f"{file} begins from no {kind}: write `defaults: [NAME, _self_]`, NAME one of "
                f"{shown}, …"
            )
    return unknown_key(full, _keys_of(node), f" in {file}", _known(cause))


def _name_of(node: Any) -> str | None:
    """The name of the component that a key was looked up in."""
    while node is not None:
        if "name" in _keys_of(node):
            return str(node._get_node("name")._value())
        node = node._get_parent()
    return None


def _bad_value_in_file(config: str, text: str, cause: Any) -> str:
    key = getattr(cause, "full_key", None)
    told = values.message(cause, text)
    return f"{_file(config)}: {f'{key}: ' if key else ''}{told}"


def _bad_value(override: str, text: str, cause: Any) -> str:
    return f"{override.lstrip('+')}: {values.message(cause, text, override)}"


def _file(name: str) -> str:
    """The path of a config that Hydra names as 'agent/dqn'."""
    return str(paths.file_of(name) or f"{name}.yaml")


def _yaml(ex: yaml.YAMLError) -> str:
    mark = getattr(ex, "problem_mark", None)
    problem = getattr(ex, "problem", None) or one_line(str(ex))
    if mark is None:
        return f"broken YAML: {problem}"
    return f"broken YAML in {mark.name}, line {mark.line + 1}, column {mark.column + 1}: {problem}"
