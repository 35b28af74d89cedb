"""From what a Gymnasium environment shows to arrays: pictures, vectors, numbers, or all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple
from gymnasium.spaces.utils import flatten, flatten_space

from rlexp.envs.wrappers import Pixels
from rlexp.errors import UserError
from rlexp.spaces import Packed

CHANNELS = (1, 3, 4)  # gray, RGB, RGBA


class Seen(Protocol):
    """`space` is that of the arrays; `first` opens a game, `next` follows.

    The arrays have memory of their own: an environment may write into its observation again.
    """

    space: Space[Any]
    has_images: bool

    def first(self, obs: Any) -> np.ndarray: ...
    def next(self, obs: Any) -> np.ndarray: ...


def is_picture(space: Space[Any]) -> bool:
    """uint8 of two axes, of three, or of four: a stack, as FrameStackObservation gives."""
    if not isinstance(space, Box) or space.dtype != np.uint8:
        return False
    if len(space.shape) == 4:
        return space.shape[3] in CHANNELS or space.shape[1] in CHANNELS
    return len(space.shape) in (2, 3)


def is_text(space: Space[Any]) -> bool:
    """Gymnasium's Text, and spaces of strings that other packages bring."""
    return space.dtype is not None and space.dtype.kind == "U"


def leaves(space: Space[Any]) -> Iterator[tuple[tuple[Any, ...], Space[Any]]]:
    """(path, space) of what dicts and tuples hold, in Gymnasium's order."""
    if isinstance(space, Dict | Tuple):
        pairs = space.items() if isinstance(space, Dict) else enumerate(space)
        for key, part in pairs:
            for path, leaf in leaves(part):
                yield (key, *path), leaf
    else:
        yield (), space


def make_seen(name: str, space: Space[Any], pixels: Callable[[], Pixels]) -> Seen:
    """Pictures become channel-first, dicts and tuples one vector, with their pictures in it.

    Text is left out (`left_out` names it). UserError for what can't be an array.
    """
    parts = [(path, leaf) for path, leaf in leaves(space) if not is_text(leaf)]
    for path, leaf in parts:
        _require_fixed_size(name, path, leaf)
    if not parts:
        raise UserError(f"{name}: the observations {short(space)} hold nothing that agents can see")
    if is_picture(space):
        return Picture(space, pixels())
    if isinstance(space, Discrete):
        return Number(space)
    if isinstance(space, Box):
        return Plain(space)
    if any(is_picture(leaf) for _, leaf in parts):
        return Several(parts, pixels)
    return Flat(parts)


def _require_fixed_size(name: str, path: tuple[Any, ...], leaf: Space[Any]) -> None:
    flat: Space[Any]
    try:
        flat = flatten_space(leaf)
    except NotImplementedError:  # a space of another package
        flat = leaf
    where = f" (key {key_name(path)!r})" if path else ""
    if not isinstance(flat, Box):
        kind = type(leaf).__name__
        raise UserError(f"{name}: {kind} observations{where} are not supported: no fixed size")
    if 0 in flat.shape:
        raise UserError(f"{name}: the observation {short(leaf)}{where} is empty")


def left_out(space: Space[Any]) -> list[str]:
    """Names of the entries that no agent gets to see: text."""
    return [key_name(path) for path, leaf in leaves(space) if is_text(leaf)]


def key_name(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def short(space: Space[Any]) -> str:
    """A space on one line of a message."""
    text = " ".join(str(space).split())
    return text if len(text) <= 100 else f"{text[:99]}…"


class Plain:
    """Arrays as they are; a number alone becomes a vector of one."""

    has_images = False

    def __init__(self, space: Box) -> None:
        self.shape = space.shape
        self.space: Space[Any] = space
        if not space.shape:
            self.space = Box(space.low[None], space.high[None], dtype=space.dtype)

    def first(self, obs: Any) -> np.ndarray:
        array = np.array(obs)
        if array.shape != self.shape:
            raise ValueError(f"its shape is {array.shape}, not {self.shape}")
        if array.dtype.kind not in "buif":
            raise ValueError("it holds no real numbers")
        return array.reshape(self.space.shape)

    next = first


class Number:
    """Discrete: counted from 0."""

    has_images = False

    def __init__(self, space: Discrete) -> None:
        self.start, self.count = int(space.start), int(space.n)
        self.space: Space[Any] = Discrete(self.count)

    def first(self, obs: Any) -> np.ndarray:
        number = int(obs) - self.start
        if not 0 <= number < self.count:
            raise ValueError(f"it must be {self.start} to {self.start + self.count - 1}")
        return np.array(number)

    next = first


class Flat:
    """Everything in one vector, by Gymnasium's rules."""

    has_images = False

    def __init__(self, parts: list[tuple[tuple[Any, ...], Space[Any]]]) -> None:
        self.parts = parts
        self.space: Space[Any] = flatten_space(Tuple([leaf for _, leaf in parts]))
        self.sizes = [int(np.prod(flatten_space(leaf).shape or ())) for _, leaf in parts]

    def first(self, obs: Any) -> np.ndarray:
        arrays = [np.asarray(flatten(leaf, at(obs, path))) for path, leaf in self.parts]
        _require_sizes(arrays, self.sizes, self.parts)
        return np.concatenate(arrays)

    next = first


class Picture:
    """[H, W, C], [H, W], or what is channel-first already, through `Pixels`; or a stack of them."""

    has_images = True

    def __init__(self, space: Space[Any], pixels: Pixels) -> None:
        assert space.shape is not None
        self.pixels, self.given = pixels, space.shape
        *stacked, height, width, channels = (
            space.shape if len(space.shape) > 2 else (*space.shape, 1)
        )
        if stacked:
            self.turned = channels not in CHANNELS
        else:
            # [C, H, W] of a stack or a wrapper: no picture is 84 colours deep.
            self.turned = len(space.shape) == 3 and height <= 4 < channels
        if self.turned:
            height, width, channels = width, channels, height
        count, height, width = pixels.shape(height, width, channels)
        self.shape = (count * (stacked[0] if stacked else 1), height, width)
        self.space: Space[Any] = Box(0, 255, self.shape, np.uint8)

    def first(self, obs: Any) -> np.ndarray:
        return self.pixels.first(self._plain(obs))

    def next(self, obs: Any) -> np.ndarray:
        return self.pixels.next(self._plain(obs))

    def _plain(self, obs: Any) -> np.ndarray:
        picture = np.asarray(obs)
        if picture.shape != self.given:
            raise ValueError(f"its shape is {picture.shape}, not {self.given}")
        if picture.dtype != np.uint8:  # rendered ones may come as int64
            given, picture = picture, picture.astype(np.uint8)
            if not np.array_equal(given, picture):
                raise ValueError("it holds other numbers than 0 to 255")
        return np.moveaxis(picture, -3, -1) if self.turned else picture


class Several:
    """Dicts and tuples with pictures among them: one Packed vector."""

    has_images = True

    def __init__(
        self, parts: list[tuple[tuple[Any, ...], Space[Any]]], pixels: Callable[[], Pixels]
    ) -> None:
        self.pictures = [(path, Picture(s, pixels())) for path, s in parts if is_picture(s)]
        self.others = [(path, s) for path, s in parts if not is_picture(s)]
        self.sizes = [int(np.prod(flatten_space(s).shape or ())) for _, s in self.others]
        self.space: Space[Any] = Packed([p.shape for _, p in self.pictures], sum(self.sizes))

    def first(self, obs: Any) -> np.ndarray:
        return self._pack(obs, [p.first(at(obs, path)) for path, p in self.pictures])

    def next(self, obs: Any) -> np.ndarray:
        return self._pack(obs, [p.next(at(obs, path)) for path, p in self.pictures])

    def _pack(self, obs: Any, pictures: list[np.ndarray]) -> np.ndarray:
        others = [np.asarray(flatten(space, at(obs, path))) for path, space in self.others]
        _require_sizes(others, self.sizes, self.others)
        parts = [np.asarray(part, dtype=np.float32).ravel() for part in (*pictures, *others)]
        return np.concatenate(parts)


def _require_sizes(
    arrays: list[np.ndarray], sizes: list[int], parts: list[tuple[tuple[Any, ...], Space[Any]]]
) -> None:
    """ValueError where an entry has not as many numbers as its space."""
    for array, size, (path, _) in zip(arrays, sizes, parts, strict=True):
        if array.shape != (size,):
            raise ValueError(f"key {key_name(path)!r} gives {array.size} numbers, not {size}")


def at(obs: Any, path: tuple[Any, ...]) -> Any:
    """What lies there."""
    for key in path:
        obs = obs[key]
    return obs
