"""The language of a signaling game: measured at every log, drawn at the end."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlexp import language, strict_json
from rlexp.envs.signaling import RECEIVER, SENDER, Signaling, one_hot
from rlexp.errors import UserError
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


Act = Callable[[Tick], dict[Seat, Tree]]
AT_ONCE = 4096  # games that are played together: 50,000 pictures would take gigabytes
SHUFFLED = 4000  # games, or more, whose messages are dealt to others


@dataclass(frozen=True)
class Said:
    """What was said in n games: messages [n, length], guesses, classes and the pictures' places
    in their split [n], images uint8 [n, 3, 32, 32], attributes [n, k] where there are any."""

    images: np.ndarray
    messages: np.ndarray
    guesses: np.ndarray
    classes: np.ndarray
    attributes: np.ndarray | None
    places: np.ndarray


def speak(env: Signaling, act: Act, split: str, places: np.ndarray | None = None) -> Said:
    """Both seats play pictures of "train" or "heldout": each of them once, or those at `places`."""
    obs, classes, attributes = env.split(SPLITS[split])
    part = env.pictures.training if split == "train" else env.pictures.held_out
    if places is None:
        places = np.arange(len(obs))
    messages = np.concatenate([_ask(act, SENDER, obs[some]) for some in _parts(places)])
    guesses = answers(env, act, messages)
    meaning = attributes[places] if attributes.shape[1] else None
    return Said(part.images[places], messages, guesses, classes[places], meaning, places)


def answers(env: Signaling, act: Act, messages: np.ndarray) -> np.ndarray:
    """What the receiver names when it hears `messages` [n, length]: [n]."""
    heard = one_hot(messages, env.vocabulary)
    return np.concatenate([_ask(act, RECEIVER, some) for some in _parts(heard)])


def _ask(act: Act, seat: Seat, obs: np.ndarray) -> np.ndarray:
    found = act(Tick({seat: obs}, np.full(len(obs), seat == SENDER)))[seat]
    assert isinstance(found, np.ndarray)
    return found


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, range(AT_ONCE, len(rows), AT_ONCE))


def measure(env: Signaling, said: Said) -> dict[str, float]:
    return language.describe(
        said.messages, said.classes, said.guesses, env.vocabulary, len(env.names), said.attributes
    )


def report(env: Signaling, said: Said, act: Act) -> dict[str, Any]:
    """All measures, success with its interval, the same with messages dealt to other games, the
    confusion of classes, information by position, and the lexicon: what each message stood for."""
    rng = np.random.default_rng(0)
    rounds = max(1, SHUFFLED // len(said.messages))
    mixed = np.concatenate([language.shuffled(said.messages, rng) for _ in range(rounds)])
    misled = answers(env, act, mixed) == np.tile(said.classes, rounds)
    by_position = {"class": language.information_by_position(said.messages, said.classes).tolist()}
    if said.attributes is not None:
        told = language.information_by_position(said.messages, said.attributes)
        by_position |= dict(zip(env.attribute_names, told.T.tolist(), strict=True))
    return measure(env, said) | {
        "success_ci": _interval(said.guesses == said.classes),
        "shuffled_played": float(misled.mean()),
        "shuffled_played_ci": _interval(misled),
        "games": len(said.classes),
        "pictures": len(np.unique(said.places)),
        "classes": list(env.names),
        "confusion": confusion(said.classes, said.guesses, len(env.names)).tolist(),
        "information_by_position": by_position,
        "entropy_by_position": language.entropy_by_position(said.messages).tolist(),
        "lexicon": words(said, env.names),
    }


def _interval(right: np.ndarray) -> list[float] | None:
    interval = rate_interval(int(right.sum()), len(right))
    return None if interval is None else list(interval)


def words(said: Said, names: Sequence[str]) -> list[dict[str, Any]]:
    """Every message, the most frequent first: its games, those that were right, and how many of
    each class it was sent for and each answer it got, the most frequent first."""
    which, found = language.codes(said.messages), []
    spelt = np.unique(said.messages, axis=0)
    for k in np.argsort(-np.bincount(which), kind="stable"):
        here = which == k
        found.append({
            "message": lexicon.text(spelt[k]),
            "games": int(here.sum()),
            "right": int((said.guesses == said.classes)[here].sum()),
            "sent_for": _tally(said.classes[here], names),
            "heard_as": _tally(said.guesses[here], names),
        })  # fmt: skip
    return found


def _tally(classes: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    often = np.bincount(classes, minlength=len(names))
    return {names[int(c)]: int(often[c]) for c in np.argsort(-often, kind="stable") if often[c]}


def write_games(path: Path, env: Signaling, played: Mapping[str, Said]) -> None:
    """CSV, a line for each game: split, picture (its place there), class, message, guess."""
    with open(path, "w", newline="") as f:
        lines = csv.writer(f)
        lines.writerow(["split", "picture", "class", "message", "guess"])
        for split, said in played.items():
            columns = said.places, said.classes, said.messages, said.guesses
            for place, seen, message, guess in zip(*columns, strict=True):
                told = env.names[seen], lexicon.text(message), env.names[guess]
                lines.writerow([split, int(place), *told])


def figures(env: Signaling, said: Said, split: str, rows: int = 12) -> dict[str, Any]:
    """Figures by name: the table of the `rows` most frequent messages, pictures under theirs,
    information by position, some games, and which class was taken for which."""
    names, right = env.names, said.guesses == said.classes
    pictures = "training pictures" if split == "train" else "held-out pictures"
    told = f"{right.sum():,} of {len(right):,} {pictures} right, {right.mean():.1%}"
    if len(np.unique(said.places)) < len(right):
        told = f"{right.sum():,} of {len(right):,} games with {pictures} right, {right.mean():.1%}"
    ten = np.random.default_rng(0).choice(len(right), size=min(10, len(right)), replace=False)
    found = {
        "lexicon": lexicon.table(
            said.messages, said.classes, names, said.guesses, rows, title=told
        ),
        "messages": lexicon.samples(
            said.images, said.messages, said.classes, said.guesses, names, title=told
        ),
        "positions": lexicon.positions(
            said.messages, said.classes, said.attributes, env.attribute_names,
            title=f"Information by position, {pictures}",
        ),
        "games": lexicon.games(
            said.images[ten], said.messages[ten], said.classes[ten], said.guesses[ten], names,
            title=told,
        ),
        "confusion": lexicon.confused(said.classes, said.guesses, names, title=told),
    }  # fmt: skip
    return {f"{name}_{split}": drawn for name, drawn in found.items()}


class Measures(Picture):
    """Needs env=signaling. Greedy play on all pictures of both splits, measured at every log."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        if not isinstance(scene.env, Signaling):
            raise UserError(
                f"pictures: rlexp.media.language:{type(self).__name__} needs env=signaling, "
                f"not env={scene.config.env.name}"
            )
        self.env = scene.env

    def _act(self) -> Act:
        return self.scene.team.policy(greedy=True, seed=0)

    def metrics(self) -> Metrics:
        found: Metrics = {}
        for split in SPLITS:
            measured = measure(self.env, speak(self.env, self._act(), split))
            found |= {f"eval/{n}/{split}": measured[n] for n in LOGGED if n in measured}
        return found


class Language(Measures):
    """The same, and at the end figures and language.json."""

    def finish(self, step: int) -> None:
        told = {}
        for split in SPLITS:
            act = self._act()
            said = speak(self.env, act, split)
            told[split] = report(self.env, said, act)
            for name, drawn in figures(self.env, said, split).items():
                self.scene.save(drawn, name, step)
        path = self.scene.run.media / "language.json"
        write_text(path, strict_json.dumps(told, indent=1) + "\n")
