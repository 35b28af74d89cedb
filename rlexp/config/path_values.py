"""Paths on the command line, word for word: Hydra's grammar would read signs in them as its own.

`agent.init_from=sw/000_agent.lr=0.001,seed=0` names one run, though `=` can't stand in a value of
Hydra's and a comma would ask for two. Values of the keys below are quoted for it, unless they are
quoted already. Several of them are told apart by what exists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

PATHS = ("agent.init_from", "env.data_dir")
# Always one: nobody sweeps over them.
DIRECTORIES = ("run_dir", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
LISTS = ("self_play.members",)
# Left as they are: no value, and what Hydra's grammar is meant to read.
_NOT_PATHS = re.compile(r"null|(choice|shuffle|sort|glob|tag)\(.*\)", re.IGNORECASE | re.DOTALL)
QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_QUOTED = re.compile(QUOTED, re.DOTALL)
_ELEMENT = re.compile(rf"\s*(?:{QUOTED})\s*(?=,|$)|[^,]*", re.DOTALL)


def is_path_key(arg: str) -> bool:
    return _key(arg) in (*PATHS, *DIRECTORIES, *LISTS)


def literal(arg: str) -> str:
    """An override of a key whose value is a path, quoted for Hydra; any other as it is."""
    key, (name, _, value) = _key(arg), arg.partition("=")
    if not is_path_key(arg) or not value.strip() or _NOT_PATHS.fullmatch(value.strip()):
        return arg
    if key in DIRECTORIES:
        return f"{name}={quoted(value)}"
    if key in PATHS:
        return f"{name}={_several(value)}"
    one_list = value.startswith("[") and value.endswith("]") and "],[" not in value
    return f"{name}=[{_several(value[1:-1])}]" if one_list and value[1:-1].strip() else arg


def quoted(path: str) -> str:
    """A path as a quoted value of Hydra's that means the same letters; `~` is the home folder."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if not os.path.lexists(path):
        if _QUOTED.fullmatch(path):
            return path
        path = os.path.expanduser(path)
    if os.path.lexists(path):  # a name that there is holds no interpolation, whatever it looks like
        return verbatim(path)
    return str(QuotedString(path, Quote.single).with_quotes())


def verbatim(path: str) -> str:
    """A path as a quoted value of Hydra's, without anything in it that could mean something."""
    from hydra.core.override_parser.types import Quote, QuotedString

    # OmegaConf takes two backslashes before an interpolation for one, and one for its escape.
    escaped = re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + "\\${", path)
    return str(QuotedString(escaped, Quote.single).with_quotes())


def _several(text: str) -> str:
    """Paths with commas between them: as few as exist, since a name may hold commas, too."""
    parts = _split(text)
    paths = []
    while parts:
        count = next((n for n in range(len(parts), 1, -1) if _exists(parts[:n])), 1)
        paths.append(quoted(_joined(parts[:count])))
        parts = parts[count:]
    return ",".join(paths)


def _joined(parts: Sequence[str]) -> str:
    joined = ",".join(parts)
    return joined if os.path.lexists(joined) else joined.strip()


def _exists(parts: Sequence[str]) -> bool:
    return os.path.lexists(_joined(parts))


def _split(text: str) -> list[str]:
    """At commas, but not those of an element that is quoted as a whole."""
    if os.path.lexists(text):
        return [text]
    parts, start = [], 0
    while start <= len(text):
        match = _ELEMENT.match(text, start)
        assert match is not None  # it may be empty
        parts.append(match[0])
        start = match.end() + 1
    return parts


def _key(arg: str) -> str:
    return arg.partition("=")[0].lstrip("+").strip()
