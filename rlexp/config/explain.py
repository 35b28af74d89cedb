"""Turns what Hydra, OmegaConf and YAML raise into one line with the nearest valid choice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml
from hydra.errors import CompactHydraException, HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlexp.config import paths
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
_TYPES = {"Float": "a number", "Integer": "a whole number", "Boolean": "true or false"}


def explain(ex: BaseException) -> str:
    """One line: what is wrong, where, and what to write instead."""
    if isinstance(ex, UserError):
        return str(ex)
    if isinstance(ex, yaml.YAMLError):
        return _yaml(ex)
    if isinstance(ex, MissingConfigException) and ex.options is not None:
        group, _, name = (ex.missing_cfg_file or "").rpartition("/")
        if ex.missing_cfg_file in PLUGINS:
            return f"{group}={name} is not installed: pip install {PLUGINS[ex.missing_cfg_file]}"
        where = f"no {group} named {name!r}" if group else f"no config named {name!r}"
        return where + "." + did_you_mean(name, paths.options(group) or ex.options)
    text = str(ex)
    cause = ex.__cause__ or ex.__context__
    for pattern, tell in (
        (r"Could not override '([^']+)'", _unknown_key),
        (r"In '([^']+)': (?:ConfigKeyError|ConfigAttributeError)", _unknown_key_in_file),
        (r"In '([^']+)': \w+ raised", _bad_value_in_file),
        (r"Error merging override (.+)", _bad_value),
    ):
        match = re.search(pattern, text)
        if match:
            return tell(match[1], text, cause)
    missing = re.search(r"Could not load '(\w+)/([^']+)'", text)
    if missing:
        group, name = missing[1], missing[2]
        return f"no {group} named {name!r}.{did_you_mean(name, paths.options(group))}"
    if "Error parsing override" in text:
        override = (re.search(r"override '([^']*)'", text) or ["", "?"])[1]
        return f"{override!r} can't be read as key=value: {(text.splitlines() + [''])[1]}"
    if isinstance(cause, yaml.YAMLError):
        return _yaml(cause)
    return one_line(text)


def one_line(text: str) -> str:
    """Hydra's multi-line messages as one sentence."""
    return re.sub(r"\s*\n\s*", "; ", text.strip())


def unknown_key(name: str, siblings: Iterable[str], where: str = "") -> str:
    prefix = name.rpartition(".")[0]
    known = [f"{prefix}.{s}" if prefix else s for s in siblings]
    more = f" All keys: rlexp info {prefix}" if prefix in paths.GROUPS else ""
    return f"unknown key {name!r}{where}.{did_you_mean(name, known)}{more}"


def _keys_of(node: Any) -> list[str]:
    try:
        return [str(k) for k in node.keys()]
    except Exception:
        return []


def _unknown_key(name: str, text: str, cause: Any) -> str:
    if name.startswith("/"):
        name = name.lstrip("/")
    group = name.partition("@")[0]
    siblings = _keys_of(getattr(cause, "parent_node", None))
    if group in paths.GROUPS and "." not in name:
        return f"{name!r} takes the name of a component.{did_you_mean('', paths.options(group))}"
    if "No match in the defaults list" in text or (not siblings and "." not in group):
        return f"unknown key or group {group!r}.{did_you_mean(group, _root_keys())}"
    if "." not in name:
        return f"unknown key or group {name!r}.{did_you_mean(name, _root_keys())}"
    return unknown_key(name, siblings)


def _root_keys() -> list[str]:
    from dataclasses import fields

    from rlexp.schemas.run import RunConfig

    return [*(f.name for f in fields(RunConfig)), "experiment"]


def _unknown_key_in_file(file: str, text: str, cause: Any) -> str:
    match = re.search(r"Key '([^']+)' (?:not in|is not in) '?(\w+)", text) or re.search(
        r"Key '([^']+)'()", text
    )
    name = match[1] if match else "?"
    siblings = _keys_of(getattr(cause, "parent_node", None))
    return unknown_key(name, siblings, f" in {_file(file)}")


def _bad_value_in_file(file: str, text: str, cause: Any) -> str:
    return f"{_file(file)}: {_value_message(cause, text)}"


def _bad_value(override: str, text: str, cause: Any) -> str:
    return f"{override}: {_value_message(cause, text)}"


def _value_message(cause: Any, text: str) -> str:
    message = one_line(str(getattr(cause, "msg", None) or cause or text))
    match = re.search(r"Value '([^']*)'.*could not be converted to (\w+)", message)
    if match:
        kind = _TYPES.get(match[2], f"a value of type {match[2]}")
        return f"{match[1]!r} is not {kind}"
    return message.partition("; full_key")[0]


def _file(name: str) -> str:
    """The path of a config that Hydra names as 'agent/dqn'."""
    for folder in paths.search_path():
        file = folder / f"{name}.yaml"
        if file.is_file():
            return str(file)
    return f"{name}.yaml"


def _yaml(ex: yaml.YAMLError) -> str:
    mark = getattr(ex, "problem_mark", None)
    problem = getattr(ex, "problem", None) or one_line(str(ex))
    if mark is None:
        return f"broken YAML: {problem}"
    return f"broken YAML in {mark.name}, line {mark.line + 1}, column {mark.column + 1}: {problem}"


def missing_values(cfg: Any) -> list[str]:
    """Keys without a value (???), such as env.id of env=gym."""
    return sorted(OmegaConf.missing_keys(cfg))
