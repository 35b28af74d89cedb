"""The console entry point. Imports nothing heavy: each command loads what it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from rlexp.isolation import isolate

COMMANDS = {
    "train": "train an agent: rlexp train env=mario agent=ddqn",
    "eval": "play a saved checkpoint: scores with intervals, a GIF, a JSON file",
    "lexicon": "the language of a signaling game: measures, table of messages, pictures",
    "resume": "go on with a run, bit for bit as if it had never stopped",
    "fork": "a new run from a checkpoint of another: rlexp fork RUN@STEP agent.lr=1e-4",
    "export": "a trained agent to give away: weights, facts, a GIF and a card",
    "dream": "what a world model predicts with its eyes shut: a GIF, and errors by horizon",
    "verify": "prove that a run resumes exactly: train, kill, resume, compare",
    "runs": "a table of runs: state, steps, return, age; filter and sort",
    "compare": "what differs between runs, their curves, and how sure the difference is",
    "report": "one HTML file about many runs, to show and to keep",
    "watch": "a run or a sweep, live in the terminal",
    "tensorboard": "TensorBoard on a folder of runs",
    "ladder": "rate checkpoints and scripted players of a game for two, all against all",
    "play": "play against a trained agent in the terminal",
    "list": "what there is to choose from: rlexp list agent",
    "info": "every key of a component: rlexp info agent=ddqn",
    "why": "where a value comes from: rlexp why agent.lr agent=ddqn",
    "completion": "a script that completes commands, components and keys in your shell",
}


def usage() -> str:
    rows = "\n".join(f"  {name:<12}{text}" for name, text in COMMANDS.items())
    return (
        "usage: rlexp COMMAND [key=value …]\n\n"
        f"{rows}\n\n"
        "`rlexp COMMAND --help` tells more. `rlexp --version` prints the version."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if hasattr(sys.stdout, "reconfigure"):  # names of directories may be no text at all
        sys.stdout.reconfigure(errors="backslashreplace")
    if not args or args[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if args[0] in ("-V", "--version"):
        from rlexp import __version__

        print(__version__)
        return 0
    name, *rest = (os.path.expanduser(arg) if arg.startswith("~/") else arg for arg in args)
    try:
        isolate()
    except Exception as ex:
        print(f"rlexp: {ex}", file=sys.stderr)
        return 2
    if name == "__complete":  # asked by the script of `rlexp completion`
        from rlexp.commands.completion import complete

        return complete()
    if name not in COMMANDS:
        from rlexp.errors import did_you_mean

        hint = did_you_mean(name, COMMANDS)
        if "=" in name:
            import shlex

            hint = f" Did you mean 'rlexp train {shlex.join(args)}'?"
        print(f"rlexp: unknown command {name!r}.{hint}", file=sys.stderr)
        return 2
    try:
        code: int | None = import_module(f"rlexp.commands.{name}").main(rest)
        sys.stdout.flush()
    except BrokenPipeError:  # `rlexp info … | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
