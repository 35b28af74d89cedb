"""What people write that rlexp can't take: one line that says what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import rlexp
from rlexp import build, going_on, registry
from rlexp.config import aliases, paths, suggest
from rlexp.errors import UserError

Main = Callable[..., tuple[int, str, str]]
LINES = [
    (["logger=null"], "logger=null chooses no logger: write logger=[] for none"),
    (["agent=null"], "agent=null chooses none, and every run has one. Choose from: a2c"),
    (["agent=1"], "no agent named '1'."),
    (["agent=[dqn,ppo]"], "a run has one agent. Several runs: rlexp train -m agent=dqn,ppo"),
    (["agent.hidden=64"], "agent.hidden=64: must be a list: agent.hidden=[64]"),
    (["agent.hidden=[-5]"], "agent.hidden=[-5] must be units of each layer, at least 1"),
    (["agent=ppo", "agent.hidden=[0]"], "agent.hidden=[0] must be units of each layer"),
    (["agent.name=ppo"], "agent.name=ppo does not choose that agent: write agent=ppo"),
    (["logger.csv.name=tensorboard"], "write logger=[…,tensorboard]"),
    (["agent.epsilon=0.1"], "agent.epsilon has keys of its own: agent.epsilon.kind"),
    (["pictures=[os:path]"], "pictures=os:path is not a Picture"),
    (["pictures=[os:getcwd]"], "extends rlexp.media.pictures.Picture"),
    (["-m", "seed=0,1", "pictures=[os:path]"], "pictures=os:path is not a Picture"),
    (["-m", "seed=0,1", "sweep_figure=os:path"], "sweep_figure=os:path is not a figure of a sweep"),
    (["-m", "seed=range(0)"], "seed=range(0) holds no value: there is nothing to run"),
    (["-m", "run_dir=${oc.env:NOPE}"], "environment variable NOPE is not set"),
    (["env.num_envs=1e12"], "env.num_envs=1000000000000 needs at least"),
    (["env=gym", "env.id=Acrobot-v1", "env.num_envs=1e12"], "at most env.num_envs="),
    (["~seed"], "seed needs a value: write seed=…"),
    (["~agent.lr"], "~agent.lr: it can't be taken out: a run needs it"),
    (["~evaluation"], "evaluation.every needs a value"),
    (["seed", "=", "1"], "'seed' can't be read as key=value. Write seed=1, without blanks."),
    (["seed=", "1"], "Write seed=1, without blanks."),
    (["seed", "=1"], "Write seed=1, without blanks."),
    (["cartpole_ppo"], "Did you mean experiment=cartpole_ppo?"),
    (["agent.lr=(1"], "quote such a value, \"agent.lr='(1'\""),
    (["--seed", "1"], "unknown flag --seed: write seed=1"),
    (["--learning-rate=1e-3"], "unknown flag --learning-rate: write agent.lr=1e-3"),
    (["--multirunn"], "unknown flag --multirunn. Did you mean --multirun?"),
    (["--nonsense"], "unknown flag --nonsense: keys are written key=value"),
    (["--cfg", "jbo"], "--cfg/-c: invalid choice: 'jbo'"),
    (["--cfg", "job", "--package", "nope"], "package 'nope' not found"),
    (["--config-name", "nope"], "--config-name=nope: no such file in"),
    (["--config-path", "nope"], "--config-path: there is no folder nope"),
    (["--experimental-rerun", "x"], "unknown flag --experimental-rerun"),
    (["hydra.searchpath=[file:///nope]"], "hydra.searchpath: there is no folder /nope"),
    (["+experiment=x"], "no experiment named 'x'"),
    (["seed=0,1"], "asks for several runs: rlexp train -m seed=0,1"),
    (["agent=dqn,ppo"], "asks for several runs: rlexp train -m agent=dqn,ppo\n"),
    (["evaluation.every=${nope}"], "evaluation.every: there is no key 'nope'"),
    (["agent.lr=${agent.lr}"], "agent.lr: it refers to itself"),
    (["run_dir=${foo:1}"], "run_dir: there is no ${foo:…}"),
    (["agent.loss='a\nb'"], "agent.loss=a\\nb is not one of"),
    # What other libraries call it
    (["agent.learning_rate=1e-3"], "Did you mean 'agent.lr'?"),
    (["agent.learningRate=1e-3"], "Did you mean 'agent.lr'?"),
    (["+agent.learning_rate=1e-3"], "Did you mean 'agent.lr'?"),
    (["lr=1e-3"], "unknown key or group 'lr'. Did you mean 'agent.lr'?"),
    (["gamma=0.9"], "Did you mean 'agent.gamma'?"),
    (["total_timesteps=1000"], "Did you mean 'total_steps'?"),
    (["agent.buffer_size=1000"], "Did you mean 'buffer.capacity'?"),
    (["agent.num_envs=8"], "Did you mean 'env.num_envs'?"),
    (["agent.exploration_final_eps=0.1"], "Did you mean 'agent.epsilon.end'?"),
    (["agent=ppo", "agent.clip_range=0.1"], "Did you mean 'agent.clip'?"),
    (["agent=ppo", "agent.n_steps=10"], "Did you mean 'agent.rollout_steps'?"),
    (["agent=sac", "agent.ent_coef=1"], "Did you mean 'agent.temperature'?"),
    (["env=signaling", "agent=ppo", "seats.sender.learning_rate=1"], "'seats.sender.lr'"),
    (["agent.epochs=3"], "It is a key of agent=ppo."),
    (["agent=ppo", "agent.epsilon.start=1"], "unknown key 'agent.epsilon'. It is a key of"),
    (["device=gpu"], "no device named 'gpu'. Did you mean 'cuda'?"),
    (["agent=DreamerV3"], "Did you mean 'dreamer'?"),
    (["env=LunarLander-v3"], "Did you mean env=gym env.id=LunarLander-v3?"),
    (["env=lunarlander-v3"], "Did you mean env=gym env.id=LunarLander-v3?"),
    (["env=CartPole-v7"], "Did you mean env=gym env.id=CartPole-v1?"),
    (["env=LunarLander"], "Did you mean env=gym env.id=LunarLander-v3?"),
    (["experiment=cartpole_ppo", "agent=dqn"], "experiment=cartpole_ppo is for agent=ppo: "),
    (["experiment=signaling_ppo", "env=cartpole"], "is for env=signaling: env=cartpole has no key"),
]


@pytest.mark.parametrize(("line", "message"), LINES, ids=lambda v: str(v)[:40])
def test_one_line_says_what_to_write(
    main: Main, own_folder: Path, line: list[str], message: str
) -> None:
    code, out, err = main("train", *line)
    assert code == 2 and message in err, err
    assert err.startswith("rlexp: ") and err.count("\n") == 1 and out == ""
    assert list(own_folder.iterdir()) == []


PRESETS = [
    ("agent:\n  lr: 1e-3\n", "is a preset: its first line must be `# @package _global_`"),
    ("# @package\nseed: 1\n", "broken header"),
    ("# @package _global_\nenv: cartpole\n", "write `- override /env: cartpole` under defaults"),
    ("# @package _global_\nlogger: [csv]\n", "write `- override /logger: [csv]` under defaults"),
    ("# @package _global_\nagent: null\n", "write `- override /agent: NAME` under defaults"),
    ("# @package _global_\nevaluation: 3\n", "`evaluation: 3`: evaluation has keys of its own"),
    ("# @package _global_\ndefaults:\n  - env: maze\n", "write `- override /env: maze`"),
    ("# @package _global_\ndefaults:\n  - /env: maze\n", "write `- override /env: maze`"),
    ("# @package _global_\ndefaults: 3\n", "defaults must be a list"),
    ("# @package _global_\ndefaults: [3]\n", "3 in defaults must be a name"),
    ("# @package _global_\ndefaults: [p]\n", "lead back to themselves: experiment/p → experiment"),
    ("hello\n", "p.yaml must hold keys, one `key: value` a line, and holds 'hello'"),
    ("- a\n", "and holds a list"),
    ("# @package _global_\nagent: &a\n  lr: *a\n", "line 3, column 7: the anchor 'a' holds itself"),
    ("# @package _global_\nseed: ${nope}\n", "seed: there is no key 'nope'"),
    ("# @package _global_\nseed: ${se\n", "seed: can't be read as an interpolation"),
    ("# @package _global_\nagent:\n  learning_rate: 1\n", "Did you mean 'agent.lr'?"),
    ("# @package _global_\nagent:\n  gamma: .nan\n", "agent.gamma=nan must be a finite number"),
]


@pytest.mark.parametrize(("text", "message"), PRESETS, ids=lambda v: v[-40:])
def test_a_broken_preset(main: Main, own_folder: Path, text: str, message: str) -> None:
    _refused(main, own_folder, text.encode(), message)


def test_bytes_that_are_no_utf8(main: Main, own_folder: Path) -> None:
    text = "# @package _global_\n# für Läufe\nseed: 1\n"
    _refused(main, own_folder, text.encode("latin-1"), "line 2: byte 0xfc is not UTF-8")
    _refused(main, own_folder, text.encode("utf-16"), "line 1: byte 0xff is not UTF-8")


def _refused(main: Main, folder: Path, content: bytes, message: str) -> None:
    file = folder / "conf/experiment/p.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    code, out, err = main("train", "experiment=p")
    assert code == 2 and message in err, err
    assert err.count("\n") == 1 and out == ""
    assert [path.name for path in folder.iterdir()] == ["conf"]


def test_components_of_ones_own(main: Main, own_folder: Path) -> None:
    folder = own_folder / "conf/agent"
    folder.mkdir(parents=True)
    for text, message in (
        ("lr: 1e-3\n", "mine.yaml begins from no agent: write `defaults: [NAME, _self_]`"),
        ("defaults: [mine, _self_]\n", "lead back to themselves: agent/mine → agent/mine"),
        ("defaults: [two, _self_]\n", "agent/mine → agent/two → agent/mine"),
    ):
        (folder / "mine.yaml").write_text(text)
        (folder / "two.yaml").write_text("defaults: [mine, _self_]\n")
        code, _, err = main("train", "agent=mine")
        assert code == 2 and message in err and err.count("\n") == 1, err


def test_what_is_right_though_it_looks_odd(main: Main, own_folder: Path) -> None:
    """A byte-order mark, 2e2 in YAML, +experiment=, experiment=null, and flags anywhere."""
    file = own_folder / "conf/experiment/p.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("\ufeff# @package _global_\ntotal_steps: 2e2\nagent:\n  hidden: [1e2]\n")
    for choice in ("experiment=p", "+experiment=p"):
        config = rlexp.compose([choice]).config
        assert config.total_steps == 200 and config.agent.hidden == [100]  # type: ignore[attr-defined]
    assert rlexp.compose(["experiment=null", "agent.hidden=[1e2,64]"]).config.agent.hidden == [  # type: ignore[attr-defined]
        100,
        64,
    ]
    for line in (["seed=3", "--cfg", "job", "total_steps=7"], ["--cfg=job", "seed=3"]):
        code, out, err = main("train", *line)
        assert code == 0 and "seed: 3" in out and err == ""


def test_flags_after_overrides_make_a_sweep(main: Main) -> None:
    code, _, err = main("train", "total_steps=60", "-m", "seed=0,1", "evaluation.every=null",
                        "logger=csv", "run_dir=sweep", "sweep_figure=null")  # fmt: skip
    assert code == 0 and "2 of 2 runs finished" in err, err
    assert sorted(path.name for path in Path("sweep").glob("0*")) == ["000_seed=0", "001_seed=1"]


def test_a_failed_run_of_a_sweep_says_so_in_our_words(main: Main) -> None:
    code, _, err = main("train", "-m", "seed=0,1", "buffer.capacity=1e13", "run_dir=sweep")
    assert code != 0 and "Error executing job" not in err and "at most buffer.capacity=" in err


@pytest.mark.parametrize("command", [["info", "agent=dqn"], ["why", "agent.lr"], ["verify"]])
def test_other_commands_take_overrides_alike(main: Main, command: list[str]) -> None:
    code, out, err = main(*command, "agent.learning_rate=1")
    assert code == 2 and "Did you mean 'agent.lr'?" in err and err.count("\n") == 1 and out == ""
    code, out, err = main(*command, "agent.gamma=nan")
    assert code == 2 and "must be a finite number" in err and err.count("\n") == 1


def test_list_tells_a_broken_file(main: Main, own_folder: Path) -> None:
    file = own_folder / "conf/experiment/p.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("a: [1\n")
    code, _, err = main("list", "experiment")
    assert code == 2 and "broken YAML" in err and "p.yaml, line 2" in err and err.count("\n") == 1


def test_every_alias_is_of_a_key_that_exists() -> None:
    known = {"agent.lr"}
    for kind in registry.KINDS:
        for name in registry.names(kind):
            schema = registry.lookup(kind, name).schema
            known |= {f"{kind}.{f}" for f in schema.__dataclass_fields__}
    known |= {f"agent.epsilon.{f}" for f in ("start", "end", "length", "decay")}
    known |= set(suggest.default_keys())
    for name, targets in aliases.KEYS.items():
        assert suggest.keys(f"agent.{name}", known, near=False), name
        for target in targets:
            assert any(key == target or key.endswith(f".{target}") for key in known), target
    for group, names in aliases.COMPONENTS.items():
        assert set(names.values()) <= set(paths.options(group)), group


@pytest.mark.parametrize(
    "task", ["env=gym env.id=Pendulum-v1", "env=cartpole", "env=line", "env=rosenbrock",
             "env=signaling", "env=gridworld", "env=digits", "env=bandit"],
)  # fmt: skip
def test_agents_that_are_suggested_are_accepted(task: str) -> None:
    """By every check, and they are built: not by their kind of action alone."""
    words = task.split()
    refused = ["dqn", "sac", "ucb1", "regressor", "gumbel"]
    suggested: set[str] = set()
    for agent in refused:
        try:
            _build([*words, f"agent={agent}"])
        except UserError as ex:
            if "Agents for it: " in str(ex):
                told = str(ex).partition("Agents for it: ")[2].rstrip(".")
                suggested |= set(told.split(", "))
    assert suggested
    for agent in suggested:
        _build([*words, f"agent={agent}"])


def _build(overrides: list[str]) -> None:
    config = rlexp.compose([*overrides, "device=cpu", "buffer.capacity=100_000"]).config
    if config.env.num_envs == 1:
        config.env.num_envs = 4
    env = build.env(config.env)
    try:
        build.team(config, build.plan(config, env.spec))
    finally:
        env.close()


def test_a_fork_suggests_what_it_accepts(own_folder: Path) -> None:
    rlexp.train(["total_steps=80", "checkpoint.every=20", "checkpoint.keep=2", "logger=csv",
                 "checkpoint.archive_every=10", "evaluation.every=null",
                 "run_dir=run"])  # fmt: skip
    with pytest.raises(UserError, match="no full checkpoint at step 75. The nearest is 60"):
        going_on.fork("run@75")  # 80, the last, would leave nothing to train
    with pytest.raises(UserError, match=r"step_000000030 contains only weights, .*Full .*at 60"):
        going_on.fork("run@30")
    with pytest.raises(UserError, match="Did you mean 'last'"):
        going_on.fork("run@lst")
    assert not list(own_folder.glob("outputs"))
    assert going_on.fork("run@60", ["run_dir=fork"]).run.path == Path("fork")
    with pytest.raises(UserError, match="The nearest is 80"):
        going_on.fork("run@79", ["total_steps=200"])
