"""The learning bars of the presets, on several seeds: minutes each, `pytest -n 0 -m slow`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rlexp
from extras import needs_pybullet
from rlexp.agents.tabular_policy_gradient import softmax
from rlexp.envs.maze import expected_steps
from rlexp.envs.signaling import RECEIVER, one_hot
from rlexp.language import shuffled
from rlexp.loggers.csv import read
from rlexp.media.language import SPLITS, measure, speak
from rlexp.media.plots import column
from rlexp.types import Tick
from tiny import learnt, trained_team


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("preset", "steps"),
    [
        ("cartpole_dqn_fast", 50_000),
        ("cartpole_ppo", 100_000),
        ("cartpole_a2c_fast", 200_000),
        ("cartpole_reinforce_fast", 300_000),
    ],
)
def test_cartpole(preset: str, steps: int, seed: int) -> None:
    """475+ over 100 greedy games of the last checkpoint."""
    rlexp.train([f"experiment={preset}", f"seed={seed}", "run_dir=run", "logger=csv"])
    agent = rlexp.load("run")
    result = agent.evaluate(100)
    print(f"{preset}, seed {seed}: {result['return_mean']:.1f} of 500 after {agent.step:,} steps")
    assert agent.step <= steps
    assert result["return_mean"] >= 475


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(5))
def test_pendulum(seed: int) -> None:
    """-200 or better over 100 greedy games of the last checkpoint."""
    rlexp.train(["experiment=pendulum_sac", f"seed={seed}", "run_dir=run", "logger=csv"])
    agent = rlexp.load("run")
    result = agent.evaluate(100)
    print(f"pendulum_sac, seed {seed}: {result['return_mean']:.1f} after {agent.step:,} steps")
    assert agent.step <= 15_000
    assert result["return_mean"] >= -200


@pytest.mark.slow
@pytest.mark.timeout(3600)
@needs_pybullet
@pytest.mark.parametrize(
    ("preset", "seeds", "bar"), [("pybullet_ppo", 5, 900), ("halfcheetah_ppo", 3, 600)]
)
def test_bullet(preset: str, seeds: int, bar: float) -> None:
    """The pendulum: 900+ of 1,000 on four seeds of five; the cheetah: 600+ in the mean of three."""
    found = []
    for seed in range(seeds):
        run = f"run{seed}"
        rlexp.train([f"experiment={preset}", f"seed={seed}", f"run_dir={run}", "logger=csv"])
        agent = rlexp.load(run)
        assert agent.step <= 200_000
        found.append(agent.evaluate(20)["return_mean"])
    print(preset, [round(value, 1) for value in found])
    if preset == "pybullet_ppo":
        assert sum(value >= bar for value in found) >= 4
    else:
        assert np.mean(found) >= bar


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.parametrize(("preset", "minutes"), [("catcher_ppo", 60), ("catcher_dqn_fast", 90)])
def test_catcher(preset: str, minutes: int) -> None:
    """20+ from pictures: the mean of 20 whole games, which end at 10,000 moves."""
    rlexp.train([f"experiment={preset}", "run_dir=run", "logger=csv"])
    seconds = float(read(Path("run/metrics.csv"))[1][-1]["time/elapsed_s"])
    result = rlexp.load("run", overrides=["evaluation.max_steps=10_000"]).evaluate(20)
    print(f"{preset}: {result['return_mean']:.1f} after {seconds / 60:.0f} minutes")
    assert result["return_mean"] >= 20 and seconds < minutes * 60


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_digits(seed: int) -> None:
    """On the 599 held-out digits: 97 % by default and in digits_fast, 90 to 96 % as the source."""
    run = ["logger=csv", "evaluation.gif=false", f"seed={seed}"]
    default = ["env=digits", "agent=classifier", "evaluation.episodes=599", "evaluation.every=1e6"]
    score = {
        "default": rlexp.train([*default, *run]),
        "fast": rlexp.train(["experiment=digits_fast", *run]),
        "source": rlexp.train(["experiment=digits", *run]),
    }
    print(f"seed {seed}:", {name: round(value, 4) for name, value in score.items()})
    assert min(score["default"], score["fast"]) >= 0.97
    assert 0.90 <= score["source"] <= 0.96


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_housing(seed: int) -> None:
    """An epoch's mean loss, penalty included, falls as in the source: from 165.8 to 18.0."""
    rlexp.train(["experiment=housing", "logger=csv", f"seed={seed}", "run_dir=run"])
    rows = read(Path("run/metrics.csv"))[1]
    losses = column(rows, "loss/fit")[1] + column(rows, "loss/l1")[1]
    print(f"seed {seed}: {losses[0]:.1f} to {losses[-1]:.1f}")
    assert len(losses) == 8 and 120 < losses[0] < 260 and losses[-1] < 28


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_sine(seed: int) -> None:
    rlexp.train(["experiment=sine", "logger=csv", f"seed={seed}", "run_dir=run"])
    text = Path("run/media/fit.txt").read_text()
    print(f"seed {seed}: {text.strip()}")
    on_data, on_curve = (float(part.split()[0]) for part in text.replace("R² ", "").split(", "))
    assert on_data > 0.8 and on_curve > 0.95


@pytest.mark.slow
def test_rosenbrock() -> None:
    rlexp.train(["experiment=rosenbrock", "logger=csv", "run_dir=run"])
    text = Path("run/media/path.txt").read_text()
    print(text.strip())
    assert text.startswith("step 10,000: x = (0.99450, 0.98901), f = 3.03e-05")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sign", "lr", "episodes", "bad"),
    [("minus", 1.0, (380, 450), (0, 0)), ("plus", 0.1, (226, 241), (0, 0.005)),
     ("plus", 0.5, None, (0.05, 0.11))],
)  # fmt: skip
def test_maze(
    sign: str, lr: float, episodes: tuple[float, float] | None, bad: tuple[float, float]
) -> None:
    """When 1,000 learners stop, and how many of them end with 6 expected steps or more."""
    run = ["experiment=maze", f"agent.sign={sign}", f"agent.lr={lr}", "env.num_envs=1000"]
    learner, maze = learnt([*run, "total_episodes=null", "total_steps=8_000_000"])
    steps = expected_steps(maze, softmax(learner.theta, ~maze.walls))
    share = (steps >= 6).mean()
    mean = learner.episodes.mean()
    print(f"{sign} {lr}: {mean:.0f} episodes, median {np.median(steps):.3f}, bad {share:.1%}")
    if episodes is not None:
        assert learner.finished and episodes[0] < mean < episodes[1]
    assert np.median(steps) < 4.2 and bad[0] <= share <= bad[1]


@pytest.mark.slow
def test_maze_fast() -> None:
    """Under 4.2 expected steps after 500 episodes: all but two of 1,000 learners, on ten seeds."""
    steps = []
    for seed in range(10):
        learner, maze = learnt(["experiment=maze_fast", f"seed={seed}"])
        steps.append(expected_steps(maze, softmax(learner.theta, ~maze.walls)))
    print("worst learner of each run:", " ".join(f"{s.max():.3f}" for s in steps))
    assert (np.stack(steps) >= 4.2).sum() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["gridworld_q_learning", "gridworld_fast"])
@pytest.mark.parametrize("seed", range(10))
def test_gridworld(preset: str, seed: int) -> None:
    """The shortest way, five moves, from the start; gridworld_fast from every cell."""
    learner, world = learnt([f"experiment={preset}", f"seed={seed}"])
    greedy = learner.action_values(0).argmax(1)
    moves = lengths(world.following, world.ends, greedy)
    assert moves[world.start_cell] == 5
    if preset == "gridworld_fast":
        living = np.flatnonzero(world.free & ~world.ends)
        # Without entering the pit, whose -1 outweighs two moves saved.
        assert moves[living].tolist() == [3, 2, 1, 4, 2, 1, 5, 4, 3, 4]


def lengths(following: np.ndarray, ends: np.ndarray, greedy: np.ndarray) -> np.ndarray:
    """Moves that greedy play takes from each cell; 99 where it never arrives."""
    found = np.full(len(greedy), 99)
    for start in range(len(greedy)):
        cell, count = start, 0
        while not ends[cell] and count < 99:
            cell, count = following[cell, greedy[cell]], count + 1
        found[start] = count
    return found


def spoken(overrides: list[str]) -> dict[str, dict[str, float]]:
    """Measures of what is said after training, by split; shuffled messages are worth nothing."""
    team, env = trained_team(overrides)
    play, rng = team.policy(greedy=True, seed=0), np.random.default_rng(0)
    found = {}
    for split in SPLITS:
        said = speak(env, play, split)
        found[split] = measure(env, said)
        heard = one_hot(shuffled(said.messages, rng), env.vocabulary)
        guesses = play(Tick({RECEIVER: heard}, np.zeros(len(heard), dtype=bool)))[RECEIVER]
        chance, games = 1 / len(env.names), len(said.classes)
        luck = 5 * (chance / games) ** 0.5  # five deviations
        assert abs((guesses == said.classes).mean() - chance) < luck
    print(overrides, {split: f"{m['success']:.4f} of {m['purity']:.4f}"
                      for split, m in found.items()})  # fmt: skip
    return found


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["signaling_ppo", "signaling_ppo_fast"])
def test_signaling(preset: str) -> None:
    """Two classes: 98 %+ of the training pictures, on five seeds of five."""
    rates = [spoken([f"experiment={preset}", f"seed={seed}"]) for seed in range(5)]
    assert min(found["train"]["success"] for found in rates) >= 0.98


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_shapes() -> None:
    """Eight classes: 99 %+ of the training pictures and of the held-out ones, on 18 seeds of 20."""
    rates = [spoken(["experiment=shapes", f"seed={seed}"]) for seed in range(20)]
    for split in SPLITS:
        assert sum(found[split]["success"] >= 0.99 for found in rates) >= 18


MANY = ["experiment=shapes", "env.train_images=300", "total_steps=150_000"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_shapes() -> None:
    """32 classes in 64 messages, in 32, and 40 in 32."""
    room = [spoken([*MANY, "env.classes=32", "env.length=6", f"seed={s}"]) for s in range(5)]
    assert np.median([found["train"]["success"] for found in room]) >= 0.9
    tight = [spoken([*MANY, "env.classes=32", f"seed={s}"])["train"] for s in range(5)]
    assert np.median([found["success"] / found["purity"] for found in tight]) >= 0.97
    found = spoken([*MANY, "env.classes=40"])["train"]
    assert found["success"] <= found["purity"] <= found["capacity_bound"] == 0.8


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("seed", range(3))
def test_cartpole_dreamer(seed: int) -> None:
    """400+ over 20 greedy games, from the state vector."""
    rlexp.train(["experiment=cartpole_dreamer", f"seed={seed}", "run_dir=run", "logger=csv"])
    seconds = float(read(Path("run/metrics.csv"))[1][-1]["time/elapsed_s"])
    result = rlexp.load("run", "best").evaluate(20)
    print(f"seed {seed}: {result['return_mean']:.1f} after {seconds / 60:.0f} minutes")
    assert result["return_mean"] >= 400 and seconds < 45 * 60


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(3))
def test_catcher_dreamer(seed: int) -> None:
    """5+ over 20 greedy games from pictures, and 3 dB at 15 steps over the copied frame."""
    rlexp.train(["experiment=catcher_dreamer", f"seed={seed}", "run_dir=run", "logger=csv"])
    last = read(Path("run/metrics.csv"))[1][-1]
    result = rlexp.load("run", "best").evaluate(20)
    gap = float(last["eval/open_loop_psnr_15"]) - float(last["eval/copied_psnr_15"])
    minutes = float(last["time/elapsed_s"]) / 60
    print(f"seed {seed}: {result['return_mean']:.1f}, {gap:.1f} dB after {minutes:.0f} minutes")
    assert result["return_mean"] >= 5 and gap >= 3 and minutes < 60
