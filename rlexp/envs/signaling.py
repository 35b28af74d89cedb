"""The image signaling game: two seats, one after the other, N games at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from rlexp.envs.images.base import SIZE, Pictures, Split
from rlexp.envs.images.emoji import Augmentation
from rlexp.envs.images.load import load
from rlexp.errors import UserError
from rlexp.seeds import derive
from rlexp.types import EnvSpec, Episode, Seat, State, Tick, Transition, Tree

SENDER: Seat = "sender"
RECEIVER: Seat = "receiver"
MOST_HEARD = 65_536  # length * vocabulary


class Signaling:
    """Lewis's game (1969) with pictures. A class is drawn, then a picture of it. The sender sees
    the picture, float32 [3, 32, 32], standardised per channel over the training pictures in play,
    and emits `length` symbols 0 … vocabulary - 1. The receiver sees only these, one-hot, float32
    [length * vocabulary], and names the class. Both get 1 if it is right and 0 if not.

    A Tick's `obs` holds the seat that moves now. After the sender's move nothing is done, no step
    is counted and no row is `first`; after the receiver's both moves are completed, with the same
    reward, and every row begins its next game. A game is an episode of one move for each seat, one
    environment step in all. `info`: target (the class), image (its place in the split), is_success.
    Nothing follows a game, so `next_obs` is the observation itself.

    `held_out` plays the held-out pictures, drawn as the training pictures are; `split` gives all
    pictures of either part in order.
    """

    def __init__(
        self, pictures: Pictures, length: int, vocabulary: int, num_envs: int, held_out: bool
    ) -> None:
        self.pictures, self.length, self.vocabulary = pictures, length, vocabulary
        self.names, self.attribute_names = pictures.names, pictures.attribute_names
        self.played = "held_out" if held_out else "training"
        self.mean, self.deviation = channels(pictures.training.images)
        self.standardised: dict[str, np.ndarray] = {}  # by split, once it is asked for
        ends = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1) * np.ones_like(
            pictures.training.images[:1]
        )
        low, high = self._standardise(ends)
        seen = Box(low, high, (3, SIZE, SIZE), np.float32)
        heard = Box(0.0, 1.0, (length * vocabulary,), np.float32)
        self.spec = EnvSpec(
            {SENDER: seen, RECEIVER: heard},
            {SENDER: MultiDiscrete([vocabulary] * length), RECEIVER: Discrete(len(self.names))},
            num_envs,
            random_starts_only=True,
            fps=1,
            offers={RECEIVER: ("answers",)},
            action_masks=False,
        )
        self.rows = np.arange(num_envs)
        self.rng = np.random.default_rng(0)
        self.image = np.zeros(num_envs, dtype=np.int64)  # of each row, in the split that is played
        self.messages: np.ndarray | None = None  # int64 [N, length], at the receiver's turn
        self.tick: Tick | None = None  # what awaits an action
        self.watched: set[int] = set()
        self._sent: dict[Seat, Tree] | None = None
        self._loaded = False

    @property
    def played_split(self) -> Split:
        return self._part(self.played)

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All pictures of "training" or "held_out", in order, as the sender sees them.

        (obs float32 [n, 3, 32, 32], classes int64 [n], attributes int64 [n, A]); don't write to
        them. `pictures` holds the same as uint8.
        """
        part = self._part(name)
        if name not in self.standardised:
            self.standardised[name] = self._standardise(part.images)
        return self.standardised[name], part.classes, part.attributes

    def _part(self, name: str) -> Split:
        if name not in ("training", "held_out"):
            raise ValueError(f"a split is 'training' or 'held_out', not {name!r}")
        return self.pictures.training if name == "training" else self.pictures.held_out

    def _standardise(self, images: np.ndarray) -> np.ndarray:
        return (images.astype(np.float32) - self.mean) / self.deviation

    def start(self, seed: int) -> Tick:
        if not self._loaded:
            # A player seeded alike would draw the same numbers, and guess each class.
            self.rng = np.random.default_rng(derive(seed, "signaling"))
            return self._next_games()
        self._loaded = False
        self.tick = self._show()
        if self.messages is not None:
            self.tick = self._hear(self.messages)
        return self.tick

    def send(self, actions: dict[Seat, Tree]) -> None:
        self._sent = actions

    def recv(self) -> Tick:
        assert self._sent is not None, "recv without send"
        sent, self._sent = self._sent, None
        if self.messages is not None:
            guesses = sent[RECEIVER]
            assert isinstance(guesses, np.ndarray) and guesses.shape == self.rows.shape
            return self._judge(self.messages, guesses)
        messages = np.array(sent[SENDER], dtype=np.int64)
        assert messages.shape == (len(self.rows), self.length), messages.shape
        self.messages = messages
        self.tick = self._hear(messages)
        return self.tick

    def _next_games(self) -> Tick:
        """Each class has as many pictures as any other: any picture is as likely as any other."""
        self.image = self.rng.integers(len(self.played_split), size=len(self.rows))
        self.messages = None
        self.tick = self._show()
        return self.tick

    def _show(self) -> Tick:
        self.obs = self.split(self.played)[0][self.image]
        return Tick(obs={SENDER: self.obs}, first=np.ones(len(self.rows), dtype=bool))

    def _hear(self, messages: np.ndarray) -> Tick:
        self.heard = one_hot(messages, self.vocabulary)
        return Tick(obs={RECEIVER: self.heard}, first=np.zeros(len(self.rows), dtype=bool))

    def _judge(self, messages: np.ndarray, guesses: np.ndarray) -> Tick:
        target, image = self.played_split.classes[self.image], self.image
        right = guesses == target
        reward = right.astype(np.float32)
        pictures = {row: self._draw(row, int(guesses[row])) for row in sorted(self.watched)}
        info = {"target": target, "image": image, "is_success": right.astype(np.float64)}
        done = {
            SENDER: self._transition(self.obs, messages, reward, info),
            RECEIVER: self._transition(self.heard, guesses, reward, info),
        }
        tick = self._next_games()
        tick.done, tick.steps, tick.pictures = done, len(self.rows), pictures
        tick.episodes = episodes(target, image, info["is_success"])
        return tick

    def _transition(
        self, obs: np.ndarray, action: np.ndarray, reward: np.ndarray, info: dict[str, np.ndarray]
    ) -> Transition:
        ends = np.ones(len(self.rows), dtype=bool)
        return Transition(
            rows=self.rows,
            obs=obs,
            action=action,
            reward=reward.copy(),
            next_obs=obs,
            terminated=ends,
            truncated=~ends,
            info=dict(info),
        )

    def watch(self, rows: Iterable[int]) -> None:
        self.watched = set(rows)

    def render(self, row: int) -> np.ndarray:
        """The picture enlarged, the message below it once there is one, and the answer."""
        return self._draw(row, None)

    def _draw(self, row: int, guess: int | None) -> np.ndarray:
        part, place = self.played_split, self.image[row]
        message = "" if self.messages is None else text(self.messages[row], self.vocabulary)
        target = int(part.classes[place])
        return draw(part.images[place], message, guess, target, self.names)

    def state_dict(self) -> State:
        return {
            "rng": self.rng.bit_generator.state,
            "image": self.image.copy(),
            "messages": None if self.messages is None else self.messages.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.image = np.array(state["image"])
        self.messages = None if state["messages"] is None else np.array(state["messages"])
        self._loaded = True

    def close(self) -> None:
        pass


def channels(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, deviation) of each channel of uint8 [n, 3, H, W], float32 [3, 1, 1].

    A channel that never changes is divided by 1.
    """
    mean = images.mean((0, 2, 3), keepdims=True, dtype=np.float64)[0]
    deviation = images.std((0, 2, 3), keepdims=True, dtype=np.float64)[0]
    return mean.astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32)


def one_hot(messages: np.ndarray, vocabulary: int) -> np.ndarray:
    """float32 [N, length * vocabulary] of int64 [N, length]: symbol by symbol."""
    count, length = messages.shape
    heard = np.zeros((count, length, vocabulary), dtype=np.float32)
    np.put_along_axis(heard, messages[:, :, None], 1.0, axis=2)
    return heard.reshape(count, length * vocabulary)


def text(message: np.ndarray, vocabulary: int) -> str:
    """10110, or 3.0.12 where a symbol may have two digits."""
    return ("" if vocabulary <= 10 else ".").join(str(int(symbol)) for symbol in message)


def episodes(target: np.ndarray, image: np.ndarray, right: np.ndarray) -> list[Episode]:
    """Every row's game ended. This is called for each of millions of games: no array is touched."""
    numbers = zip(
        target.astype(float).tolist(), image.astype(float).tolist(), right.tolist(), strict=True
    )
    return [
        Episode(row, 1, {SENDER: r, RECEIVER: r}, {"target": t, "image": i, "is_success": r})
        for row, (t, i, r) in enumerate(numbers)
    ]


def draw(
    picture: np.ndarray, message: str, guess: int | None, target: int, names: Sequence[str]
) -> np.ndarray:
    """RGB [224, 160, 3]: a picture [3, H, W], its message, and the answer; its class before."""
    size = 160
    shown = np.full((size + 64, size, 3), 255, dtype=np.uint8)
    shown[:size] = cv2.resize(
        picture.transpose(1, 2, 0), (size, size), interpolation=cv2.INTER_NEAREST
    )
    right = guess == target
    told = names[target]
    colour = (60, 60, 60)
    if guess is not None:
        told = names[guess] if right else f"{names[guess]}, not {names[target]}"
        colour = (0, 114, 178) if right else (213, 94, 0)
    for line, ink, base in ((message, (60, 60, 60), size + 25), (told, colour, size + 53)):
        _write(shown, line, ink, base)
    return shown


def _write(picture: np.ndarray, line: str, colour: tuple[int, ...], base: int) -> None:
    """A line of text in the middle, smaller where it is long."""
    font, room = cv2.FONT_HERSHEY_SIMPLEX, picture.shape[1] - 12
    width = cv2.getTextSize(line, font, 1.0, 1)[0][0]
    scale = min(0.65, room / max(width, 1))
    left = (picture.shape[1] - int(width * scale)) // 2
    cv2.putText(picture, line, (left, base), font, scale, colour, 1, cv2.LINE_AA)


def make(
    num_envs: int,
    images: str,
    classes: int | list[str],
    length: int,
    vocabulary: int,
    train_images: int,
    held_out_images: int | None,
    images_seed: int,
    flip: bool,
    shift: int,
    brightness: float,
    background: str,
    data_dir: str,
    download: bool,
    held_out: bool,
) -> Signaling:
    """The environment of conf/env/signaling.yaml."""
    if length * vocabulary > MOST_HEARD:
        raise UserError(
            f"env.length={length} env.vocabulary={vocabulary}: the receiver would hear "
            f"{length * vocabulary:.4g} numbers, more than {MOST_HEARD:,}"
        )
    which = classes if isinstance(classes, int) else tuple(map(str, classes))
    augmentation = Augmentation(flip, shift, brightness, background)
    pictures = load(
        images,
        which,
        train_images,
        held_out_images,
        images_seed,
        augmentation,
        data_dir,
        download,
    )
    return Signaling(pictures, length, vocabulary, num_envs, held_out)
