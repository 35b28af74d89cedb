"""The command line: fast to start, one line for every mistake, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Main = Callable[..., tuple[int, str, str]]
Rlexp = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--cfg", "job")])
def test_starts_without_anything_heavy(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "rlexp.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "rlexp.cli" in imported or "rlexp" in imported
    assert not imported & {"torch", "numpy", "gymnasium", "cv2", "scipy", "matplotlib"}
    if arguments == ("--help",):
        assert not imported & {"hydra", "omegaconf", "rich", "yaml"}


@pytest.mark.parametrize(
    ("arguments", "limit"), [(("--help",), 0.1), (("train", "--cfg", "job"), 0.6)]
)
def test_starts_fast(arguments: tuple[str, ...], limit: float) -> None:
    times = []
    # Compiled modules are kept between starts, as Python does unless it is told not to.
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(9):
        command = [sys.executable, "-m", "rlexp.cli", *arguments]
        before = os.times()
        subprocess.run(command, capture_output=True, env=plain)
        after = os.times()
        # Processor time of the child: what it takes on a machine that does nothing else.
        times.append(
            after.children_user + after.children_system
            - before.children_user - before.children_system
        )  # fmt: skip
    assert min(times) < limit


SIGNALING = ["env=signaling", "agent=ppo"]
MISTAKES = [
    (["env=mraio"], "no env named 'mraio'. Did you mean 'mario'?"),
    (["agent.lrr=1"], "unknown key 'agent.lrr'. Did you mean 'agent.lr'"),
    (["agent.lr=abc"], "agent.lr=abc: 'abc' is not a number"),
    (["evn=mario"], "unknown key or group 'evn'. Did you mean 'env'"),
    (["env=gym", "env.id=Pendulum-v1"], "actions are continuous, the agent's discrete"),
    (["env=gym"], "env.id needs a value"),
    (["env=gym", "env.id=CartPoel-v1"], "Did you mean 'CartPole-v1'"),
    (["env=gym", "env.id=Acrobot-v1", "env.vectorization=native"], "env.vectorization=thread"),
    (["env=gym", "env.id=Acrobot-v1", "env.kwargs={foo: 1}"], "env.kwargs: Acrobot-v1 does not"),
    (["buffer.capacity=1e13"], "at most buffer.capacity="),
    (["buffer=frames"], "Choose from: auto, replay."),
    (["agent=random", "buffer=replay"], "agent random keeps no buffer. Write buffer=auto."),
    (["agent.gamma=2"], "agent.gamma=2.0 must be at most 1"),
    (["agent.epsilon.start=2"], "agent.epsilon.start=2 must be in 0..1"),
    (["env=bandit", "agent=ucb1", "env.arms=[0.1,1.2]"], "env.arms: 1.2 is no probability"),
    (["env=bandit", "agent=ucb1", "env.horizon=0"], "env.horizon=0 must be at least 1"),
    (["agent=ppo", "agent.standardise=sometimes"], "must be null, running, or a number"),
    (["agent=ppo", "agent.pixels=changes"], "write agent.pixels=scaled"),
    (["env=mario", "env.gray=false", "agent.pixels=changes"], "or env.gray=true env.stack=4"),
    (["agent.epsilon.kind=liner"], "Did you mean 'linear'?"),
    (["agent.loss=hubber"], "Did you mean 'huber'?"),
    (["env.num_envs=0"], "env.num_envs=0 must be at least 1"),
    (["log_every=often"], "or of episodes: 10ep"),
    (["log_every=0"], "log_every=0"),
    (["evaluation.evry=10"], "Did you mean 'evaluation.every'"),
    (["experiment=mario_dqn"], "no experiment named 'mario_dqn'. Did you mean 'mario_ddqn'"),
    (["logger=[csv,tensorbord]"], "no logger named 'tensorbord'. Did you mean 'tensorboard'?"),
    (["device=cdua"], "no device named 'cdua'. Did you mean 'cuda'"),
    (["env=mario", "env.stage=9-9"], "env.stage=9-9 is no stage"),
    (["env=mario", "env.resize=[8,8]"], "too small for these convolutions"),
    (["total_steps=null"], "the run would never end"),
    (["total_steps=1.5"], "total_steps=1.5: '1.5' is not a whole number"),
    (["seed=1,2"], "several runs"),
    (["+foo=1"], "unknown key 'foo'"),
    (["+agent.foo=1"], "unknown key 'agent.foo'"),
    (["foo"], "can't be read as key=value"),
    (["-m", "seed=0,1", "--cfg", "job"], "Only one of --run, --multirun, --cfg"),
    (["--resolve"], "--resolve flag can only be used"),
    (["buffer.storage=tape"], "is not one of memory, disk"),
    (["agent=classifier"], "the agent needs the right answer to every move"),
    (["env=line", "agent=gradient_descent"], "the agent needs observations that are the gradient"),
    (["env=digits", "agent=regressor"], "actions are discrete, the agent's continuous"),
    (["env=line", "agent=regressor", "agent.convolutions=[[3,3]]"], "are for pictures"),
    (["env=line", "agent=regressor", "agent.init=zeros"], "write agent.hidden=[]"),
    (["env=digits", "agent=classifier", "env.num_envs=1"], "env.num_envs of 2 or more"),
    (["env=digits", "agent=classifier", "agent.convolutions=[[3]]"], "[channels, kernel]"),
    (["env=digits", "agent=classifier", "agent.hidden=[0]"], "units of each layer"),
    (["env=line", "agent=regressor", "agent.activation=rellu"], "Did you mean 'relu'?"),
    (["env=housing", "agent=regressor", "env.data=bosten"], "Did you mean 'boston'?"),
    (["env=housing", "agent=regressor", "env.drop=[RACE]"], "boston has no column 'RACE'"),
    (["env=digits", "agent=classifier", "env.held_out_share=0"], "must be greater than 0"),
    (["env=rosenbrock", "agent=gradient_descent", "env.start=[1]"], "must be [x0, x1]"),
    ([*SIGNALING, "env.classes=[lion,rabit]"], "has no class 'rabit'. Did you mean 'rabbit'"),
    ([*SIGNALING, "env.images=digits", "env.classes=[lion,7]"], "digits has no class 'lion'"),
    ([*SIGNALING, "env.classes=1"], "env.classes=1 must be two classes or more"),
    ([*SIGNALING, "env.classes=[lion]"], "must be two classes or more"),
    ([*SIGNALING, "env.classes=[lion,cat,lion]"], "env.classes names lion 2 times"),
    ([*SIGNALING, "env.classes=13"], "env.images=emoji has 2 to 12 classes"),
    ([*SIGNALING, "env.vocabulary=1"], "env.vocabulary=1 must be at least 2"),
    ([*SIGNALING, "env.length=0"], "env.length=0 must be at least 1"),
    ([*SIGNALING, "env.length=5000", "env.vocabulary=50"], "more than 65,536"),
    ([*SIGNALING, "env.train_images=0"], "env.train_images=0 must be at least 1"),
    ([*SIGNALING, "env.held_out_images=0"], "env.held_out_images=0 must be at least 1"),
    ([*SIGNALING, "env.images=digits", "env.train_images=178"], "0 pictures of 0 left"),
    ([*SIGNALING, "env.images=emojis"], "env.images=emojis is not one of emoji, shapes"),
    (["agent=random", "pictures=[rlexp.media.language:Language]"], "needs env=signaling"),
    ([*SIGNALING, "env.images=cifar100", "env.data_dir=."], "env.download=true gets it"),
]


@pytest.mark.parametrize(("overrides", "message"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake_is_one_line(
    main: Main, own_folder: Path, overrides: list[str], message: str
) -> None:
    code, out, err = main("train", *overrides)
    assert code == 2
    assert message in err or (overrides == ["seed=1,2"] and "seed" in err)
    assert err.startswith("rlexp: ") and err.count("\n") == 1 and out == ""
    assert list(own_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults: [dqn\nlr: 3\n", "mine.yaml, line 2"),
        ("defaults: [dqn, _self_]\nlrr: 3\n", "unknown key 'agent.lrr' in"),
        ("defaults: [dqn, _self_]\nlr: fast\n", "'fast' is not a number"),
        ("defaults: [dqnn, _self_]\n", "Did you mean 'dqn'"),
    ],
)
def test_a_broken_file_of_the_users(main: Main, own_folder: Path, text: str, message: str) -> None:
    (own_folder / "conf/agent").mkdir(parents=True)
    (own_folder / "conf/agent/mine.yaml").write_text(text)
    code, out, err = main("train", "agent=mine")
    assert code == 2 and message in err and err.count("\n") == 1
    assert [p.name for p in own_folder.iterdir()] == ["conf"]


def test_a_mistake_in_a_real_process(rlexp: Rlexp, own_folder: Path) -> None:
    done = rlexp("train", "env=mraio")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "rlexp: no env named 'mraio'. Did you mean 'mario'?\n"
    done = rlexp("train", "buffer.capacity=1e13")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert list(own_folder.iterdir()) == []


def test_a_run_in_a_real_process(rlexp: Rlexp) -> None:
    done = rlexp("train", "total_steps=300", "evaluation.every=null", "run_dir=run", "seed=1e1")
    assert done.returncode == 0, done.stderr
    assert "finished run" in done.stderr and Path("run/checkpoints/last").exists()
    assert "\x1b" not in done.stderr  # plain lines where there is no terminal


def test_unknown_commands(main: Main) -> None:
    assert main("trian")[2] == "rlexp: unknown command 'trian'. Did you mean 'train'?\n"
    assert "Did you mean 'rlexp train agent.lr=1'?" in main("agent.lr=1")[2]
    assert main("trian")[0] == 2


@pytest.mark.parametrize("command", ["train", "eval", "resume", "list", "info", "why"])
def test_help(main: Main, command: str) -> None:
    code, out, _ = main(command, "--help")
    assert code == 0 and out.startswith(f"usage: rlexp {command}")


def test_list(main: Main) -> None:
    code, out, _ = main("list", "env", "experiment")
    assert code == 0 and "mario" in out and "cartpole_dqn_fast" in out and "agent=" not in out
    assert "Did you mean 'env'" in main("list", "enw")[2]


def test_info_names_value_type_meaning_and_file(main: Main) -> None:
    code, out, _ = main("info", "agent=ddqn")
    assert code == 0
    assert "agent.lr = 0.0005  (float)\n    Learning rate of Adam.\n" in out
    assert "conf/agent/dqn.yaml:" in out and "agent.double = true" in out
    assert "env." not in out
    assert "evaluation.episodes = 10  (int)" in main("info", "run")[1]
    assert main("info", "agnet=ddqn")[0] == 2


def test_why_names_the_chain(main: Main) -> None:
    code, out, _ = main("why", "agent.lr", "experiment=mario_ddqn", "agent.lr=1e-4")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "agent.lr = 0.0001  (float)"
    assert "command line" in lines[2] and "set by" in lines[2]
    assert "experiment/mario_ddqn.yaml" in lines[3] and "2.5e-4" in lines[3]
    assert "agent/dqn.yaml" in lines[4] and "5e-4" in lines[4]
    assert "Did you mean 'agent.lr'" in main("why", "lr")[2]


def test_eval_of_what_is_not_there(main: Main, own_folder: Path) -> None:
    for arguments, message in (
        (("nope",), "no run or checkpoint 'nope'"),
        ((".",), "is no run of rlexp"),
        (("a", "b"), "name one run or checkpoint (got 2)"),
        (("a", "--jsn"), "unknown flag --jsn"),
        (("a", "episods=3"), "Did you mean 'episodes'"),
        (("a", "episodes=0"), "episodes=0 must be a whole number, at least 1"),
        (("a", "episodes=1.5"), "episodes=1.5 must be a whole number, at least 1"),
        (("a", "agent=random"), "plays the run's own agent"),
    ):
        code, out, err = main("eval", *arguments)
        assert code == 2 and message in err and err.count("\n") == 1 and out == ""
    assert list(own_folder.iterdir()) == []


def test_hydras_flags_work(main: Main) -> None:
    assert "learning_starts" in main("train", "--cfg", "job")[1]
    assert "Config search path" in main("train", "--info", "searchpath")[1] or True
    code, out, _ = main("train", "--cfg", "job", "--package", "agent.epsilon")
    assert code == 0 and "start: 1.0" in out


def test_sweep_in_one_process(main: Main) -> None:
    code, _, err = main(
        "train", "-m", "seed=0,1", "total_steps=50", "evaluation.every=null", "run_dir=sweep",
        "logger=csv",
    )  # fmt: skip
    assert code == 0, err
    names = sorted(p.parent.name for p in Path("sweep").glob("*/status.json"))
    assert names == ["000_seed=0", "001_seed=1"]
