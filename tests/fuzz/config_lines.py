"""Malformed command lines and YAML files, made at random and again from their seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from rlexp.cli import COMMANDS
from rlexp.config import paths
from rlexp.config.aliases import COMPONENTS, KEYS

SHORT = ["evaluation.every=null", "logger=[csv]", "device.threads=1", "total_steps=60"]
# Environments that are built in no time; agents of every family.
ENVS = ["cartpole", "catcher", "gridworld", "maze", "bandit", "line", "rosenbrock",
        "gym env.id=Acrobot-v1", "gym env.id=Pendulum-v1"]  # fmt: skip
AGENTS = ["dqn", "ppo", "a2c", "reinforce", "sac", "q_learning", "ucb1", "regressor", "classifier",
          "gradient_descent", "tabular_policy_gradient", "dreamer", "random"]  # fmt: skip
PRESETS = ["cartpole_dqn", "cartpole_ppo", "cartpole_a2c_fast", "cartpole_reinforce", 
           "catcher_ppo", "gridworld_sarsa", "maze_fast", "line", "rosenbrock", "bandit",
           "pendulum_sac"]  # fmt: skip
VALUES = [
    *(
        "nan",
        "inf",
        "-inf",
        ".nan",
        "1e400",
        "-1",
        "0",
        "1e30",
        "1e18",
        "1.5",
        "64",
        "1e-3",
        "0x10",
    ),
    *("abc", "null", "true", "yes", "''", "' '", "", "~", "é", "a b", "%s", "-", ":", "@", "10ep"),
    *(
        "[]",
        "[1,2]",
        "[-5]",
        "[0]",
        "[nan]",
        "[abc]",
        "[[1]]",
        "[1e18]",
        "[1,[2]]",
        "[null]",
        "[,]",
    ),
    *("{}", "{a: 1}", "{a: nan}", "{1: 2}", "{", "]", "(", ")", "'", '"', "\\", "a\nb", "[a", "}{"),
    *("${nope}", "${oc.env:NOPE}", "${seed", "${agent.lr}", "${nope:1}", "${}", "${..x}", "$(x)"),
    *("0,1", "a,b", "range(0)", "range(3)", "choice()", "choice(1)", "glob(*)", "int(x)", "range("),
    *("os:path", "os.path", "nope:x", ":", "x=y", "[os:path]", "[1]", "../x", "/", "*"),
]
FLAGS = [
    *(
        "--seed",
        "--seed=1",
        "-x",
        "--multirunn",
        "-m",
        "--cfg",
        "--cfg=foo",
        "--cfg=job",
        "-c",
        "--",
    ),
    *("--package=x", "--info=x", "--config-dir=nope", "--config-name=nope", "--config-path=nope"),
    *("--resolve", "-", "---", "--run", "-mm", "--learning-rate", "--env", "--no-cuda", "-1"),
    *("--experimental-rerun=x", "--hydra-hlp", "-r", "--multirun=1", "--é", "-sc=x"),
]
BODIES = [
    *("", "hello\n", "42\n", "- a\n", "[]\n", "null\n", "true\n", "a: [1\n", "\tseed: 1\n"),
    *("seed: 1\nseed: 2\n", "1: 2\n", "? [a]\n: 3\n", "seed: !!python/object:os.system x\n"),
    *("seed: &a [*a]\n", "agent: &a\n  x: *a\n", "a: *b\n", "agent: null\n", "env: cartpole\n"),
    *("logger: csv\n", "logger: [csv]\n", "logger: null\n", "evaluation: 3\n", "checkpoint: []\n"),
    *("agent: [dqn]\n", "seats: 3\n", "env:\n  kwargs: 3\n", "agent:\n  hidden: 64\n", "x: 1\n"),
    *("total_steps: 2e2\n", "total_steps: inf\n", "total_steps: .nan\n", "agent:\n  gamma: .nan\n"),
    *("agent:\n  learning_rate: 1e-3\n", "agent:\n  epsilon: 0.1\n", "agent:\n  clip: 0.1\n"),
    *("seed: ${nope}\n", "seed: ${seed\n", "seed: ${seed}\n", "agent: ${env}\n", "env: ${nope}\n"),
    *(
        "defaults: 3\n",
        "defaults: [3]\n",
        "defaults: [nope]\n",
        "defaults: [p]\n",
        "defaults: {}\n",
    ),
    *("defaults:\n  - env: 3\n", "defaults:\n  - env: mario\n", "defaults:\n  - /env: maze\n"),
    *("defaults:\n  - override /env: nope\n", "defaults:\n  - override env: maze\n"),
    *("defaults:\n  - override /agent: [a, b]\n", "defaults:\n  - override /nope: x\n"),
    *("defaults: [null]\n", "defaults: [[a]]\n", "defaults:\n  - a: b\n    c: d\n", "hydra: 3\n"),
    *(
        "hydra:\n  mode: x\n",
        "hydra:\n  nope: 1\n",
        "hydra:\n  searchpath: [x]\n",
        "a" * 600 + "\n",
    ),
    *(
        "seed: 2001-13-45\n",
        "seed: 0o9\n",
        "seed: '1\n",
        "%YAML 9\n---\n",
        "---\na: 1\n---\nb: 2\n",
    ),
    *("{" * 60 + "}" * 60 + "\n", "seed: !!binary x\n", "seed: 1:2:3\n", "<<: 3\n", "<<: *x\n"),
]
HEADERS = ["# @package _global_\n", "# @package _global_\n", "", "# @package\n", "# @package a b\n",
           "# @package agent\n", "# @package _global\n", "#@package _global_\n",
           "\n\n"]  # fmt: skip
ENCODINGS = ["utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"]


@dataclass(frozen=True)
class Case:
    """One call of rlexp in a folder with these files; `run`: with a run in RUN, too."""

    args: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    run: bool = False


class Maker:
    """Makes cases: the same number gives the same case."""

    def __init__(self, seed: int, keys: list[str]) -> None:
        self.seed, self.keys = seed, keys
        self.rng = random.Random(0)
        self.kinds: list[Callable[[], Case]] = [
            *(self.value, self.value, self.value, self.key, self.key, self.group, self.flag),
            *(self.words, self.preset, self.preset, self.component, self.edited, self.crossed),
            *(self.pair, self.command, self.command, self.command),
        ]

    def case(self, number: int) -> Case:
        self.rng = random.Random(f"{self.seed}/{number}")
        return self.pick(self.kinds)()

    def pick[T](self, options: list[T]) -> T:
        return self.rng.choice(options)

    def _train(self, *args: str, files: dict[str, bytes] | None = None) -> Case:
        line = [*SHORT, *args]
        if self.rng.random() < 0.3:
            self.rng.shuffle(line)
        return Case(["train", *line], files or {})

    def value(self) -> Case:
        """A key of rlexp's with a value of any kind."""
        return self._train(*self._setup(), f"{self.pick(self.keys)}={self.pick(VALUES)}")

    def key(self) -> Case:
        """A key that is written wrongly, or another library's."""
        key = self.pick([*self.keys, *KEYS, *KEYS])
        changed = self.pick([
            key, key[:-1], key + "x", key.upper(), key.replace("_", "-"), key.rpartition(".")[2],
            f"agent.{key}", f"+{key}", f"++{key}", f"~{key}", f"{key}.", f".{key}", f"{key}.x",
            key.replace(".", ".."), f"/{key}", f"{key}@x", f" {key}", f"{key} ", f"env/{key}", "",
        ])  # fmt: skip
        mark = "" if changed.startswith("~") and self.rng.random() < 0.5 else "=1"
        return self._train(*self._setup(), changed + mark)

    def group(self) -> Case:
        """A group that is set to no name, several, an alias or a Gymnasium id."""
        group = self.pick([*paths.GROUPS, "hydra/launcher", "hydra/sweeper", "agnet", "hydra/nope"])
        names = [*VALUES, *COMPONENTS.get(group, {}), *paths.options(group), "LunarLander-v3"]
        names += ["CartPole-v9", "ALE/Pong-v5", "agent/dqn", "dqn.yaml", "[dqn,ppo]", "dqn,ppo"]
        prefix = self.pick(["", "", "", "+", "++", "~", "override "])
        return self._train(f"{prefix}{group}={self.pick(names)}")

    def flag(self) -> Case:
        args = [self.pick(FLAGS) for _ in range(self.pick([1, 1, 2]))]
        return self._train(*args, self.pick(["1", "seed=0,1", "seed=1", "job", "x"]))

    def words(self) -> Case:
        """Blanks where none belong, and words without a key."""
        pieces = [["seed", "=", "1"], ["seed=", "1"], ["seed", "=1"], ["seed", "1"],
                  ["mario"],
                  ["cartpole_ppo"], ["=1"], ["="], [""], [" "], ["seed==1"],
                  ["seed=1 total_steps=2"],
                  ["seed:1"], ["seed=0,1"], ["agent=dqn,ppo"], ["é=1"], ["1=1"], ["a.b.c.d=1"],
                  ["-m", "seed=range(0)"], ["-m", "seed=choice()"], ["-m", "pictures=[os:path]"],
                  ["-m", "seed=0,1", "sweep_figure=os:path"], ["-m", "seed=0,x"], ["~"], ["+"],
                  ["-m", "seed=0,1", "hydra.sweep.dir=${nope}"], ["hydra.mode=x"]]  # fmt: skip
        return self._train(*self.pick(pieces))

    def preset(self) -> Case:
        file = self._file(self.pick(HEADERS) + self.pick(BODIES))
        more = self.pick([[], [], ["agent=ppo"], ["-m", "seed=0,1"], ["seed=x"]])
        return self._train("experiment=p", *more, files={"conf/experiment/p.yaml": file})

    def component(self) -> Case:
        """An agent of the user's own, alone or in a circle of two."""
        body = self.pick([*BODIES, "lr: 1e-3\n", "defaults: [dqn, _self_]\nlr: x\n",
                          "defaults: [dqn, _self_]\nname: x\n", "defaults: [mine]\n",
                          "defaults: [other, _self_]\n", "defaults: [dqn, ppo, _self_]\n",
                          "defaults: [dqn, _self_]\nhidden: [.nan]\n"])  # fmt: skip
        files = {"conf/agent/mine.yaml": self._file(body)}
        files["conf/agent/other.yaml"] = b"defaults: [mine, _self_]\n"
        return self._train("agent=mine", files=files)

    def edited(self) -> Case:
        """A shipped preset with one to three letters or lines changed."""
        text = paths.options("experiment")[self.pick(PRESETS)].read_text()
        for _ in range(self.pick([1, 2, 3])):
            at = self.rng.randrange(len(text))
            kind = self.pick(["drop", "add", "line"])
            if kind == "drop":
                text = text[:at] + text[at + 1 :]
            elif kind == "add":
                text = text[:at] + self.pick(list("{}[]:&*#!|>'\"%@`,?-\t\n 1a$")) + text[at:]
            else:
                lines = text.splitlines(keepends=True)
                self.rng.shuffle(lines)
                text = "".join(lines)
        return self._train("experiment=p", files={"conf/experiment/p.yaml": text.encode()})

    def crossed(self) -> Case:
        """A preset with another component than the one it was made for."""
        other = f"agent={self.pick(AGENTS)}"
        if self.rng.random() < 0.4:
            other = f"env={self.pick(ENVS)}"
        return self._train(f"experiment={self.pick(PRESETS)}", *other.split())

    def pair(self) -> Case:
        return self._train(*self._setup())

    def _setup(self) -> list[str]:
        return [f"agent={self.pick(AGENTS)}", *f"env={self.pick(ENVS)}".split()]

    def _file(self, text: str) -> bytes:
        encoding = self.pick(ENCODINGS)
        comment = "# für\n" if encoding == "latin-1" else ""
        return (text + comment).encode(encoding)

    def command(self) -> Case:
        """Any other command with arguments that are missing, too many, unknown or malformed."""
        name = self.pick([c for c in COMMANDS if c not in ("train", "tensorboard")])
        own = ["episodes", "gif", "seed", "starts", "checkpoint", "metric", "better", "png", "out",
               "sort", "limit", "show", "weights", "steps", "kills", "games", "most", "context",
               "every", "once", "speed", "greedy", "total_steps", "agent.lr",
               "run_dir"]  # fmt: skip
        words = ["RUN", "RUN", "RUN", "RUN/checkpoints/last", "RUN@7", "RUN@last", "RUN@", "nope",
                 ".", "conf", "agent", "agent=dqn", "agent=nope", "env=gym", "run", "lr",
                 "agent.lr",
                 "", "RUN/config.yaml", "--json", "--jsn", "-x", "bash", "=", "out",
                 "experiment=nope"]  # fmt: skip
        args = [self.pick(words) for _ in range(self.pick([0, 1, 1, 1, 2, 3]))]
        for _ in range(self.pick([0, 1, 1, 2])):
            key = self.pick([*own, *own, *self.keys, "x", "agent.learning_rate"])
            args.append(f"{key}={self.pick(VALUES)}")
        return Case([name, *args], run=True)
