"""`rlexp verify`: train, kill, resume, and compare with the run that was never killed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rlexp.commands.common import is_setting, take_trust, told
from rlexp.errors import RunStopped, UserError

HELP = """\
usage: rlexp verify PATH | key=value … [steps=2000] [kills=1]

  rlexp verify experiment=cartpole_dqn_fast     a preset
  rlexp verify env=mario agent=ddqn kills=3     what these would run
  rlexp verify outputs/cartpole-dqn/2026…       the config of a run

Trains twice for `steps` steps; the second run is killed (-9) at random steps and resumed. Weights,
optimizers, buffer, RNGs, environments and metrics must come out the same, bit for bit.
"""


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _verify(argv))


def _verify(argv: Sequence[str]) -> None:
    from rlexp import verify
    from rlexp.commands.why import overrides_of
    from rlexp.config.compose import compose

    trusted, argv = take_trust(argv)
    own = {"steps": 2000, "kills": 1}
    overrides: list[str] = []
    for arg in argv:
        name, _, value = arg.partition("=")
        if not is_setting(arg):
            overrides = [*overrides_of(arg, trusted), *overrides]
        elif name in own:
            own[name] = _whole(name, value)
        else:
            overrides.append(arg)
    agent = compose(overrides).config.agent
    short = verify.short_run(own["steps"], hasattr(agent, "learning_starts"))
    # What the user gives wins over what makes the run short.
    given = {arg.partition("=")[0] for arg in argv}
    overrides += [arg for arg in short if arg.partition("=")[0] not in given]
    compose(overrides)
    with tempfile.TemporaryDirectory(prefix="rlexp-verify-") as folder:
        found, marks = verify.verify(overrides, Path(folder), own["steps"], own["kills"])
    where = ", ".join(f"{mark:,}" for mark in marks)
    print(f"straight {found.hashes[0]}; killed at step {where} and resumed {found.hashes[1]}")
    if found.parts:
        more = f" and {len(found.parts) - 1} more" if len(found.parts) > 1 else ""
        raise RunStopped(f"the runs part at {found.parts[0]}{more}")
    print(f"equal in all {found.count:,} parts: weights, optimizers, buffer, RNGs, games, metrics")
    sys.stdout.flush()


def _whole(name: str, text: str) -> int:
    try:
        value = int(float(text))
    except (ValueError, OverflowError):
        value = 0
    if value < 1:
        raise UserError(f"{name}={text} must be a whole number, at least 1")
    return value
