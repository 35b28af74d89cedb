"""The defaults lists of YAML files, read without composing them: for messages alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp.config import files
from rlexp.config.paths import file_of, search_path


def choice_of(file: Path, group: str) -> str | None:
    """The component of a group that a preset's defaults choose: `- override /agent: ppo`."""
    for entry in of(file):
        if isinstance(entry, dict):
            for key, name in entry.items():
                if str(key).removeprefix("override ").lstrip("/") == group:
                    return str(name)
    return None


def circle() -> list[str] | None:
    """Names of YAML files whose defaults lead from the first to itself; None without such."""
    names = [
        file.relative_to(folder).with_suffix("").as_posix()
        for folder in search_path()
        for file in sorted(folder.glob("**/*.yaml"))
    ]
    for name in names:
        trail = _trail(name, [])
        if trail is not None:
            return trail
    return None


def _trail(name: str, before: list[str]) -> list[str] | None:
    if name in before:
        return [*before[before.index(name) :], name]
    file = file_of(name)
    for entry in of(file) if file is not None else []:
        pairs = entry.items() if isinstance(entry, dict) else [("", entry)]
        for group, option in pairs:
            if option is None or str(option) == "_self_":
                continue
            place = str(group).removeprefix("override ").removeprefix("optional ").partition("@")[0]
            path = f"{place}/{option}" if place else str(option).partition("@")[0]
            path = path if path.startswith("/") else f"{name.rpartition('/')[0]}/{path}"
            trail = _trail(path.strip("/"), [*before, name])
            if trail is not None:
                return trail
    return None


def of(file: Path) -> list[Any]:
    """Read the defaults list of a file; empty where it has none."""
    defaults = files.parse(files.text(file), file).get("defaults", [])
    return list(defaults) if isinstance(defaults, list) else []
