"""Small mends of Hydra's command line, and words on it that can't be meant as they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlexp.config import paths
from rlexp.config.path_values import QUOTED, is_path_key, literal
from rlexp.errors import UserError, did_you_mean

_WHOLE = re.compile(r"^\d[\d_]*(\.\d+)?[eE]\+?\d+$")
_SWEPT = re.compile(r"^\s*(choice|range|interval|glob|tag|shuffle|sort)\(")
_NESTED = re.compile(rf"{QUOTED}|\[[^][]*\]|\{{[^{{}}]*\}}", re.DOTALL)
_KEY = re.compile(r"^(~|\+{1,2})?[A-Za-z_$][\w$./@:-]*$")
_NO_NAME = re.compile(r"^([-+]?[\d.][\d._eE+-]*|true|false|nan|inf|\{.*\})$", re.IGNORECASE)

# Dicts whose keys are the user's own: `env.kwargs.foo=1` needs no plus sign.
FREE = ("env.kwargs.", "env.kwargs=", "seats.", "seats=")


def whole_number(word: str) -> int | None:
    """Read `1e6` or `2.5e3` as the whole number it is; None for every other word."""
    if _WHOLE.match(word) and float(word).is_integer() and float(word) >= 10:
        return int(float(word))
    return None


def whole(arg: str) -> str:
    """`total_steps=1e6` → `total_steps=1000000`: integer keys take scientific notation, too.

    Float keys still get their float, since OmegaConf converts an int for them.
    """
    name, equals, value = arg.partition("=")
    if not equals or arg.startswith("-") or any(c in value for c in "({'\"$"):
        return arg

    def one(match: re.Match[str]) -> str:
        number = whole_number(match[0])
        return match[0] if number is None else str(number)

    return name + equals + re.sub(r"[^\s,\[\]]+", one, value)


def mend(arg: str) -> str:
    """An override as Hydra wants it: paths, whole numbers, and keys that are free to add to."""
    arg = literal(arg) if is_path_key(arg) else whole(arg)
    name = arg.partition("=")[0]
    if name.startswith("+") and name.lstrip("+") in paths.GROUPS:
        return arg.lstrip("+")  # every group has a choice already: there is nothing to add to
    return f"++{arg}" if arg.startswith(FREE) else arg


def prepare(overrides: Sequence[str]) -> list[str]:
    """Mend overrides for Hydra; UserError for the first that can't be read as one."""
    for index, arg in enumerate(overrides):
        _check_form(arg, overrides, index)
    args = [mend(arg) for arg in overrides]
    return [arg for arg in args if not _chooses_nothing(arg)]


def _check_form(arg: str, args: Sequence[str], index: int) -> None:
    """UserError for a word that is no `key=value`, with what was meant by it."""
    name, equals, _ = arg.partition("=")
    if not equals and not arg.startswith("~"):
        raise UserError(f"{arg!r} can't be read as key=value.{_meant(args, index)}")
    if _KEY.match(name) is None:
        joined = _joined(args, index)
        raise UserError(f"{arg!r} can't be read as key=value: {name!r} is no key.{joined}")
    following = args[index + 1] if index + 1 < len(args) else ""
    if equals and arg.endswith("=") and following and not _reads(following):
        raise UserError(f"{arg!r} has no value.{_joined(args, index)}")


def _reads(arg: str) -> bool:
    return ("=" in arg.lstrip("=") and not arg.startswith("=")) or arg.startswith("~")


def _joined(args: Sequence[str], index: int) -> str:
    """A sentence for `seed = 1`, `seed =1` and `seed= 1`, of which `index` is one word."""
    first = index - 1 if args[index].startswith("=") and index else index
    text = args[first]
    for word in args[first + 1 : first + 3]:
        if not (text.endswith("=") or word.startswith("=")) or _reads(word):
            break
        text += word
    name, equals, value = text.partition("=")
    return f" Write {text}, without blanks." if name and equals and value else ""


def _meant(args: Sequence[str], index: int) -> str:
    """A sentence for a word without "=": a blank too much, or a component's name alone."""
    word = args[index]
    following = args[index + 1] if index + 1 < len(args) else ""
    if following.startswith("="):
        return _joined(args, index)
    for group in ("experiment", "env", "agent"):
        if word in paths.options(group):
            return f" Did you mean {group}={word}?"
    return ""


def _chooses_nothing(arg: str) -> bool:
    """True for `experiment=null`; UserError for a group that is set to what can be no name."""
    group, equals, value = arg.partition("=")
    if not equals or group not in paths.GROUPS:
        return False
    listed = value.startswith("[") and value.endswith("]")
    if value == "null":
        if group == "experiment":
            return True
        if group == "logger":
            raise UserError("logger=null chooses no logger: write logger=[] for none")
        names = did_you_mean("", paths.options(group))
        raise UserError(f"{arg} chooses none, and every run has one.{names}")
    if _NO_NAME.match(value):
        raise UserError(f"no {group} named {value!r}.{did_you_mean(value, paths.options(group))}")
    if listed and group != "logger":
        raise UserError(
            f"{arg}: a run has one {group}. Several runs: rlexp train -m {group}={value[1:-1]}"
        )
    return False


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
