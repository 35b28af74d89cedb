"""Where YAML files are found: ours, the user's ./conf, and those of plugins."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from rlexp.isolation import run_around_us

ROOT = "train"
GROUPS = ("env", "agent", "buffer", "device", "logger", "experiment")
PLUGINS = "rlexp.plugins"
USER_MODULE = "rlexp_plugins"


def conf_dir() -> Path:
    """The package's own YAML: inside the wheel, beside the package in a checkout."""
    here = Path(__file__).resolve().parent.parent
    for folder in (here / "conf", here.parent / "conf"):
        if (folder / f"{ROOT}.yaml").is_file():
            return folder
    raise RuntimeError("rlexp's conf folder is missing from this installation")


def user_dirs() -> list[Path]:
    """`./conf` and the folders of RLEXP_CONF: searched before ours. No `./conf` inside a run."""
    found = [Path(p).resolve() for p in os.environ.get("RLEXP_CONF", "").split(os.pathsep) if p]
    local = (Path.cwd() / "conf").resolve()
    if run_around_us() is not None:
        return found  # nothing is taken from inside a run
    if local != conf_dir() and any((local / group).is_dir() for group in GROUPS):
        found.insert(0, local)
    return found


def plugin_dirs() -> list[tuple[str, Path]]:
    """(plugin, its conf folder), found without importing the plugin."""
    found = []
    for point in sorted(entry_points(group=PLUGINS), key=lambda e: e.name):
        spec = find_spec(point.module.partition(".")[0])
        for root in (spec.submodule_search_locations or []) if spec else []:
            if (Path(root) / "conf").is_dir():
                found.append((point.name, Path(root) / "conf"))
    return found


def search_path() -> list[Path]:
    """Every folder that YAML is taken from, the first one that has a file wins."""
    return [*user_dirs(), conf_dir(), *(path for _, path in plugin_dirs())]


def options(group: str) -> dict[str, Path]:
    """Names of a group's YAML files to the file each comes from."""
    found: dict[str, Path] = {}
    for folder in search_path():
        for file in sorted((folder / group).glob("*.yaml")):
            found.setdefault(file.stem, file)
    return found


def file_of(name: str) -> Path | None:
    """The YAML file of a config that Hydra names as 'agent/dqn'."""
    for folder in search_path():
        file = folder / f"{name}.yaml"
        if file.is_file():
            return file
    return None
