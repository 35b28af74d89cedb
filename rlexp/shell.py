"""Commands that messages print: whoever copies one into a shell gets the same words back."""

from __future__ import annotations

import shlex
from pathlib import Path


def command(*words: str | Path) -> str:
    """A command line of these words, quoted where a shell would read them otherwise."""
    return " ".join(quoted(word) for word in words)


def quoted(word: str | Path) -> str:
    """One word of it; a path that begins with a dash would be taken for a flag."""
    if isinstance(word, Path) and str(word).startswith("-"):
        word = f"./{word}"
    return shlex.quote(str(word))


def train_with(override: str) -> str:
    """A sketch of `rlexp train` with an override that is spelt out."""
    return f"rlexp train … {quoted(override)}"
