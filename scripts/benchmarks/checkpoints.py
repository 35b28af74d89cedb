"""What checkpoints of a full Mario buffer cost: disk, and time that training stands still.

    uv run python scripts/benchmarks/checkpoints.py [--capacity 100000] [--between 2000]

Fills the frames buffer by random play on the real game, then saves four times, with steps of
learning in between while the saves are written.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from race import tell


def disk(folder: Path) -> int:
    """Bytes on disk; a block that several checkpoints link counts once."""
    seen = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            about = os.stat(path)
            seen[about.st_ino] = about.st_blocks * 512
    return sum(seen.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--capacity", type=int, default=100_000)
    parser.add_argument("--between", type=int, default=2000, help="steps from save to save")
    arguments = parser.parse_args()
    from rlexp import device

    device.prepare()
    import rlexp
    from rlexp import build
    from rlexp.clock import Clock
    from rlexp.loop import train
    from rlexp.run_dir import RunDir
    from rlexp.saver import Saver

    config = rlexp.compose(
        ["experiment=mario_ddqn", "env.num_envs=2", "agent.epsilon.kind=constant",
         "agent.epsilon.start=1.0", f"agent.learning_starts={arguments.capacity}",
         f"buffer.capacity={arguments.capacity}", "checkpoint.keep=4"]
    ).config  # fmt: skip
    env = build.env(config.env)
    team = build.team(config, build.plan(config, env.spec))
    clock = Clock()
    turns = train(team, env, clock, seed=0)

    def play(steps: int) -> float:
        """Steps a second."""
        began, goal = time.perf_counter(), clock.steps + steps
        while clock.steps < goal:
            next(turns)
        return steps / (time.perf_counter() - began)

    print(f"filling: {play(arguments.capacity):.0f} steps/s")
    sizes, stills = [], []
    with tempfile.TemporaryDirectory(prefix="rlexp-checkpoints-") as folder:
        saver = Saver(config.checkpoint, RunDir(Path(folder)))
        for number in range(1, 5):
            began = time.perf_counter()
            saver.save({"team": team.state_dict(), "env": env.state_dict()}, clock)
            still = time.perf_counter() - began
            rate = play(arguments.between)
            saver.join()
            size = disk(Path(folder) / "checkpoints") / 1e6
            sizes.append(size)
            stills.append(still)
            print(
                f"save {number}: training stood still for {still:.2f} s; "
                f"{rate:.0f} steps/s while it was written; {size:.0f} MB on disk in all"
            )
        print(f"{play(arguments.between):.0f} steps/s with no save going on")
    env.close()
    tell({"MB of three checkpoints": [sizes[2]], "seconds of a further one": stills[1:]})


if __name__ == "__main__":
    main()
