"""The shipped YAML: every key explained, every preset composes and runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import rlexp
from conftest import FAST
from extras import marked
from rlexp.config import paths, provenance

COMPONENTS = sorted(
    p for group in paths.GROUPS[:5] for p in (paths.conf_dir() / group).glob("*.yaml")
)
PRESETS = [marked("experiment", name) for name in sorted(paths.options("experiment"))]


@pytest.mark.parametrize(
    "file", [*COMPONENTS, paths.conf_dir() / "train.yaml"], ids=lambda p: p.stem
)
def test_every_key_has_its_meaning_above_it(file: Path) -> None:
    head, keys = provenance.read(file)
    assert head, "the file's first line says what it is"
    for source in keys:
        if not source.key.startswith("hydra"):
            assert source.comment, f"{file.name}: {source.key} has no comment above it"


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_run(preset: str) -> None:
    """Two episodes and an evaluation of each, so that no preset is stale."""
    short = ["total_episodes=2", "evaluation.episodes=1", "evaluation.gif=false"]
    if "mario" in preset or preset == "rosenbrock":
        short.append("env.max_steps=30")
    if "bomberman" in preset:
        short.append("env.limit=30")
    rlexp.train([f"experiment={preset}", *FAST, *short, "evaluation.every=2ep", "run_dir=run"])
    assert Path("run/checkpoints/last/manifest.json").is_file()


def test_the_sources_numbers() -> None:
    """What the presets promise, spelled out once more."""
    mario = rlexp.compose(["experiment=mario_ddqn"]).config
    agent = mario.agent
    assert (agent.gamma, agent.lr, agent.batch_size, agent.loss) == (0.9, 2.5e-4, 32, "huber")
    assert (agent.learning_starts, agent.train_every, agent.target_every) == (10_000, 3, 10_000)
    assert agent.epsilon.value(1, 0) == 0.99999975 and agent.epsilon.end == 0.1
    assert agent.double and agent.clip_norm is None and mario.buffer.capacity == 100_000
    assert (mario.env.skip, mario.env.stack, mario.env.resize) == (4, 4, [84, 84])
    assert mario.total_episodes == 40_000 and mario.log_every == "20ep"
    book = rlexp.compose(["experiment=cartpole_dqn"]).config
    agent = book.agent
    assert (agent.hidden, agent.gamma, agent.lr, agent.loss) == ([128, 128], 0.98, 5e-4, "squared")
    assert (agent.learning_starts, agent.train_every, agent.target_every) == (32, 1, "20ep")
    assert agent.epsilon.value(10**6, 300) == 0.1
    assert book.buffer.capacity == 10_000 and book.total_episodes == 300
    small = rlexp.compose(["experiment=cartpole_dqn_small"]).config
    agent = small.agent
    assert (small.env.id, agent.hidden, agent.lr, agent.clip_value) == (
        "CartPole-v0",
        [64],
        1e-3,
        1,
    )
    assert (agent.learning_starts, agent.target_every) == ("200ep", "3ep")
    assert agent.epsilon.value(0, 0) == 0.5 and agent.epsilon.value(0, 1200) == pytest.approx(0.001)


def test_the_sources_supervised_numbers() -> None:
    line = rlexp.compose(["experiment=line"]).config
    env, agent = line.env, line.agent
    assert (env.points, env.slope, env.intercept, env.noise) == (100, 2, 5, 1)
    assert (agent.hidden, agent.init, agent.optimizer, agent.lr) == ([], "zeros", "sgd", 0.1)
    assert line.total_steps == 100 * env.num_envs and env.num_envs == env.points
    sine = rlexp.compose(["experiment=sine"]).config
    agent = sine.agent
    assert (agent.hidden, agent.activation, agent.optimizer) == ([10], "sigmoid", "sgd")
    assert (agent.lr, agent.momentum, sine.env.noise) == (0.2, 0, 1)
    assert sine.total_steps == 10_000 * sine.env.num_envs and sine.env.num_envs == 100
    digits = rlexp.compose(["experiment=digits"]).config
    agent = digits.agent
    assert (agent.convolutions, agent.hidden, agent.activation) == ([[5, 3], [3, 2]], [], "relu")
    assert (agent.optimizer, agent.lr, agent.batch_norm) == ("sgd", 0.01, False)
    assert (digits.env.num_envs, digits.total_steps) == (32, 10 * (1797 - 599))
    housing = rlexp.compose(["experiment=housing"]).config
    agent = housing.agent
    assert (agent.hidden, agent.activation, agent.batch_norm) == ([13], "softplus", True)
    assert (agent.l1, agent.optimizer, agent.lr) == (0.01, "sgd", 0.01)
    assert (housing.env.num_envs, housing.total_steps) == (32, 8 * (506 - 169))
    rosenbrock = rlexp.compose(["experiment=rosenbrock"]).config
    env, agent = rosenbrock.env, rosenbrock.agent
    assert (env.a, env.b, env.start, env.num_envs) == (1, 100, [0, 2], 1)
    assert (agent.lr, agent.momentum, rosenbrock.total_steps) == (0.001, 0, 10_000)


def test_the_sources_numbers_of_the_tables() -> None:
    maze = rlexp.compose(["experiment=maze"]).config
    agent = maze.agent
    assert (agent.lr, agent.sign, agent.stop_change, agent.max_episodes) == (1, "minus", 1e-3, 1000)
    assert (maze.env.num_envs, maze.env.max_steps, agent.lr_decay) == (1, None, None)
    grid = rlexp.compose(["experiment=gridworld_q_learning"]).config
    agent = grid.agent
    assert (agent.hidden, agent.lr, agent.gamma, agent.init) == ([100], 0.01, 0.9, 0)
    assert agent.epsilon.value(10**6, 1000) == 0.1 and grid.total_episodes == 1000
    assert (grid.env.num_envs, grid.env.max_steps, grid.env.random_start) == (1, None, False)


def test_the_sources_numbers_of_the_signaling_game() -> None:
    """Stable-Baselines3's PPO at both seats, 50,000 games of two classes."""
    game = rlexp.compose(["experiment=signaling_ppo"]).config
    env, agent = game.env, game.agent
    assert (env.classes, env.length, env.vocabulary) == (["lion", "rabbit"], 5, 2)
    assert game.total_steps == 50_000 and env.num_envs * agent.rollout_steps == 2048
    assert (agent.hidden, agent.activation, agent.shared) == ([64, 64], "tanh", False)
    assert (agent.batch_size, agent.epochs, agent.clip, agent.lr) == (64, 10, 0.2, 3e-4)
    assert (agent.gamma, agent.gae_lambda, agent.value_coef) == (0.99, 0.95, 0.5)
    assert (agent.adam_eps, agent.clip_norm, agent.entropy_coef) == (1e-5, 0.5, 0)
    assert agent.target_loss == "none" and not game.seats


def test_the_docs_list_every_metric() -> None:
    from rlexp.metrics import NAMES

    root = Path(__file__).parent.parent
    text = (root / "docs/metrics.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `")] == [
        f"| `{name}` | {meaning} |" for name, meaning in NAMES.items()
    ]
