"""Reads YAML files: one line for every way in which a file can be broken."""

from __future__ import annotations

import json
import os
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from rlexp import registry
from rlexp.config import values
from rlexp.config.argv import whole_number
from rlexp.errors import UserError

PRESET_HEADER = "# @package _global_"


def text(file: Path) -> str:
    """Read a file as UTF-8, with or without a byte-order mark; UserError for anything else."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as ex:
        line = ex.object[: ex.start].count(b"\n") + 1
        byte = ex.object[ex.start]
        raise UserError(
            f"{file}, line {line}: byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
        ) from None
    except OSError as ex:
        raise UserError(f"{file} can't be read: {ex.strerror}") from ex


def parse(content: str, file: Path, whole: bool = True) -> dict[Any, Any]:
    """Parse a YAML mapping; `whole`: 2e2 is a whole number, as it is on the command line."""
    loader = _loader()(content)
    loader.name, loader.whole = str(file), whole
    try:
        data = loader.get_single_data()
    except RecursionError:
        raise UserError(f"{file} is nested too deeply") from None
    except ValueError as ex:  # what looks like a date or a number, and is none
        raise UserError(f"broken YAML in {file}: {ex}") from ex
    finally:
        loader.dispose()
    if data is None:
        return {}
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else repr(data)[:40]
        raise UserError(f"{file} must hold keys, one `key: value` a line, and holds {kind}")
    return data


def header(file: Path, content: str) -> dict[str, str | None]:
    """Read the `# @package …` line of a file that Hydra composes."""
    try:
        directives: dict[str, str | None] = ConfigSource._get_header_dict(content[:512])
        return directives
    except ValueError as ex:
        raise UserError(f"{file}: broken header ({ex}): write `{PRESET_HEADER}`") from ex


class YamlSource(FileConfigSource):
    """Hydra's source of YAML files, with messages that name the file and what to write."""

    def load_config(self, config_path: str) -> ConfigResult:
        name = self._normalize_file_name(config_path)
        file = Path(os.path.realpath(os.path.join(self.path, name)))
        if not file.exists():
            raise ConfigLoadError(f"Config not found : {file}")
        content = text(file)
        head = header(file, content)
        data = parse(content, file)
        _check_defaults(data.get("defaults", []), file)
        if head["package"] == "_global_":
            _check_sections(data, file)
        path = f"{self.scheme()}://{self.path}"
        return ConfigResult(config=_config(file, data), path=path, provider=self.provider,
                            header=head)  # fmt: skip


def register() -> None:
    """Let Hydra read every YAML file through YamlSource."""
    SourcesRegistry.instance().types[YamlSource.scheme()] = YamlSource


def _config(file: Path, data: dict[Any, Any]) -> DictConfig:
    try:
        return OmegaConf.create(data)
    except (OmegaConfBaseException, RecursionError) as ex:
        wrong = values.interpolation(ex) if isinstance(ex, OmegaConfBaseException) else None
        if wrong is not None:
            raise UserError(f"{file}: {wrong}") from ex
        reason = (str(ex).strip().splitlines() or ["nested too deeply"])[0]
        raise UserError(f"{file}: {reason}") from ex


def _check_defaults(defaults: Any, file: Path) -> None:
    """UserError for a defaults list that Hydra can't read."""
    if not isinstance(defaults, list):
        raise UserError(f"{file}: defaults must be a list, such as [dqn, _self_]")
    for entry in defaults:
        if isinstance(entry, str):
            continue
        if not isinstance(entry, dict) or len(entry) != 1:
            raise UserError(f"{file}: {entry!r} in defaults must be a name, or `group: name`")
        ((group, names),) = entry.items()
        listed = names if isinstance(names, list) else [] if names is None else [names]
        if not isinstance(group, str) or any(not isinstance(name, str) for name in listed):
            raise UserError(f"{file}: `{group}: {names}` in defaults must be `group: name`")


def _check_sections(data: dict[Any, Any], file: Path) -> None:
    """UserError for a preset that sets what has keys of its own as one key: `env: cartpole`."""
    from rlexp.schemas.run import RunConfig

    sections = [f.name for f in fields(RunConfig) if f.default_factory is not MISSING]
    for name in [*registry.KINDS, *sections, "seats"]:
        value = data.get(name, {})
        if isinstance(value, dict) or (isinstance(value, str) and value.startswith("${")):
            continue
        shown = "null" if value is None else json.dumps(value, default=str).replace('"', "")
        if name not in registry.KINDS:
            raise UserError(f"{file}: `{name}: {shown}`: {name} has keys of its own, below it")
        hint = f"`- override /{name}: {'NAME' if value is None else shown}` under defaults"
        raise UserError(f"{file}: `{name}: {shown}` chooses no component here: write {hint}")


@cache
def _loader() -> Any:
    """OmegaConf's loader; numbers like 2e2 may be whole, and an anchor may not hold itself."""
    base: Any = get_yaml_loader()

    class Loader(base):  # type: ignore[misc]
        whole = True

        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self.open: list[str] = []

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            anchor = event.anchor
            if isinstance(event, yaml.AliasEvent) and anchor in self.open:
                raise yaml.composer.ComposerError(
                    None, None, f"the anchor {anchor!r} holds itself", event.start_mark
                )
            if anchor is None:
                return super().compose_node(parent, index)
            self.open.append(anchor)
            node = super().compose_node(parent, index)
            self.open.pop()
            return node

        def construct_number(self, node: Any) -> float:
            number = whole_number(node.value) if self.whole else None
            return self.construct_yaml_float(node) if number is None else number

    Loader.add_constructor("tag:yaml.org,2002:float", Loader.construct_number)
    return Loader
