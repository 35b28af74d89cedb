"""What is wrong with a value, in the words of who wrote it, from OmegaConf's exceptions."""

from __future__ import annotations

import re
from typing import Any

from omegaconf.errors import OmegaConfBaseException

_TYPES = {"Float": "a number", "Integer": "a whole number", "Boolean": "true or false",
          "Optional[Union[int, str]]": "a whole number, a word or null",
          "Union[int, str]": "a whole number or a word"}  # fmt: skip
_NAMES = {"int": "a number", "float": "a number", "str": "a word", "bool": "true or false",
          "list": "a list", "ListConfig": "a list", "dict": "keys of its own",
          "DictConfig": "keys of its own", "NoneType": "null"}  # fmt: skip


def one_line(text: str) -> str:
    """Hydra's multi-line messages as one sentence."""
    return re.sub(r"\s*[\r\n]\s*", "; ", text.strip())


def message(cause: Any, context: str, override: str = "") -> str:
    """Say why a value can't be taken; `override`: the key=value that it was given by."""
    if isinstance(cause, OmegaConfBaseException) and (text := interpolation(cause)):
        return text
    text = one_line(str(getattr(cause, "msg", None) or cause or context))
    key, _, value = override.lstrip("+").partition("=")
    key = key or str(getattr(cause, "full_key", None) or "it")
    match = re.search(r"Value '(.*?)' .*could not be converted to (\w+)", text)
    if match:
        return f"{match[1]!r} is not {_TYPES.get(match[2], f'a value of type {match[2]}')}"
    match = re.search(r"Value '(.*?)' of type '.*' is incompatible with type hint '(.*)'", text)
    if match:
        return f"{match[1]!r} is not {_TYPES.get(match[2], match[2])}"
    if "is not a ListConfig, list or tuple" in text or "Cannot assign str to List" in text:
        return f"must be a list: {key}=[{value}]" if override else "must be a list: […]"
    match = re.search(r"(?:Merge error|Invalid type assigned): (\w+) is not a subclass of", text)
    if match:
        return f"{_NAMES.get(match[1], match[1])} is no value for it: {_parts(cause, key)}"
    match = re.search(r"Cannot (?:assign|convert) '?(\w+)'? to (\w+)", text)
    if match or "Cannot merge" in text:
        given = _NAMES.get(match[1], match[1]) if match else "a list"
        return f"{given} is no value for {key}"
    if "does not support deletion" in text:
        return "it can't be taken out: a run needs it"
    if "is not Optional" in text:
        return f"null is no value for {key}"
    return text.partition("; full_key")[0]


def _parts(cause: Any, key: str) -> str:
    """Name the keys that a key has of its own."""
    child = getattr(cause, "child_node", None)
    try:
        names = [f"{key}.{name}" for name in list(child.keys())[:3]] if child is not None else []
    except Exception:
        names = []
    return f"{key} has keys of its own{': ' if names else ''}{', '.join(names)}"


def interpolation(ex: OmegaConfBaseException) -> str | None:
    """Say what is wrong with a `${…}`; None where nothing is."""
    text = one_line(str(ex))
    match = re.search(r"full_key: (\S+?)(;|$)", text)
    key = f"{match[1]}: " if match else ""
    rules = (
        (r"Interpolation key '(.*?)' not found", r"there is no key '\1' to take a value from"),
        (r"Recursive interpolation detected", "it refers to itself"),
        (r"Unsupported interpolation type (.*?)(;|$)", r"there is no ${\1:…}"),
        (r"Environment variable '(.*?)' not found", r"environment variable \1 is not set"),
        (r"(?:\w+ raised while resolving interpolation: )(.*?)(; full_key|$)", r"\1"),
        (r"Interpolation to missing mandatory value|MissingMandatoryValue while resolving "
         r"interpolation \"(.*?)\"", "it takes its value from a key that has none"),
    )  # fmt: skip
    for pattern, said in rules:
        match = re.search(pattern, text)
        if match:
            return key + match.expand(said)
    if type(ex).__name__ == "GrammarParseError":
        return f"{key}can't be read as an interpolation: ${{key}} or ${{oc.env:NAME}}"
    return None
