"""What a key means and where its value comes from: read from the YAML files themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from rlexp.config import explain, files, paths
from rlexp.config.argv import prepare
from rlexp.config.setup import setup


@dataclass(frozen=True)
class Source:
    """One place that gives a key its value; `file` is None for the command line."""

    key: str
    text: str
    file: Path | None
    line: int
    comment: str

    @property
    def place(self) -> str:
        if self.file is None:
            return "command line"
        try:
            shown = self.file.relative_to(Path.cwd())
        except ValueError:
            shown = self.file
        return f"{shown}:{self.line}"


@lru_cache
def read(file: Path) -> tuple[list[str], list[Source]]:
    """(lines of the file's first comment, its keys): keys are dotted paths within the file."""
    text = files.text(file)
    lines = text.splitlines()
    head: list[str] = []
    for line in lines:
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        head.append(line.lstrip("# "))
    with explain.mistakes():
        files.parse(text, file)  # with all its checks, and the file's name
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = list(_keys(root, lines, file, "")) if isinstance(root, yaml.MappingNode) else []
    return head, found


def _keys(node: yaml.MappingNode, lines: list[str], file: Path, prefix: str) -> Iterator[Source]:
    for name, value in node.value:
        path = f"{prefix}{name.value}"
        if path == "defaults":
            continue
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _keys(value, lines, file, f"{path}.")
            continue
        start, end = value.start_mark, value.end_mark
        until = end.column if start.line == end.line else None
        text = lines[start.line][start.column : until].strip()
        yield Source(
            path, text, file, name.start_mark.line + 1, _above(lines, name.start_mark.line)
        )


def _above(lines: list[str], index: int) -> str:
    """The comment lines directly above a key."""
    found: list[str] = []
    while index > 0 and lines[index - 1].lstrip().startswith("#"):
        index -= 1
        if "@package" not in lines[index]:
            found.insert(0, lines[index].lstrip(" #"))
    return " ".join(found)


def sources(overrides: Sequence[str]) -> dict[str, list[Source]]:
    """Every key of the composed config to the places that set it, the winning one last."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    setup()
    args = prepare(overrides)
    conf = str(paths.conf_dir())
    with explain.mistakes(), initialize_config_dir(conf, version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        defaults = loader.compute_defaults_list(paths.ROOT, args, RunMode.RUN).defaults
    found: dict[str, list[Source]] = {}
    for entry in defaults:
        file = _file(entry.config_path)
        if file is None:
            continue
        package = f"{entry.package}." if entry.package else ""
        for source in read(file)[1]:
            full = dataclasses.replace(source, key=package + source.key)
            found.setdefault(full.key, []).append(full)
    for arg in args:
        name, equals, value = arg.lstrip("+").partition("=")
        if equals and name in found:
            found[name].append(Source(name, value, None, 0, ""))
    return found


def _file(config_path: str | None) -> Path | None:
    if config_path is None or config_path.startswith(("schema/", "hydra/", "_")):
        return None
    return paths.file_of(config_path)


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(key, value, type) of everything in a config's dataclasses."""
    for field in dataclasses.fields(node):
        value, path = getattr(node, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{path}.")
        elif isinstance(value, dict) and any(map(dataclasses.is_dataclass, value.values())):
            for name, part in value.items():
                yield from leaves(part, f"{path}.{name}.")
        elif value and field.name == "seats":
            for seat, keys in value.items():
                for name, own in keys.items():
                    yield f"{path}.{seat}.{name}", own, type(own).__name__
        else:
            options = field.metadata.get("options")
            kind = field.type if isinstance(field.type, str) else field.type.__name__
            yield path, value, " | ".join(options) if options else kind


def show(value: Any) -> str:
    """A value as one would write it in YAML."""
    text: str = yaml.safe_dump(value, default_flow_style=True).strip()
    return text.removesuffix("...").strip()


def meaning(chain: Sequence[Source]) -> str:
    """The comment nearest to the winning value: a preset need not repeat what a key means."""
    return next((s.comment for s in chain if s.comment and _is_component(s)), "") or next(
        (s.comment for s in reversed(chain) if s.comment), ""
    )


def _is_component(source: Source) -> bool:
    return source.file is not None and source.file.parent.name != "experiment"
