"""Paths of any name: on the command line, in sweeps, and in the commands that messages print."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import generated
from conftest import FAST
from rlexp.config.argv import is_swept, mend
from rlexp.config.compose import load
from rlexp.config.path_values import verbatim
from rlexp.run_dir import RunDir
from rlexp.shell import command

Main = Callable[..., tuple[int, str, str]]
NAMES = [
    *("it's", "a=b", "a b", "a,b", "[x]", "{y}", "(z)", "~w", "ü é→", 'a"b', "c'd\"e", "$HOME"),
    *("${seed}", "a\\b", "end\\", "\\'", "1e6", "'q'", "a:b", "x#y", "a@b", "-dash", "%20"),
    *("tab\tx", " lead", "a\\${seed}", "true", "5", "new\nline", "000_agent.lr=0.001,seed=0"),
]
WEIRD = "it's a=b, [x] $y ~ü"
BANDIT = [
    *("env=bandit", "agent=epsilon_greedy", "env.num_envs=5", "env.horizon=20"),
    *(*FAST, "total_steps=100"),
]


def as_hydra_reads(override: str) -> object:
    (parsed,) = OverridesParser.create().parse_overrides([override])
    config = OmegaConf.create({"seed": 3, "value": None})
    OmegaConf.update(config, "value", parsed.value())
    return config.value


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_is_named_word_for_word(name: str) -> None:
    Path(name).mkdir()
    for key in ("run_dir", "agent.init_from", "env.data_dir", "hydra.sweep.dir"):
        override = mend(f"{key}={name}")
        assert as_hydra_reads(override) == name and not is_swept(override)
        assert mend(override) == override  # as it is saved, and given again
    members = as_hydra_reads(mend(f"self_play.members=[{name},plain,{name}]"))
    assert list(members) == [name, "plain", name]  # type: ignore[call-overload]
    assert as_hydra_reads(f"run_dir={verbatim(f'{name}/new')}") == f"{name}/new"


def test_a_sweep_over_runs_and_values_that_are_no_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a=b,c", "d,e=f"):
        Path(name).mkdir()
    assert mend("agent.init_from=a=b,c,d,e=f") == "agent.init_from='a=b,c','d,e=f'"
    assert is_swept("agent.init_from='a=b,c','d,e=f'")
    assert mend("agent.init_from=x=1,'y,z'") == "agent.init_from='x=1','y,z'"
    for unchanged in ("run_dir=null", "agent.init_from=null", "run_dir=", "self_play.members=[]",
                      "run_dir='quoted'", "agent.init_from=choice(a,b)"):  # fmt: skip
        assert mend(unchanged) == unchanged
    monkeypatch.setenv("HOME", "/home/me")
    assert as_hydra_reads(mend("run_dir=~/runs/x")) == "/home/me/runs/x"
    assert as_hydra_reads(mend("run_dir=out/${seed}")) == "out/3"


def test_a_sweep_lies_in_a_folder_of_any_name(main: Main) -> None:
    code, _, err = main("train", "-m", *FAST, "total_steps=60", "agent.lr=1e-3,1e-4",
                        f"run_dir={WEIRD}/sw")  # fmt: skip
    assert code == 0 and "2 of 2 runs finished" in err, err
    run = f"{WEIRD}/sw/000_agent.lr=0.001"
    assert RunDir(Path(run)).read_status()["state"] == "finished"
    for words in (("eval", run, "episodes=1", "gif=false"), ("resume", run), ("why", "seed", run),
                  ("runs", run), ("report", run), ("compare", run),
                  ("fork", f"{run}@60", "total_steps=90", f"run_dir={WEIRD}/fork"),
                  ("train", *FAST, "total_steps=60", f"agent.init_from={run}",
                   f"run_dir={WEIRD}/n"),
                  ("export", run, f"{WEIRD}/given"), ("resume", f"{WEIRD}/sw")):  # fmt: skip
        code, _, err = main(*words)
        assert code == 0, (words, err)
    assert load(Path(WEIRD, "n/config.yaml")).agent.init_from == run


def test_home_is_expanded(main: Main, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(own_folder / "me"))
    (own_folder / "conf/experiment").mkdir(parents=True)
    (own_folder / "conf/experiment/mine.yaml").write_text(
        "# @package _global_\n# Mine.\nrun_dir: ~/preset\n"
    )
    assert main("train", *BANDIT, "run_dir=~/x")[0] == 0
    assert main("train", "experiment=mine", *BANDIT)[0] == 0
    assert main("why", "seed", "~/x")[0] == 0
    assert sorted(p.name for p in Path("me").iterdir()) == ["preset", "x"]
    assert not Path("~").exists()


def test_hydras_own_directory_is_refused(main: Main, own_folder: Path) -> None:
    code, _, err = main("train", *BANDIT, "hydra.run.dir=x=1")
    assert code == 2 and err.count("\n") == 1 and "write run_dir=x=1" in err, err
    assert list(own_folder.iterdir()) == []
    assert main("train", *BANDIT, "run_dir=x")[0] == 0  # the next one in this process


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """A printed command, as a user pastes it into a shell."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=120,
        env=os.environ | {"PATH": path},
    )  # fmt: skip


def test_printed_commands_survive_a_shell(main: Main) -> None:
    run = f"{WEIRD}/run"
    words = [*BANDIT, f"run_dir={run}"]
    assert main("train", *words)[0] == 0
    told = main("train", *words)[2]
    resume = told[told.index("rlexp resume") :]
    done = shell(f"{resume.strip()} total_steps=120")
    assert done.returncode == 0 and RunDir(Path(run)).read_status()["steps"] == 120, done.stderr
    told = main("train", *words, "total_steps=120", "agent.epsilon=0.3", "resume=auto")[2]
    done = shell(told[told.index("rlexp resume") :].strip() + " total_steps=140")
    assert done.returncode == 0 and RunDir(Path(run)).read_status()["steps"] == 140, done.stderr
    assert "epsilon: 0.3" in Path(run, "config.yaml").read_text()
    told = main("resume", f"{run}/checkpoints/step_000000140")[2]
    done = shell(told[told.index("rlexp fork") :].strip() + " total_steps=160 run_dir=forked")
    assert done.returncode == 0 and Path("forked/config.yaml").is_file(), done.stderr
    told = main("resume", run, "seed=5")[2]
    begin = told[told.index("rlexp train") :].strip().replace("…", " ".join([*BANDIT, "run_dir=n"]))
    done = shell(begin)
    assert done.returncode == 0, (begin, done.stderr)


def test_words_of_a_printed_command() -> None:
    assert command("rlexp", "eval", Path("-x")) == "rlexp eval ./-x"
    assert command("rlexp", "resume", "it's", "agent.hidden=[64, 64]") == (
        "rlexp resume 'it'\"'\"'s' 'agent.hidden=[64, 64]'"
    )


def test_a_run_whose_name_holds_an_at_sign(main: Main) -> None:
    generated.run(Path("run@home"), 0)
    code, _, err = main("fork", "run@home@50")
    assert code == 2 and "run@home/config.yaml" in err  # of the run, whose config is no whole one
