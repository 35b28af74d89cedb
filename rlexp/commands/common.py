"""What commands share: reading one path, and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rlexp.errors import RunStopped, UserError, did_you_mean, stopped_by
from rlexp.interrupt import Interrupted, exit_code
from rlexp.locate import at_step
from rlexp.printable import complain, printable


def is_setting(arg: str) -> bool:
    """True for key=value, false for a path: the names of a sweep's runs hold "=", too."""
    name, equals, _ = arg.partition("=")
    if not equals:
        return False
    path, run = (Path(text).expanduser() for text in (arg, at_step(arg)[0]))
    # A new name in a folder: the sign is the name's, or the folder's own.
    in_a_folder = ("/" in name or "=" in str(path.parent)) and path.parent.is_dir()
    return not (in_a_folder or path.exists() or run.exists())


def one_path(argv: Sequence[str], command: str) -> tuple[str, list[str]]:
    """(the path, overrides) of a command that takes one path."""
    paths = [arg for arg in argv if not is_setting(arg)]
    flags = [arg for arg in paths if arg.startswith("-")]
    if flags:
        raise UserError(f"unknown flag {flags[0]}: see rlexp {command} --help")
    if len(paths) != 1:
        raise UserError(f"name one run (got {len(paths)}): rlexp {command} PATH")
    return paths[0], [arg for arg in argv if is_setting(arg)]


def take_trust(overrides: Sequence[str]) -> tuple[bool, list[str]]:
    """Return (trust=true was given, the other overrides)."""
    own = {"trust": "false"}
    rest = []
    for arg in overrides:
        if arg.startswith("trust="):
            own["trust"] = arg.partition("=")[2]
        else:
            rest.append(arg)
    return yes_or_no(own, "trust"), rest


def path_and_keys(
    argv: Sequence[str], defaults: Mapping[str, str], command: str
) -> tuple[str, dict[str, str], list[str]]:
    """(path, the command's own keys, overrides of the run's config) of one that plays a checkpoint.

    The one flag is --json.
    """
    from rlexp.schemas.run import RunConfig

    paths = [arg for arg in argv if not is_setting(arg) and not arg.startswith("-")]
    flags = [arg for arg in argv if arg.startswith("-") and arg != "--json"]
    if flags:
        raise UserError(f"unknown flag {flags[0]}: rlexp {command} knows --json and --help")
    if len(paths) != 1:
        raise UserError(f"name one run or checkpoint (got {len(paths)}): rlexp {command} PATH")
    own, overrides = dict(defaults), []
    for arg in filter(is_setting, argv):
        name, _, value = arg.partition("=")
        if name in own:
            own[name] = value
        elif name == "agent":
            raise UserError(f"{arg}: rlexp {command} plays the run's own agent")
        else:
            if name.partition(".")[0].partition("@")[0] not in RunConfig.__dataclass_fields__:
                known = [*defaults, *RunConfig.__dataclass_fields__]
                raise UserError(f"unknown key {name!r}.{did_you_mean(name, known)}")
            overrides.append(arg)
    return paths[0], own, overrides


def count(own: Mapping[str, str], name: str, low: int) -> int:
    """A whole number among the command's own keys, at least `low`."""
    try:
        found = float(own[name])
    except ValueError:
        found = -1.0
    if found < low or not found.is_integer():
        raise UserError(f"{name}={own[name]} must be a whole number, at least {low}")
    return int(found)


def choice(own: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    """The value of a key that takes one of a few."""
    if own[name] not in known:
        raise UserError(
            f"{name}={own[name]} must be one of {', '.join(known)}.{did_you_mean(own[name], known)}"
        )
    return own[name]


def yes_or_no(own: Mapping[str, str], name: str) -> bool:
    if own[name] not in ("true", "false"):
        raise UserError(f"{name}={own[name]} must be true or false")
    return own[name] == "true"


def keys_and_paths(
    argv: Sequence[str], known: dict[str, str], command: str, flags: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """(paths, the command's own keys with their values) of a command that takes several paths."""
    found = dict(known)
    paths = []
    for arg in argv:
        name, equals, value = arg.partition("=")
        if equals and name in known:
            found[name] = value
        elif is_setting(arg):
            raise UserError(f"unknown key {name!r}.{did_you_mean(name, known)}")
        elif arg.startswith("-") and arg not in flags:
            raise UserError(f"unknown flag {arg}: see rlexp {command} --help")
        elif not arg.startswith("-"):
            paths.append(arg)
    return paths, found


def told(run: Callable[[], int | None]) -> int:
    """Run it, which may give an exit code.

    One line and code 2 for a user's mistake, code 1 or a signal's for other ends.
    """
    try:
        return run() or 0
    except UserError as ex:
        complain(ex)
        return 2
    except (RunStopped, Interrupted) as ex:
        print(f"rlexp: {printable(str(ex))}", file=sys.stderr)
        return ex.code if isinstance(ex, Interrupted) else 1
    except KeyboardInterrupt as ex:
        return exit_code(ex)
    except SystemExit as ex:  # no command ends by it: an environment or a plugin does
        print(f"rlexp: {stopped_by(ex)}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head` has read enough; nothing more is to be said at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        print(printable(traceback.format_exc()), end="", file=sys.stderr)
        return 1
