"""Tells the flags of `rlexp train` from its overrides, wherever they stand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from rlexp.errors import UserError, nearest

# Reads a pickle, which may run anything, and would not go through rlexp's checks.
WITHHELD = "--experimental-rerun"


@dataclass(frozen=True)
class Line:
    """A command line in the order that Hydra needs: overrides, then flags."""

    overrides: list[str]
    flags: list[str]
    shows_config: bool


def split(argv: Sequence[str]) -> Line:
    """Read `total_steps=60 -m seed=0,1` as if its flags stood last; UserError for unknown ones."""
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        raise UserError(f"{message.removeprefix('argument ')} (see rlexp train --help)")

    parser.error = error  # type: ignore[method-assign]
    given, unknown = parser.parse_known_intermixed_args(list(argv))
    if given.experimental_rerun is not None:
        unknown = [WITHHELD]
    if unknown:
        raise UserError(_unknown(unknown[0], argv, parser))
    flags: list[str] = []
    for action in parser._actions:
        value = getattr(given, action.dest, action.default)
        if action.option_strings and value != action.default:
            option = action.option_strings[0]
            flags.append(option if action.nargs == 0 else f"{option}={value}")
    return Line(list(given.overrides), flags, given.cfg is not None)


def _unknown(flag: str, argv: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """What to say of a flag that does not exist: `--seed 1` is meant as a key, most likely."""
    from rlexp.config import suggest

    options = [option for action in parser._actions for option in action.option_strings]
    options.remove(WITHHELD)
    written, _, value = flag.partition("=")
    near = nearest(written, options, n=1, cutoff=0.75) if written != WITHHELD else []
    keys = suggest.keys(written.lstrip("-").replace("-", "_"), suggest.default_keys(), near=False)
    if not keys and near:
        return f"unknown flag {written}. Did you mean {near[0]}?"
    if not keys:
        return f"unknown flag {written}: keys are written key=value (see rlexp train --help)"
    if not value:
        after = list(argv).index(flag) + 1
        value = argv[after] if after < len(argv) and "=" not in argv[after] else "…"
    return f"unknown flag {written}: write {keys[0]}={value}"
