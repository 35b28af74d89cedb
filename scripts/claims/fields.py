"""What a value of claims.yaml has to be; UserError with its place where it is something else."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

from rlexp.errors import UserError, did_you_mean


def known(where: str, entry: Any, keys: set[str], needed: Sequence[str] = ()) -> None:
    """A mapping with these keys and no others; those that are needed are there."""
    if not isinstance(entry, dict):
        raise UserError(f"{where} must have keys: {', '.join(sorted(keys))}")
    for key in entry:
        if key not in keys:
            raise UserError(f"{where}: unknown key {key!r}.{did_you_mean(str(key), keys)}")
    for key in needed:
        if key not in entry:
            raise UserError(f"{where} needs {key}")


def number(where: str, value: Any) -> float:
    """Also of a text that is one: YAML reads 1e6 as a text."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise UserError(f"{where}={value} is not a number")
    return found


def text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}={value} must be a text")
    return value


def texts(where: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise UserError(f"{where}={value} must be a list of texts")
    return [text(f"{where}[{i}]", each) for i, each in enumerate(value)]


def commands(where: str, value: Any) -> list[str]:
    """One at least, each as a shell would read it."""
    found = texts(where, value)
    if not found:
        raise UserError(f"{where} needs a command at least")
    for command in found:
        try:
            shlex.split(command)
        except ValueError as ex:
            raise UserError(f"{where}: {command!r}: {ex}") from None
    return found


def seeds(where: str, value: Any) -> list[int]:
    whole = isinstance(value, list) and all(type(seed) is int for seed in value)
    if not whole or len(set(value)) != len(value):
        raise UserError(f"{where}={value} must be a list of whole numbers, each once")
    return list(value)


def source(where: str, told: dict[str, Any], kind: str) -> None:
    """Where a figure is read, and what goes with it."""
    if kind == "passes":
        if told[kind] is not True:
            raise UserError(f"{where}.passes={told[kind]} must be true")
        return
    text(f"{where}.{kind}", told[kind])
    if kind == "file":
        _pattern(f"{where}.pattern", told.get("pattern"))
    elif "pattern" in told:
        raise UserError(f"{where}.pattern goes with file")
    if ("reaches" in told) != ("in" in told) or ("reaches" in told and kind != "metric"):
        raise UserError(f"{where}: reaches and in go together, and with metric")
    if "reaches" in told:
        number(f"{where}.reaches", told["reaches"])
        if told["in"] not in ("steps", "seconds"):
            raise UserError(f"{where}.in={told['in']} must be steps or seconds")


def _pattern(where: str, value: Any) -> None:
    try:
        groups = re.compile(text(where, value)).groups
    except re.error as ex:
        raise UserError(f"{where}={value} is no regular expression: {ex}") from None
    if groups < 1:
        raise UserError(f"{where}={value} needs a group: (…) around the number")


def earlier(where: str, value: Any, figures: set[str]) -> None:
    """Figures from before there was this file: a list of numbers each, or words."""
    known(where, value, {"from", "figures"}, needed=("from", "figures"))
    text(f"{where}.from", value["from"])
    known(f"{where}.figures", value["figures"], figures)
    for name, found in value["figures"].items():
        if isinstance(found, list) and found:
            for each in found:
                number(f"{where}.figures.{name}", each)
        elif isinstance(found, list | dict) or found is None:
            raise UserError(f"{where}.figures.{name}={found} must be numbers, or words")
