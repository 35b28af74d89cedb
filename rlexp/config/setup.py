"""Prepares Hydra once a process: search path, resolvers, schemas, plugins."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from datetime import datetime
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from rlexp.config import files, paths
from rlexp.isolation import isolate, run_around_us

_ready = False


class RlexpSearchPath(SearchPathPlugin):
    """The user's folders before ours, plugins' after it."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for name, folder in paths.plugin_dirs():
            search_path.append(provider=f"rlexp-plugin:{name}", path=f"file://{folder}")
        for folder in reversed(paths.user_dirs()):
            search_path.prepend(
                provider="rlexp-user",
                path=f"file://{folder}",
                anchor=SearchPathQuery(provider="main"),
            )


def slug(text: str, limit: int = 80) -> str:
    """`text` as a file name: env ids may hold '/' and ':', overrides anything."""
    clean = re.sub(r"[^A-Za-z0-9_.,=+-]+", "-", text).strip("-.")
    if len(clean) > limit:
        clean = clean[:limit] + "-" + hashlib.sha1(text.encode()).hexdigest()[:6]
    return clean


def stamp() -> str:
    """Date, time and four random hex digits: two runs of one second stay apart."""
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}"


def project_name(choices: Any) -> str:
    """The directory under outputs/ that runs of this kind share."""
    return slug(str(choices.get("experiment") or f"{choices['env']}-{choices['agent']}"))


def _sweep_dir(run_dir: str | None, choices: Any) -> str:
    name = f"{stamp()}_sweep_{secrets.token_hex(2)}"
    return os.path.expanduser(run_dir or "") or f"outputs/{project_name(choices)}/{name}"


def _job_slug(num: Any, dirname: str) -> str:
    return f"{int(num):03d}" + (f"_{slug(dirname)}" if dirname else "")


def setup() -> None:
    """Idempotent; also called in a sweep's worker processes, which inherit nothing."""
    global _ready
    isolate()
    if _ready:
        _import_users_module()
        return
    _ready = True
    register = OmegaConf.register_new_resolver
    register("rlexp.sweep_dir", _sweep_dir, use_cache=True, replace=True)
    register("rlexp.job_slug", _job_slug, replace=True)
    Plugins.instance().register(RlexpSearchPath)
    files.register()
    from rlexp.schemas.run import RunConfig  # registers every shipped component
    from rlexp.sweep import launcher

    _store_root(RunConfig)
    launcher.register()
    _import_users_module()
    for point in sorted(entry_points(group=paths.PLUGINS), key=lambda e: e.name):
        try:
            point.load()
        except Exception as ex:
            # One broken plugin must not stop runs that don't use it.
            print(f"rlexp: plugin {point.name} can't be loaded: {ex!r}", file=sys.stderr)


def _import_users_module() -> None:
    """./rlexp_plugins.py registers components of one's own, without a package around them."""
    file = Path.cwd() / f"{paths.USER_MODULE}.py"
    known = sys.modules.get(paths.USER_MODULE)
    if not file.is_file() or (known is not None and known.__file__ == str(file)):
        return
    around = run_around_us()
    if around is not None:
        print(f"rlexp: {file} is not imported: {around} is the folder of a run", file=sys.stderr)
        return
    sys.modules.pop(paths.USER_MODULE, None)
    invalidate_caches()
    sys.path.insert(0, str(file.parent))
    import_module(paths.USER_MODULE)


def _store_root(schema: type) -> None:
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(group="schema", name="run", node=schema, provider="rlexp")
