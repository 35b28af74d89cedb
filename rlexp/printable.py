"""Text of somebody's files, made fit for a terminal."""

from __future__ import annotations

import re
import sys
from typing import Any

# Control characters but newline and tab (a terminal obeys them), and those that turn the direction
# of text or are invisible (they make a line read as another).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


def printable(text: str) -> str:
    r"""Return the text with control characters as escapes: "\x1b" instead of a real one."""
    return _UNSAFE.sub(lambda match: ascii(match[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return the same on one line."""
    return printable(text).replace("\n", "\\n").replace("\t", " ")


def complain(mistake: object) -> None:
    """Tell a mistake on one line of stderr, whatever values of the user's it quotes."""
    print(f"rlexp: {one_line(str(mistake).strip())}", file=sys.stderr)


def cleaned(tree: Any) -> Any:
    """Return parsed JSON or YAML in which every string is printable, names of keys included."""
    if isinstance(tree, str):
        return printable(tree)
    if isinstance(tree, dict):
        return {cleaned(key): cleaned(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [cleaned(value) for value in tree]
    return tree
