"""What a saved config names beyond rlexp and Gymnasium, and whether the user has agreed to it.

A config may name code ("module:Class"), a file, or a server. Where the user composes the config,
naming it is his own doing: what he starts is remembered, outside the run, as exactly these names
with their arguments. Where the config was saved in a folder, it may use what was remembered; for
anything else the command says what it is and asks for `trust=true`, which remembers it, too.

The memory holds no folders: it goes by what is named, so that a run may be moved, copied, forked
and swept; and a stranger who copies a run's names gets no more than the call that the user himself
has made with the same arguments. docs/security.md says what this protects from.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import registry
from rlexp.errors import UserError
from rlexp.printable import one_line
from rlexp.schemas.run import RunConfig

# Gymnasium's wrappers that compute: not RecordVideo, which writes files where its arguments say,
# nor ArrayConversion, which imports modules that they name.
WRAPPERS = (
    *("AddRenderObservation", "AddWhiteNoise", "AtariPreprocessing", "Autoreset", "ClipAction"),
    *("ClipReward", "DelayObservation", "DiscretizeAction", "DiscretizeObservation"),
    *("DtypeObservation", "FilterObservation", "FlattenObservation", "FrameStackObservation"),
    *("GrayscaleObservation", "HumanRendering", "JaxToNumpy", "JaxToTorch"),
    *("MaxAndSkipObservation", "NormalizeObservation", "NormalizeReward", "NumpyToTorch"),
    *("ObstructView", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics"),
    *("RenderCollection", "RepeatAction", "RescaleAction", "RescaleObservation"),
    *("ReshapeObservation", "ResizeObservation", "StickyAction", "TimeAwareObservation"),
    *("TimeLimit", "TransformAction", "TransformObservation", "TransformReward"),
)
LOCAL_LOGGERS = ("tensorboard", "csv", "console")
SHOWN = 100  # characters of what is named, in a message
# Command lines of saved sweeps and searches: what these set can name nothing.
SWEEPER = (
    *("n_trials", "n_jobs", "sampler", "pruner", "startup_trials", "warmup_evaluations"),
    *("direction", "seed"),
)
HARMLESS = {"hydra.launcher.n_jobs", *(f"hydra.sweeper.{name}" for name in SWEEPER)}
CHOICES = {"hydra/sweeper": ("optuna", "basic"), "hydra/launcher": ("local", "basic")}
_PLAIN = re.compile(r"[\w.]+=(?:[-+]?[\d._]+(?:[eE][-+]?\d+)?|true|false|null)")


@dataclass(frozen=True)
class Named:
    """Something that a config names: under which key, and as JSON what, with its arguments."""

    key: str
    value: str

    def __str__(self) -> str:
        text = one_line(f"{self.key}={self.value}")
        return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.key, self.value]).encode()).hexdigest()


def named(key: str, value: Any) -> Named:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return Named(key, text)


def playing(config: RunConfig) -> list[Named]:
    """What is named by the parts that play: environment and agent."""
    return [*_parts(config, ("env", "agent")), *_environment(config.env)]


def training(config: RunConfig, run: Path | None = None) -> list[Named]:
    """What is named by all parts of a run; `run` is its folder where it has one."""
    return [
        *playing(config),
        *_parts(config, ("buffer",)),
        *(named("pictures", name) for name in config.pictures if not registry.is_own(name)),
        *_loggers(config, run),
        *figures(config),
    ]


def figures(config: RunConfig) -> list[Named]:
    name = config.sweep_figure
    return [named("sweep_figure", name)] if name is not None and not registry.is_own(name) else []


def _parts(config: RunConfig, kinds: Sequence[str]) -> Iterator[Named]:
    """Components that a plugin registered."""
    for kind in kinds:
        name = getattr(config, kind).name
        impl = registry.lookup(kind, name).impl
        if not registry.is_own(impl):
            yield named(kind, f"{name} ({impl})")


def _environment(env: Any) -> Iterator[Named]:
    id = getattr(env, "id", None)
    if isinstance(id, str) and ":" in id:
        yield named("env.id", id)
    for key, value in _texts(getattr(env, "kwargs", None) or {}, "env.kwargs"):
        yield named(key, value)
    for spec in getattr(env, "wrappers", None) or []:
        name = spec if isinstance(spec, str) else str(spec["name"])
        arguments = {} if isinstance(spec, str) else {k: v for k, v in spec.items() if k != "name"}
        module, _, kind = name.rpartition(":")
        is_gymnasium = module in ("", "gymnasium.wrappers") and kind in WRAPPERS
        if not is_gymnasium and not (module and registry.is_own(name)):
            yield named("env.wrappers", spec if arguments else name)
        else:
            yield from (named(k, v) for k, v in _texts(arguments, f"env.wrappers.{kind}"))
    if getattr(env, "download", False):
        yield named("env.download", _absolute(str(getattr(env, "data_dir", ""))))


def _texts(tree: Any, key: str) -> Iterator[tuple[str, str]]:
    """Strings among arguments that name a file, a module or a server."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _texts(name, key)
            yield from _texts(value, f"{key}.{name}")
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _texts(value, key)
    elif isinstance(tree, str) and (set(tree) & set("/\\:") or tree.startswith(("~", "."))):
        yield key, _absolute(tree) if tree.startswith(("~", ".")) else tree


def _absolute(path: str) -> str:
    """The same relative path is another file elsewhere."""
    return os.path.abspath(os.path.expanduser(path))


def _loggers(config: RunConfig, run: Path | None) -> Iterator[Named]:
    """Loggers that write outside the run's folder, or to a server."""
    for node in config.logger.values():
        values = {k: v for k, v in vars(node).items() if k not in ("name", "gifs")}
        if node.name == "mlflow":
            from rlexp.loggers.mlflow import store

            asked = values["tracking_uri"]
            yield named("logger.mlflow.tracking_uri", store(run, asked)[0])
        elif node.name == "wandb":
            if values["mode"] == "online":
                yield named("logger.wandb", values)
        elif node.name not in LOCAL_LOGGERS:
            yield named("logger", f"{node.name} ({registry.lookup('logger', node.name).impl})")


def command_line(arguments: Sequence[str]) -> list[Named]:
    """What the saved overrides of a run, sweep or search name.

    Keys of Hydra's own may name any callable, and a resolver reads what is around the run. All
    else is composed, a swept key with each of its values, and judged as a config is.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    found, plain = [], []
    parser = OverridesParser.create()
    for argument in arguments:
        if _PLAIN.fullmatch(argument) and not argument.startswith("hydra"):
            continue
        try:
            override = parser.parse_override(argument)
        except HydraException:
            found.append(named("argument", argument))
            continue
        key, value = override.key_or_group, argument.partition("=")[2]
        if key.startswith("hydra"):
            if key not in HARMLESS and value not in CHOICES.get(key, ()):
                found.append(named("argument", argument))
        elif override.package is not None or re.search(r"\$\{[^{}]*:", argument):
            found.append(named("argument", argument))
        else:
            plain.append(override)
    return [*found, *_composed(plain)]


def _composed(overrides: Sequence[Any]) -> list[Named]:
    from rlexp.config.compose import compose

    alone = [str(o.input_line) for o in overrides if not o.is_sweep_override()]
    lists = [alone]
    for override in overrides:
        if override.is_sweep_override() and not override.is_interval_sweep():
            key = override.get_key_element()
            lists += [[*alone, f"{key}={v}"] for v in override.sweep_string_iterator()]
    found: list[Named] = []
    for each in lists:
        try:
            found += training(compose(each).config)
        except UserError:
            continue  # it can't be run either
    return list(dict.fromkeys(found))


def require(wanted: Iterable[Named], path: str | os.PathLike[str], trust: bool) -> None:
    """UserError that names what the user has not agreed to; with `trust` he agrees now."""
    missing = [each for each in dict.fromkeys(wanted) if not agreed(each)]
    if not missing:
        return
    if trust:
        remember(missing)
        return
    more = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
    raise UserError(
        f"{one_line(os.fspath(path))} names what is neither rlexp's nor Gymnasium's: "
        f"{', '.join(map(str, missing[:2]))}{more}. Nothing of it was used. If you know where this "
        "folder comes from, add trust=true (docs/security.md)"
    )


def of_saved(saved: Sequence[Named], used: Sequence[Named]) -> list[Named]:
    """What is used because a folder names it: what the command line names is the user's own."""
    known = set(saved)
    return [each for each in used if each in known]


def folder() -> Path | None:
    """Where agreements are kept: the user's state directory; None without a home."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            return None
        state = os.path.join(home, ".local", "state")
    return Path(state) / "rlexp" / "trusted"


def agreed(each: Named) -> bool:
    place = folder()
    return place is not None and (place / f"{each.digest}.json").is_file()


def remember(items: Iterable[Named]) -> None:
    """Keep that the user agrees to these; where that can't be written, say so and go on."""
    from rlexp.run_dir import write_text

    missing = [each for each in dict.fromkeys(items) if not agreed(each)]
    place = folder()
    try:
        for each in missing:
            if place is None:
                raise OSError("there is no home directory")
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            record = {"key": each.key, "value": each.value, "time": time.time()}
            write_text(place / f"{each.digest}.json", json.dumps(record, indent=1) + "\n")
    except OSError as ex:
        print(
            f"rlexp: can't remember {missing[0]} ({ex.strerror or ex}): commands that use this "
            "run's folder will ask for trust=true; XDG_STATE_HOME names another place",
            file=sys.stderr,
        )
