"""The language of a signaling game: measured at every log, drawn at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlexp import language
from rlexp.envs.signaling import RECEIVER, SENDER, Signaling, one_hot
from rlexp.media import lexicon
from rlexp.media.pictures import Picture, Scene
from rlexp.run_dir import write_text
from rlexp.statistics import confusion, rate_interval
from rlexp.types import Metrics, Seat, Tick, Tree

SPLITS = {"train": "training", "heldout": "held_out"}
LOGGED = (
    "success", "capacity_bound", "purity", "shuffled_success", "distinct", "message_entropy",
    "class_information", "ambiguity", "synonymy", "topographic_similarity", "posdis", "bosdis",
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What was said of every picture of a split: messages [n, length], guesses and classes [n]."""

    images: np.ndarray
    messages: np.ndarray
    guesses: np.ndarray
    classes: np.ndarray
    attributes: np.ndarray | None


def speak(env: Signaling, act: Callable[[Tick], dict[Seat, Tree]], split: str) -> Said:
    """Both seats play each picture of "train" or "heldout" once, all at the same time."""
    obs, classes, attributes = env.split(SPLITS[split])
    first = np.ones(len(obs), dtype=bool)
    messages = act(Tick({SENDER: obs}, first))[SENDER]
    assert isinstance(messages, np.ndarray)
    heard = one_hot(messages, env.vocabulary)
    guesses = act(Tick({RECEIVER: heard}, ~first))[RECEIVER]
    assert isinstance(guesses, np.ndarray)
    part = env.pictures.training if split == "train" else env.pictures.held_out
    meaning = attributes if attributes.shape[1] else None
    return Said(part.images, messages, guesses, classes, meaning)


def measure(env: Signaling, said: Said) -> dict[str, float]:
    return language.describe(
        said.messages, said.classes, said.guesses, env.vocabulary, len(env.names), said.attributes
    )


def report(env: Signaling, said: Said) -> dict[str, Any]:
    """All measures, success with its interval, the confusion of classes."""
    right, count = int((said.guesses == said.classes).sum()), len(said.classes)
    interval = rate_interval(right, count)
    return measure(env, said) | {
        "success_ci": None if interval is None else list(interval),
        "pictures": count,
        "classes": list(env.names),
        "confusion": confusion(said.classes, said.guesses, len(env.names)).tolist(),
    }


def figures(env: Signaling, said: Said, split: str) -> dict[str, Any]:
    """Figures by name: the table of messages, pictures under theirs, information by position."""
    told = f"{split}: {(said.guesses == said.classes).mean():.1%} right"
    names = env.names
    table = lexicon.table(said.messages, said.classes, names, said.guesses, title=told)
    pictures = lexicon.samples(
        said.images, said.messages, said.classes, said.guesses, names, title=told
    )
    position = lexicon.positions(
        said.messages, said.classes, said.attributes, env.attribute_names, title=told
    )
    rng = np.random.default_rng(0)
    ten = rng.choice(len(said.classes), size=min(10, len(said.classes)), replace=False)
    games = lexicon.games(
        said.images[ten], said.messages[ten], said.classes[ten], said.guesses[ten], names,
        title=told,
    )  # fmt: skip
    found = {"lexicon": table, "messages": pictures, "positions": position, "games": games}
    return {f"{name}_{split}": drawn for name, drawn in found.items()}


class Measures(Picture):
    """Needs env=signaling. Greedy play on all pictures of both splits, measured at every log."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        assert isinstance(scene.env, Signaling)
        self.env = scene.env

    def _said(self, split: str) -> Said:
        return speak(self.env, self.scene.team.policy(greedy=True, seed=0), split)

    def metrics(self) -> Metrics:
        found: Metrics = {}
        for split in SPLITS:
            measured = measure(self.env, self._said(split))
            found |= {f"eval/{n}/{split}": measured[n] for n in LOGGED if n in measured}
        return found


class Language(Measures):
    """The same, and at the end figures and language.json."""

    def finish(self, step: int) -> None:
        told = {}
        for split in SPLITS:
            said = self._said(split)
            told[split] = report(self.env, said)
            for name, drawn in figures(self.env, said, split).items():
                self.scene.save(drawn, name, step)
        path = self.scene.run.media / "language.json"
        write_text(path, json.dumps(told, indent=1) + "\n")
