"""`rlexp completion SHELL` prints a script; `rlexp __complete` answers it while one types."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rlexp.cli import COMMANDS
from rlexp.errors import did_you_mean

HELP = """\
usage: rlexp completion bash|zsh|fish

  eval "$(rlexp completion bash)"           in ~/.bashrc
  eval "$(rlexp completion zsh)"            in ~/.zshrc, after compinit
  rlexp completion fish | source            in ~/.config/fish/config.fish
"""

# '=' and ':' end a word for bash, but not for us: the part before them is taken off the answers.
BASH = r"""
_rlexp() {
    local IFS=$'\n' line="${COMP_LINE:0:$COMP_POINT}"
    local current="${line##* }"
    local before="${current%"${current##*[=:]}"}"
    local answers=( $(COMP_LINE="$line" rlexp __complete 2>/dev/null) )
    [[ "$COMP_WORDBREAKS" == *=* ]] && answers=( "${answers[@]#"$before"}" )
    COMPREPLY=( "${answers[@]}" )
    if [[ ${#COMPREPLY[@]} == 1 && "${COMPREPLY[0]}" != *[=./] ]]; then
        COMPREPLY[0]+=" "
    fi
}
complete -o nospace -o default -F _rlexp rlexp
"""
FISH = "complete -c rlexp -f -a '(COMP_LINE=(commandline -cp) rlexp __complete 2>/dev/null)'\n"
SCRIPTS = {
    "bash": BASH,
    "zsh": "autoload -U +X bashcompinit && bashcompinit\n" + BASH,
    "fish": FISH,
}
TAKES_A_RUN = (
    *("eval", "lexicon", "dream", "ladder", "play", "resume", "fork", "export", "verify", "why"),
    *("runs", "compare", "report", "watch", "tensorboard"),
)


def main(argv: Sequence[str]) -> int:
    if "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0
    shell = argv[0] if argv else Path(os.environ.get("SHELL", "bash")).name
    if shell not in SCRIPTS:
        hint = did_you_mean(shell, SCRIPTS)
        print(f"rlexp: no completion for {shell!r}.{hint}", file=sys.stderr)
        return 2
    print(SCRIPTS[shell].strip())
    return 0


def complete() -> int:
    """Answers for the line in COMP_LINE, one a line."""
    print("\n".join(answers(os.environ.get("COMP_LINE", ""))))
    return 0


def answers(line: str) -> list[str]:
    words = line.split()
    fresh = line.endswith(" ")
    if len(words) < 2 or (len(words) == 2 and not fresh):
        start = words[1] if len(words) == 2 else ""
        return [name for name in COMMANDS if name.startswith(start)]
    current = "" if fresh else words[-1]
    command = words[1]
    if command in TAKES_A_RUN and "=" not in current:
        runs = sorted(str(p.parent) for p in Path("outputs").glob("*/*/config.yaml"))
        # A shell would run what a folder of a stranger's is named: no quotes, no $(…), no spaces.
        plain = [run for run in runs if re.fullmatch(r"[\w.,=+@%:/\[\]-]+", run)]
        found = [run for run in plain if run.startswith(current)]
        if found or command != "why":
            return found
    if command == "list":
        from rlexp.config.paths import GROUPS

        return [group for group in GROUPS if group.startswith(current)]
    if command in ("train", "info", "why", "verify"):
        return _from_hydra(words[2:], fresh)
    return []


def _from_hydra(words: list[str], fresh: bool) -> list[str]:
    """Hydra knows groups, names and keys; it reads the line from the environment and argv."""
    import hydra

    from rlexp.commands.train import task
    from rlexp.config import paths
    from rlexp.config.setup import setup

    setup()
    os.environ["COMP_LINE"] = "rlexp " + " ".join(words) + (" " if fresh else "")
    out, saved, sys.argv = io.StringIO(), sys.argv, ["rlexp", "-sc", "query=bash"]
    try:
        with contextlib.redirect_stdout(out):
            decorate = hydra.main(
                version_base="1.3", config_path=str(paths.conf_dir()), config_name=paths.ROOT
            )
            decorate(task)()
    finally:
        sys.argv = saved
    hidden = ("schema", "hydra") if fresh or not words else ("schema",)
    return [word for word in out.getvalue().split() if not word.startswith(hidden)]
