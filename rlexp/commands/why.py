"""`rlexp why agent.lr`: where a value comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rlexp.commands.common import is_setting, take_trust, told
from rlexp.errors import UserError, did_you_mean

HELP = """\
usage: rlexp why KEY [RUN] [key=value …]

  rlexp why agent.lr agent=ddqn agent.lr=1e-4     of what these would compose
  rlexp why agent.lr outputs/cartpole-dqn/…       of a run
"""


def main(argv: Sequence[str]) -> int:
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    return told(lambda: _why(argv))


def _why(argv: Sequence[str]) -> None:
    from rlexp.config import provenance
    from rlexp.config.compose import compose

    trusted, argv = take_trust(argv)
    overrides = [arg for arg in argv if is_setting(arg)]
    words = [arg for arg in argv if not is_setting(arg)]
    keys = [word for word in words if not Path(word).exists()]
    for run in (word for word in words if Path(word).exists()):
        overrides = overrides_of(run, trusted) + overrides
    if len(keys) != 1:
        raise UserError(f"name one key, such as: rlexp why agent.lr (got {len(keys)})")
    key = keys[0]
    found = {k: (v, t) for k, v, t in provenance.leaves(compose(overrides).config)}
    if key not in found:
        last = key.rpartition(".")[2]
        same = [k for k in found if k.rpartition(".")[2] == last]
        hint = f" Did you mean {same[0]!r}?" if same else did_you_mean(key, found)
        raise UserError(f"unknown key {key!r}.{hint}")
    value, kind = found[key]
    chain = provenance.sources(overrides).get(key, [])
    print(f"{key} = {provenance.show(value)}  ({kind})")
    print(f"    {provenance.meaning(chain)}")
    for verb, source in zip(["set by", *["over"] * len(chain)], reversed(chain), strict=False):
        print(f"  {verb:<7}{source.text:<14} {source.place}")


def overrides_of(run: str, trusted: bool = False) -> list[str]:
    """What a run was started with, and what was changed when it went on.

    UserError where that names what the user has not agreed to.
    """
    import yaml

    from rlexp import trust
    from rlexp.config.provenance import show
    from rlexp.locate import locate

    found = locate(run).run
    overrides = [str(o) for o in yaml.safe_load(found.overrides.read_text()) or []]
    if found.history.is_file():
        for entry in json.loads(found.history.read_text()):
            changed = entry["changes"].items()
            overrides += [f"{key}={show(asked)}" for key, (_, asked) in changed]
    trust.require(trust.command_line(overrides), found.path, trusted)
    return overrides
