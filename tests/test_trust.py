"""A run's folder that a stranger made: nothing it names is called, imported, followed or obeyed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from conftest import FAST
from rlexp import isolation, safe_files, trust
from rlexp.config.compose import compose, load, saved
from rlexp.errors import UserError
from rlexp.printable import printable

Main = Callable[..., tuple[int, str, str]]
# As the installed `rlexp` does, which does not put the working directory first; and as `-m` does.
SCRIPT = [sys.executable, "-P", "-m", "rlexp.cli"]
MODULE = [sys.executable, "-m", "rlexp.cli"]
TIMEIT = {"name": "timeit:timeit", "setup": "open('marker', 'w').close()", "number": 1}
ATTACK = "import pathlib, os\npathlib.Path(os.environ['MARKER']).write_text(__name__)\n"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "rlexp" / "trusted"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small run that nobody has to agree to."""
    from rlexp import cli

    run = tmp_path_factory.mktemp("trained") / "run"
    arguments = [*FAST, "total_steps=60", "env.vectorization=thread", f"run_dir={run}"]
    assert cli.main(["train", *arguments]) == 0
    yield run


@pytest.fixture
def run(trained: Path) -> Path:
    return Path(shutil.copytree(trained, "run", symlinks=True))


def edit(run: Path, **changes: Any) -> None:
    """Change keys of a saved config: `env__wrappers=[…]`."""
    file = run / "config.yaml"
    config = yaml.safe_load(file.read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = value
    file.write_text(yaml.safe_dump(config))


@pytest.fixture
def evil(run: Path) -> Path:
    """Everything at once that a folder could run by: names, modules, settings of other programs."""
    edit(
        run,
        env__wrappers=["builtins:type", TIMEIT],
        pictures=["evil_module:Picture"],
        sweep_figure="evil_module:figure",
    )
    overrides = ["env.vectorization=thread", "env.wrappers=[evil_module:Wrapper]",
                 "+hydra.callbacks.evil._target_=evil_module.Call"]  # fmt: skip
    (run / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    for name in ("evil_module", "rlexp_plugins", "yaml", "torch", "numpy", "multiprocessing",
                 "tensorboard", "sitecustomize"):  # fmt: skip
        (run / f"{name}.py").write_text(ATTACK)
    package = run / "hydra_plugins" / "evil"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(ATTACK)
    about = run / "evil-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[rlexp.plugins]\nevil = evil_module\n")
    group = run / "conf" / "env"
    group.mkdir(parents=True)
    (group / "cartpole.yaml").write_text(
        "# @package _global_\nhydra: {callbacks: {evil: {_target_: evil_module.Call}}}\n"
    )
    subprocess.run(["git", "init", "-q", "."], cwd=run, check=True)
    (run / ".git" / "config").write_text(
        "[core]\nrepositoryformatversion = 0\nfsmonitor = touch $MARKER; false\n"
        "[diff]\nexternal = touch $MARKER; false\n"
    )
    return run


def call(command: list[str], cwd: Path, marker: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=os.environ | {"MARKER": str(marker)}, capture_output=True, text=True,
        timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip


PLAYING = ("eval .", "resume . total_steps=90", "fork . total_steps=90", "verify . steps=60",
           "ladder .", "dream .", "lexicon .")  # fmt: skip
READING = ("export . ../given", "compare . png=null", "report . out=../r.html", "runs ..",
           "watch . once=true", "info agent=dqn")  # fmt: skip


@pytest.mark.parametrize("command", [*PLAYING, *READING])
@pytest.mark.parametrize("start", [SCRIPT, MODULE], ids=["script", "module"])
def test_nothing_in_a_folder_runs(evil: Path, command: str, start: list[str]) -> None:
    if start is MODULE and command not in ("eval .", "fork . total_steps=90", "runs .."):
        pytest.skip("the same way in")
    marker = Path("marker.txt").absolute()
    done = call([*start, *command.split()], evil, marker)
    assert not marker.exists(), done.stderr
    assert not list(Path().rglob("marker")), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    if command in PLAYING:
        assert done.returncode == 2
        asked = [line for line in done.stderr.splitlines() if "trust=true" in line]
        assert len(asked) == 1 and ("timeit:timeit" in asked[0] or "evil_module" in asked[0])
    else:
        assert done.returncode == 0, done.stderr


def test_playing_and_loading_ask_too(evil: Path, main: Main) -> None:
    from rlexp import api

    with pytest.raises(UserError, match="timeit:timeit.*trust=true"):
        api.load(evil)
    code = (
        "import sys; sys.stdin.isatty = lambda: True\n"
        "from rlexp import cli; sys.exit(cli.main(['play', 'run']))"
    )
    done = call([sys.executable, "-c", code], Path(), Path("marker.txt").absolute())
    assert done.returncode == 2 and "trust=true" in done.stderr
    assert not list(Path().rglob("marker*"))


def test_trust_lets_it_and_is_remembered(run: Path, main: Main, own_state: Path) -> None:
    Path("mine.py").write_text(
        "import gymnasium, pathlib\n"
        "class Mine(gymnasium.Wrapper):\n"
        "    def __init__(self, env):\n"
        "        pathlib.Path('used').touch()\n"
        "        super().__init__(env)\n"
    )
    sys.path.insert(0, os.getcwd())
    try:
        edit(run, env__wrappers=["mine:Mine"])
        quick = ("episodes=1", "gif=false")
        assert main("eval", "run", *quick)[0] == 2 and not Path("used").exists()
        # What is named on the command line is the user's own; nothing is left to ask for.
        assert main("eval", "run", *quick, "env.wrappers=[]")[0] == 0
        code, _, err = main("eval", "run", *quick, "trust=true")
        assert code == 0 and Path("used").exists(), err
        (record,) = own_state.iterdir()
        assert json.loads(record.read_text())["value"] == "mine:Mine"
        shutil.move("run", "moved")
        assert main("eval", "moved", *quick)[0] == 0
        # The same name with other arguments is another call.
        edit(Path("moved"), env__wrappers=[{"name": "mine:Mine", "path": "x"}])
        assert main("eval", "moved", *quick)[0] == 2
    finally:
        sys.path.remove(os.getcwd())
        sys.modules.pop("mine", None)


def test_what_the_user_starts_goes_on_without_asking(own_folder: Path) -> None:
    Path("rlexp_plugins.py").write_text(
        "import gymnasium\nfrom rlexp.media.pictures import Picture\n"
        "class Mine(gymnasium.Wrapper): pass\nclass Drawn(Picture): pass\n"
    )
    own = ["env.vectorization=thread", "env.wrappers=[rlexp_plugins:Mine]",
           "pictures=[rlexp_plugins:Drawn]"]  # fmt: skip
    marker = Path("marker").absolute()
    commands = [
        ["train", *FAST, *own, "total_steps=60", "run_dir=run"],
        ["resume", "run", "total_steps=90"],
        ["fork", "run", "total_steps=120", "run_dir=forked"],
        ["train", *FAST, *own, "total_steps=150", "run_dir=run", "resume=auto"],
    ]
    code = f"from rlexp.cli import main\nfor c in {commands!r}: assert main(c) == 0, c"
    done = call([sys.executable, "-P", "-c", code], own_folder, marker)
    assert done.returncode == 0 and "trust" not in done.stderr, done.stderr
    # The sweep's run never began; what it names was remembered when the sweep was started.
    sweep = ["train", "-m", *FAST, *own, "total_steps=30", "seed=0", "run_dir=sweep"]
    shutil.rmtree(Path(os.environ["XDG_STATE_HOME"]))
    for arguments in (sweep, ["resume", "sweep"]):
        done = call([*SCRIPT, *arguments], own_folder, marker)
        assert done.returncode == 0 and "1 of 1 runs finished" in done.stderr, done.stderr
        shutil.rmtree(next(Path("sweep").glob("000*")))


def test_without_a_state_directory_only_agreement_is_lost(
    run: Path, main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("state").write_text("a file where the folder would be")
    item = trust.named("pictures", "mine:Picture")
    trust.remember([item])
    assert "can't remember pictures=mine:Picture" in capsys.readouterr().err
    assert not trust.agreed(item)
    trust.require([item], "run", True)  # trust=true goes on all the same
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(Path("home").absolute()))
    assert trust.folder() == Path("home/.local/state/rlexp/trusted").absolute()


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["env.wrappers=[TimeLimit]"], []),
        (["env.wrappers=['gymnasium.wrappers:ClipReward']"], []),
        (["env.wrappers=[{name: RecordVideo, video_folder: /tmp/x}]"], ["env.wrappers"]),
        (["env.wrappers=[{name: ArrayConversion, env_xp: os}]"], ["env.wrappers"]),
        (["env.wrappers=['gymnasium.wrappers.utils:np']"], ["env.wrappers"]),
        (["env.wrappers=[{name: DtypeObservation, dtype: 'a:b'}]"],
         ["env.wrappers.DtypeObservation.dtype"]),
        (["env.id='os:CartPole-v1'"], ["env.id"]),
        (["env.kwargs.xml_file=/etc/passwd"], ["env.kwargs.xml_file"]),
        (["env.kwargs.deep={a: ['~/x']}"], ["env.kwargs.deep.a"]),
        (["env.kwargs.sutton_barto_reward=true"], []),
        (["pictures=[rlexp.media.catcher:Frames]"], []),
        (["pictures=['os:abort']"], ["pictures"]),
        (["sweep_figure='os:abort'"], ["sweep_figure"]),
        (["logger=mlflow", "logger.mlflow.tracking_uri=http://there"],
         ["logger.mlflow.tracking_uri"]),
        (["logger=wandb"], []),
        (["logger=wandb", "logger.wandb.mode=online"], ["logger.wandb"]),
        (["env=signaling", "agent=ppo", "env.download=true"], ["env.download"]),
    ],
)  # fmt: skip
def test_what_a_config_names(overrides: list[str], named: list[str]) -> None:
    if any("there" in o for o in overrides):
        pytest.importorskip("rlexp.loggers.mlflow")
    assert [each.key for each in trust.training(compose(overrides).config)] == named


@pytest.mark.parametrize(
    ("argument", "asks"),
    [
        ("seed=0", False),
        ("agent.lr=tag(log, interval(1e-5, 1e-2))", False),
        ("seed=0,1,2", False),
        ("hydra/sweeper=optuna", False),
        ("hydra.sweeper.n_trials=3", False),
        ("hydra/launcher=joblib", True),
        ("hydra.sweeper.params={hydra.callbacks.x._target_: os.abort}", True),
        ("+hydra.callbacks.x._target_=os.abort", True),
        ("++hydra.callbacks={x: {_target_: os.abort}}", True),
        ("hydra.searchpath=[file:///tmp]", True),
        ("--config-dir=/tmp", True),
        ("env@hydra.callbacks.x=cartpole", True),
        ("run_dir=${oc.env:HOME}", True),
        ("pictures=choice([], ['os:abort'])", True),
        ("env.wrappers=[],['os:abort']", True),
    ],
)
def test_a_saved_command_line(argument: str, asks: bool) -> None:
    assert bool(trust.command_line([argument])) is asks


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pictures", ["rlexp.run_dir:os"], "is not a Picture"),
        ("pictures", ["rlexp.run_dir:find"], "is not a Picture"),
        ("env__wrappers", ["rlexp.run_dir:RunDir"], "is not a wrapper"),
        ("env__wrappers", ["gymnasium.wrappers:vector"], "is not a wrapper|neither rlexp's"),
        ("env__wrappers", ["vector"], "no 'vector' in Gymnasium|neither rlexp's"),
        ("sweep_figure", "rlexp.run_dir:find", None),
    ],
)
def test_other_things_in_rlexp_are_not_within_reach(
    run: Path, main: Main, key: str, value: Any, message: str | None
) -> None:
    from rlexp.sweep import finish

    edit(run, **{key: value})
    if message is None:
        with pytest.raises(UserError, match="is not a figure"):
            finish.load_figure(value)
        return
    code, _, err = main("resume", "run", "total_steps=90")
    import re

    assert code == 2 and re.search(message, err), err


def test_every_shipped_figure_and_picture_may_be_named() -> None:
    from rlexp.config.paths import conf_dir
    from rlexp.media.pictures import picture_class
    from rlexp.sweep.finish import load_figure

    for file in conf_dir().rglob("*.yaml"):
        config = yaml.safe_load(file.read_text()) or {}
        for name in config.get("pictures") or []:
            picture_class(name)
        if config.get("sweep_figure"):
            load_figure(config["sweep_figure"])


def test_sweeps_and_searches_of_strangers(main: Main) -> None:
    marker = Path("marker").absolute()
    target = f"+hydra.callbacks.x={{_target_: pathlib.Path.touch, self: '{marker}'}}"
    sweep = Path("sweep")
    sweep.mkdir()
    jobs = [{"number": 0, "overrides": [*FAST, "total_steps=30", target], "name": "000"}]
    (sweep / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    code, _, err = main("resume", "sweep")
    assert code == 2 and "trust=true" in err and not (sweep / "000").exists()
    jobs[0] |= {"overrides": [*FAST, "total_steps=30"], "name": "../out"}
    (sweep / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    code, _, err = main("resume", "sweep")
    assert code == 2 and "no job of a sweep" in err and not Path("out").exists()
    assert not marker.exists()


def test_nothing_in_a_saved_config_is_resolved(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "gold")
    texts = ["${oc.env:SECRET}", r"\${oc.env:SECRET}", r"a\\${oc.env:SECRET}${seed}", "${", "${x",
             "$x ${oc.decode:1} }", r"\\\${seed}\\"]  # fmt: skip
    edit(run, run_dir=texts[0], env__kwargs={f"k{i}": text for i, text in enumerate(texts)})
    assert load(run / "config.yaml").run_dir == texts[0]
    assert list(load(run / "config.yaml").env.kwargs.values()) == texts  # type: ignore[attr-defined]
    assert "gold" not in OmegaConf.to_yaml(saved(run / "config.yaml"))


LINKED = (".lock", "run.log", "status.json", "config.yaml", "metrics.csv", "history.json",
          ".status.json.writing", "media", "eval", "tb", "buffer", "checkpoints/last")  # fmt: skip


@pytest.mark.parametrize("name", LINKED)
def test_no_link_is_followed_out_of_a_run(run: Path, main: Main, name: str) -> None:
    outside = Path("outside")
    outside.mkdir()
    victim = outside / "victim"
    victim.write_text("gold")
    before = run / name
    folder = name in ("media", "eval", "tb", "buffer", "checkpoints/last")
    if name in ("config.yaml", "status.json"):
        victim.write_text(before.read_text())
    kept = victim.read_text()
    if before.is_dir() and not before.is_symlink():
        shutil.rmtree(before)
    else:
        before.unlink(missing_ok=True)
    before.symlink_to((outside if folder else victim).absolute())
    for command in (("resume", "run", "total_steps=90"), ("eval", "run", "episodes=1"),
                    ("fork", "run", "total_steps=90"), ("export", "run", "given")):  # fmt: skip
        code, _, err = main(*command)
        assert code == 2 and "links out of" in err, (command, err)
    for command in (("runs", "run"), ("watch", "run", "once=true"), ("report", "run")):
        assert "Traceback" not in main(*command)[2]
    assert victim.read_text() == kept and [p.name for p in outside.iterdir()] == ["victim"]


def test_reading_commands_read_no_link_either(run: Path, main: Main) -> None:
    secret = Path("secret").absolute()
    secret.write_text('{"state": "finished", "error": "gold"}\nstep,gold\n1,2\n')
    for name in ("status.json", "system.json", "metrics.csv"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(secret)
    (run / "report.html").symlink_to(secret)
    before = secret.read_text()
    for command in (("runs", "."), ("watch", "run", "once=true"), ("report", "run"),
                    ("compare", "run")):  # fmt: skip
        code, out, err = main(*command)
        assert code == 0 and "gold" not in out + err, (command, err)
    assert secret.read_text() == before
    assert "gold" not in (run / "report.html").read_text()


def test_names_are_names(run: Path, main: Main) -> None:
    system = json.loads((run / "system.json").read_text()) | {"project": "../../elsewhere"}
    (run / "system.json").write_text(json.dumps(system))
    assert main("fork", "run", "total_steps=60", "total_episodes=null")[0] == 2
    code, _, err = main("fork", "run", "total_steps=90")
    assert code == 0 and list(Path("outputs/elsewhere").iterdir()), err
    (folder,) = (run / "checkpoints").glob("step_*60")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../../config.yaml"] = {"bytes": 1, "sha256": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "is damaged" in main("eval", "run")[2]
    for text in ("", ".", "..", "a/b", "a\\b", "a\0", 3, None):
        assert not safe_files.is_name(text)
    for text in ("../a", "/a", "a//b", "a/../b", "a/", "C:\\a"):
        assert not safe_files.is_relative(text)
    assert safe_files.is_relative("segments/a/000_1.safetensors.z")


def test_only_regular_files_of_a_size_are_opened(run: Path, main: Main) -> None:
    os.mkfifo(run / "pipe")
    with pytest.raises(safe_files.Refused, match="no regular file"):
        safe_files.read_bytes(run / "pipe", run)
    with pytest.raises(safe_files.Refused, match="more than 3"):
        safe_files.read_text(run / "config.yaml", run, limit=3)
    code, _, err = main("resume", "run", "total_steps=90")
    assert code == 2 and "pipe" in err


ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


def test_no_escape_reaches_the_terminal(run: Path, main: Main) -> None:
    edit(run, device__name=f"cpu{ESCAPE}", evaluation__every=f"1{ESCAPE}")
    status = json.loads((run / "status.json").read_text())
    status |= {"state": "failed", "error": f"gone {ESCAPE}", "metric": f"train/{ESCAPE}"}
    (run / "status.json").write_text(json.dumps(status))
    csv = (run / "metrics.csv").read_text()
    (run / "metrics.csv").write_text(csv.replace("train/return", f"train/return{ESCAPE}"))
    odd = Path(f"odd{ESCAPE}[red]")
    shutil.copytree(run, odd, symlinks=True)
    for command in (("runs", ".", "show=device.name"), ("compare", "run", str(odd), "png=null"),
                    ("watch", "run", "once=true"), ("watch", ".", "once=true"),
                    ("eval", str(odd)), ("resume", str(odd)), ("resume", "run"),
                    ("why", "seed", str(odd)), ("export", str(odd), "given")):  # fmt: skip
        _, out, err = main(*command)
        for bad in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e"):
            assert bad not in out + err, (command, out, err)
    assert printable("a\tb\nc\x1b\x85") == "a\tb\nc\\x1b\\x85"


def test_an_export_of_nan_or_of_another_agent_is_told(run: Path, main: Main) -> None:
    from rlexp import checkpoint

    assert main("export", "run", "good")[0] == 0
    edit(run, agent__hidden=[7])
    code, _, err = main("export", "run", "given")
    assert code == 2 and "does not fit this environment and agent" in err
    assert not Path("given").exists()
    (folder,) = (run / "checkpoints").glob("step_*60")
    state, about = checkpoint.load(folder, True), checkpoint.manifest(folder)

    def poison(tree: dict[str, Any]) -> None:
        for value in tree.values():
            if isinstance(value, dict):
                poison(value)
            elif getattr(value, "is_floating_point", bool)() and value.numel():
                value.view(-1)[0] = float("nan")

    poison(state["team"])
    checkpoint.save(folder, state, about.step, about.episodes, weights_only=True)
    code, _, err = main("export", "run", "given")
    assert code == 2 and "NaN or infinity" in err and not Path("given").exists()


def test_where_a_working_directory_counts_as_a_run(run: Path, own_folder: Path) -> None:
    assert isolation.run_around(run / "checkpoints" / "last") == str(run.absolute())
    assert isolation.run_around(own_folder) is None
    before = list(sys.path)
    isolation.isolate()
    assert sys.path == before  # outside nothing changes
