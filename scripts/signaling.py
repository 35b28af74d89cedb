"""Trains the signaling game's presets on several seeds and prints what each run came to.

    uv run python scripts/signaling.py [NAME …] [--seeds 5] [--first 0]

NAME is one of the bars below; without names, all of them. Columns: seconds of a core; success on
all training pictures and on all held-out ones (greedy play); then, of the training pictures, purity
(what the best receiver could win of these messages), capacity bound, success with the messages
shuffled among the games, different messages.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import rlexp
from rlexp import build
from rlexp.clock import Clock
from rlexp.loop import train
from rlexp.media.language import measure, speak
from rlexp.seeds import derive

# 300 pictures of each class: 1,000 of 32 would take 400 MB of memory.
MANY = ["experiment=shapes", "env.train_images=300", "total_steps=150_000"]
# Name: (seeds, what the bar asks for, overrides).
BARS: dict[str, tuple[int, str, list[str]]] = {
    "shapes": (20, "training 99 %+ on 18 of 20", ["experiment=shapes"]),
    "32 classes, length 6": (5, "median 90 %+", [*MANY, "env.classes=32", "env.length=6"]),
    "32 classes, length 5": (5, "median success / purity .97+", [*MANY, "env.classes=32"]),
    "40 classes, length 5": (1, "at most .80", [*MANY, "env.classes=40"]),
    "signaling_ppo": (5, "training 98 %+ on 5 of 5", ["experiment=signaling_ppo"]),
    "signaling_ppo_fast": (5, "training 98 %+ on 5 of 5", ["experiment=signaling_ppo_fast"]),
}  # fmt: skip
MEASURES = ("purity", "capacity_bound", "shuffled_success", "distinct")


def play(overrides: list[str]) -> tuple[float, dict[str, dict[str, float]]]:
    """(a core's seconds of training, measures by split); leaves no files."""
    config = rlexp.compose(["device.threads=1", *overrides]).config
    env: Any = build.env(config.env)
    team = build.team(config, build.plan(config, env.spec))
    began = time.process_time()
    clock = Clock(config.total_steps, config.total_episodes)
    for _ in train(team, env, clock, derive(config.seed, "env")):
        pass
    seconds = time.process_time() - began
    greedy = team.policy(greedy=True, seed=0)
    return seconds, {s: measure(env, speak(env, greedy, s)) for s in ("train", "heldout")}


def show(name: str, first: int, seeds: int) -> None:
    _, asked, overrides = BARS[name]
    print(f"\n{name}: {asked}")
    print("  seed    s  training  held out  purity  capacity  shuffled  messages")
    rows = []
    for seed in range(first, first + seeds):
        seconds, found = play([*overrides, f"seed={seed}"])
        ends = (found["train"]["success"], found["heldout"]["success"])
        rows.append((*ends, found["train"]["purity"]))
        purity, capacity, shuffled, distinct = (found["train"][m] for m in MEASURES)
        print(f"  {seed:4} {seconds:4.0f}  {ends[0]:8.4f}  {ends[1]:8.4f}  {purity:6.4f}"
              f"  {capacity:8.2f}  {shuffled:8.4f}  {distinct:8.0f}", flush=True)  # fmt: skip
    training, heldout, purity = zip(*rows, strict=True)
    print(f"  median    {statistics.median(training):10.4f}{statistics.median(heldout):10.4f}"
          f"{statistics.median(purity):8.4f}")  # fmt: skip
    for least in (0.98, 0.99):
        reached = sum(x >= least for x in training), sum(x >= least for x in heldout)
        print(f"  {least:.0%}+ on training pictures: {reached[0]} of {seeds} seeds, "
              f"on held-out ones: {reached[1]}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(usage="signaling.py [NAME …] [--seeds N] [--first N]")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BARS))
    parser.add_argument("--seeds", type=int, help="how many seeds of each")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in BARS]
    if unknown:
        parser.error(f"no bar {unknown[0]!r}; there are: {', '.join(BARS)}")
    for name in given.names or BARS:
        show(name, given.first, given.seeds or BARS[name][0])


if __name__ == "__main__":
    main()
