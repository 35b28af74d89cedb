"""Composes a run's config outside Hydra's command line, and loads the one of a saved run."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from rlexp import registry, safe_files
from rlexp.config import explain, files, paths, suggest, values
from rlexp.config.argv import is_swept, prepare
from rlexp.config.setup import project_name, setup
from rlexp.errors import UserError
from rlexp.schemas.fields import validate
from rlexp.schemas.run import RunConfig


@dataclass
class Composed:
    """A checked config, the overrides it came from, and the name its runs share."""

    config: RunConfig
    overrides: list[str]
    project: str


def compose(overrides: Sequence[str] = ()) -> Composed:
    """What `rlexp train OVERRIDES` would run; UserError in one line for every mistake."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    setup()
    args = prepare(overrides)
    swept = [arg for arg in args if is_swept(arg)]
    if swept:
        raise UserError(f"{swept[0]} asks for several runs: use `rlexp train -m`")
    conf = str(paths.conf_dir())
    with explain.mistakes(), initialize_config_dir(conf, version_base="1.3"):
        cfg = hydra_compose(paths.ROOT, overrides=args, return_hydra_config=True)
        project = project_name(cfg.hydra.runtime.choices)
        with open_dict(cfg):
            del cfg["hydra"]
    return Composed(to_run_config(cfg), args, project)


def to_run_config(cfg: DictConfig) -> RunConfig:
    """DictConfig → dataclasses, every value present and in range."""
    with explain.mistakes():
        _refuse_unknown(cfg, "")
        missing = explain.missing_values(cfg)
        if missing:
            raise UserError(f"{missing[0]} needs a value: write {missing[0]}=…")
        run = cast(RunConfig, OmegaConf.to_object(cfg))
    if not isinstance(run, RunConfig):
        raise UserError(f"conf/{paths.ROOT}.yaml must start from /schema/run@_here_")
    _empty_is_null(run)
    if run.run_dir is not None:
        run.run_dir = os.path.expanduser(run.run_dir)
    for kind in registry.KINDS:
        parts = run.logger if kind == "logger" else {"": getattr(run, kind)}
        for name, part in parts.items():
            _check_name(f"{kind}.{name}" if name else kind, kind, part)
    validate(run)
    for seat, keys in run.seats.items():
        run.seats[seat] = _seat_keys(run, seat, keys)
        validate(run.agent_at(seat), f"seats.{seat}")
    return run


def _check_name(where: str, kind: str, part: Any) -> None:
    """UserError for agent.name=ppo beside dqn's keys: a name chooses a class, not its keys."""
    schemas = {name: registry.lookup(kind, name).schema for name in registry.names(kind)}
    registry.lookup(kind, part.name)  # UserError with the nearest name
    # A plugin's YAML may go without a schema of its own.
    if type(part) is not schemas[part.name] and type(part) in schemas.values():
        how = f"logger=[…,{part.name}]" if kind == "logger" else f"{kind}={part.name}"
        raise UserError(f"{where}.name={part.name} does not choose that {kind}: write {how}")


def _empty_is_null(node: Any) -> None:
    """Set what may be null and was given empty (`run_dir=`) to null."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if value == "" and "None" in str(field.type):
            setattr(node, field.name, None)
        elif dataclasses.is_dataclass(value):
            _empty_is_null(value)


def _seat_keys(run: RunConfig, seat: str, keys: dict[str, Any]) -> dict[str, Any]:
    """What a seat's agent has for itself, in the types of its schema."""
    known = [f.name for f in dataclasses.fields(run.agent) if f.name not in ("name", "init_from")]
    for key in keys:
        if key not in known:
            name = f"seats.{seat}.{key}"
            beside = [f"seats.{seat}.{other}" for other in known]
            raise UserError(explain.unknown_key(name, known, known=beside))
    typed = OmegaConf.structured(run.agent)
    for key, value in keys.items():
        try:
            OmegaConf.update(typed, key, value, merge=True)
        except OmegaConfBaseException as ex:
            told = values.message(ex, str(ex), f"seats.{seat}.{key}={value}")
            raise UserError(f"seats.{seat}.{key}={value}: {told}") from ex
    agent = OmegaConf.to_object(typed)
    return {key: getattr(agent, key) for key in keys}


def _refuse_unknown(cfg: DictConfig, prefix: str) -> None:
    """Hydra's `+key=value` adds to typed nodes, too; nothing would ever read what it added."""
    schema = OmegaConf.get_type(cfg)
    known = getattr(schema, "__dataclass_fields__", None)
    for name in map(str, cfg):
        if known is not None and name not in known:
            full = f"{prefix}{name}"
            every = [key for key in suggest.all_keys(cfg._get_root()) if key != full]
            raise UserError(explain.unknown_key(full, known, known=every))
        child = cfg._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            _refuse_unknown(child, f"{prefix}{name}.")


def typed(saved: Any) -> DictConfig:
    """A saved config merged into today's schemas, looked up by each part's name."""
    cfg = OmegaConf.structured(RunConfig)
    for name, value in saved.items_ex(resolve=False):
        if name not in RunConfig.__dataclass_fields__:
            raise UserError(explain.unknown_key(str(name), RunConfig.__dataclass_fields__))
        if name == "logger":
            for part, one in value.items():
                cfg.logger[part] = OmegaConf.structured(registry.lookup("logger", one.name).schema)
        elif name in registry.KINDS:
            cfg[name] = OmegaConf.structured(registry.lookup(name, value.name).schema)
        OmegaConf.update(cfg, name, value, merge=True)
    OmegaConf.set_struct(cfg, True)
    return cfg


def saved(file: Path) -> Any:
    """Return a saved config as data: "${…}" in it is text, which nothing resolves."""
    try:
        text = safe_files.read_text(file, file.parent)
    except OSError as ex:
        raise UserError(f"{file} can't be read: {ex.strerror}") from ex
    return OmegaConf.create(_literal(files.parse(text, file, whole=False)))


def _literal(tree: Any) -> Any:
    """Escape interpolations as OmegaConf wants it, with the backslashes before them doubled."""
    if isinstance(tree, str):
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", tree)
    if isinstance(tree, dict):
        return {key: _literal(value) for key, value in tree.items()}
    return [_literal(value) for value in tree] if isinstance(tree, list) else tree


def load(file: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The config of a run's directory with overrides on top: `env.noop_max=30`, `device=cpu`.

    It is not composed anew from the overrides of then: shipped defaults may have changed since.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.override_parser.overrides_parser import OverridesParser

    setup()
    with explain.mistakes():
        cfg = typed(saved(file))
        lacking = [kind for kind in registry.KINDS if OmegaConf.is_missing(cfg, kind)]
        if lacking:
            raise UserError(f"{file} has no {lacking[0]}: it is not the config of a whole run")
        parsed = OverridesParser.create().parse_overrides(prepare(overrides))
        groups = [o for o in parsed if o.key_or_group in registry.KINDS]
        if groups:
            with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
                lines = [str(o.input_line) for o in groups]
                fresh = hydra_compose(paths.ROOT, overrides=lines)
            OmegaConf.set_struct(cfg, False)
            for o in groups:
                cfg[o.key_or_group] = fresh[o.key_or_group]
            OmegaConf.set_struct(cfg, True)
        for o in parsed:
            if o not in groups:
                _override(cfg, o)
        _fill(cfg)
    return to_run_config(cfg)


def _fill(cfg: DictConfig) -> None:
    """Keys that are younger than the saved run get the value that is shipped today."""
    missing = explain.missing_values(cfg)
    if not missing:
        return
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    chosen = [f"{group}={cfg[group].name}" for group in registry.KINDS if group != "logger"]
    with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
        today = hydra_compose(paths.ROOT, overrides=chosen)
    for name in missing:
        OmegaConf.update(cfg, name, OmegaConf.select(today, name), merge=True)


def _override(cfg: DictConfig, o: Any) -> None:
    name = o.key_or_group
    try:
        OmegaConf.update(cfg, name, o.value(), merge=True, force_add=o.is_force_add())
    except OmegaConfBaseException as ex:
        parent, _, _ = name.rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
        siblings = [str(k) for k in node] if node is not None else list(cfg)
        if name.rpartition(".")[2] not in siblings:
            known = suggest.all_keys(cfg)
            raise UserError(explain.unknown_key(name, siblings, known=known)) from ex
        told = values.message(ex, str(ex), str(o.input_line))
        raise UserError(f"{o.input_line}: {told}") from ex


def to_yaml(config: RunConfig) -> str:
    """The resolved config as YAML, as it is saved in a run's directory."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))
