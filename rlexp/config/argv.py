"""Small mends of Hydra's command line."""

from __future__ import annotations

import re

from rlexp.config.path_values import QUOTED, is_path_key, literal

_WHOLE = re.compile(r"^\d[\d_]*(\.\d+)?[eE]\+?\d+$")
_SWEPT = re.compile(r"^\s*(choice|range|interval|glob|tag|shuffle|sort)\(")
_NESTED = re.compile(rf"{QUOTED}|\[[^][]*\]|\{{[^{{}}]*\}}", re.DOTALL)

# Dicts whose keys are the user's own: `env.kwargs.foo=1` needs no plus sign.
FREE = ("env.kwargs.", "env.kwargs=", "seats.", "seats=")


def whole(arg: str) -> str:
    """`total_steps=1e6` → `total_steps=1000000`: integer keys take scientific notation, too.

    Float keys still get their float, since OmegaConf converts an int for them.
    """
    name, equals, value = arg.partition("=")
    if not equals or arg.startswith("-") or any(c in value for c in "[({'\""):
        return arg

    def one(word: str) -> str:
        if _WHOLE.match(word) and float(word).is_integer() and float(word) >= 10:
            return str(int(float(word)))
        return word

    return name + equals + ",".join(one(word.strip()) for word in value.split(","))


def mend(arg: str) -> str:
    """An override as Hydra wants it: paths, whole numbers, and keys that are free to add to."""
    arg = literal(arg) if is_path_key(arg) else whole(arg)
    return f"++{arg}" if arg.startswith(FREE) else arg


def is_swept(arg: str) -> bool:
    """True for `key=a,b` and `key=range(3)`, which ask for several runs."""
    value, inner = arg.partition("=")[2], ""
    if _SWEPT.match(value):
        return True
    while value != inner:  # lists may hold lists: the innermost go first
        value, inner = _NESTED.sub("", value), value
    return "," in value


def is_override(arg: str) -> bool:
    """`key=value`, or `~key`, which takes it out; no flag, and none of Hydra's own keys."""
    return ("=" in arg or arg.startswith("~")) and not arg.startswith(("-", "hydra"))


def fixed_keys(args: list[str]) -> list[str]:
    """Keys that a sweep holds fixed: they stay out of the names of its runs."""
    return [
        arg.partition("=")[0].lstrip("+~")
        for arg in args
        if is_override(arg) and (arg.startswith("~") or not is_swept(arg))
    ]
