"""From what a Gymnasium environment shows to arrays: pictures, vectors, numbers, or all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple
from gymnasium.spaces.utils import flatten, flatten_space

from rlexp.envs.wrappers import Pixels
from rlexp.spaces import Packed


class Seen(Protocol):
    """`space` is that of the arrays; `first` opens a game, `next` follows."""

    space: Space[Any]

    def first(self, obs: Any) -> np.ndarray: ...
    def next(self, obs: Any) -> np.ndarray: ...


def is_picture(space: Space[Any]) -> bool:
    """uint8 of two axes, or of three."""
    return isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def leaves(space: Space[Any]) -> Iterator[tuple[tuple[Any, ...], Space[Any]]]:
    """(path, space) of what dicts and tuples hold, in Gymnasium's order."""
    if isinstance(space, Dict | Tuple):
        pairs = space.items() if isinstance(space, Dict) else enumerate(space)
        for key, part in pairs:
            for path, leaf in leaves(part):
                yield (key, *path), leaf
    else:
        yield (), space


def make_seen(space: Space[Any], pixels: Callable[[], Pixels]) -> Seen:
    """Pictures become channel-first, dicts and tuples one vector, with their pictures in it."""
    if is_picture(space):
        return Picture(space, pixels())
    if isinstance(space, Discrete):
        return Number(space)
    if isinstance(space, Box) or not space.is_np_flattenable:
        return Plain(space)
    if any(is_picture(leaf) for _, leaf in leaves(space)):
        return Several(space, pixels)
    return Flat(space)


class Plain:
    """Arrays as they are; what is none is refused when the agent is chosen."""

    def __init__(self, space: Space[Any]) -> None:
        self.space = space

    def first(self, obs: Any) -> np.ndarray:
        return np.array(obs)

    next = first


class Number:
    """Discrete: counted from 0."""

    def __init__(self, space: Discrete) -> None:
        self.start = int(space.start)
        self.space: Space[Any] = Discrete(int(space.n))

    def first(self, obs: Any) -> np.ndarray:
        return np.array(int(obs) - self.start)

    next = first


class Flat:
    """Everything in one vector, by Gymnasium's rules."""

    def __init__(self, space: Space[Any]) -> None:
        self.whole = space
        self.space: Space[Any] = flatten_space(space)

    def first(self, obs: Any) -> np.ndarray:
        return np.asarray(flatten(self.whole, obs))

    next = first


class Picture:
    """[H, W, C], [H, W], or what is channel-first already, through `Pixels`."""

    def __init__(self, space: Space[Any], pixels: Pixels) -> None:
        assert space.shape is not None
        self.pixels = pixels
        # [C, H, W] of a stack or a wrapper: no picture is 84 colours deep.
        self.turned = len(space.shape) == 3 and space.shape[0] <= 4 < space.shape[2]
        shape = (*space.shape[1:], space.shape[0]) if self.turned else space.shape
        height, width, channels = (*shape, 1)[:3]
        self.shape = pixels.shape(height, width, channels)
        self.space: Space[Any] = Box(0, 255, self.shape, np.uint8)

    def first(self, obs: Any) -> np.ndarray:
        return self.pixels.first(self._plain(obs))

    def next(self, obs: Any) -> np.ndarray:
        return self.pixels.next(self._plain(obs))

    def _plain(self, obs: Any) -> np.ndarray:
        picture = np.asarray(obs, dtype=np.uint8)  # rendered ones may come as int64
        return np.moveaxis(picture, 0, -1) if self.turned else picture


class Several:
    """Dicts and tuples with pictures among them: one Packed vector."""

    def __init__(self, space: Space[Any], pixels: Callable[[], Pixels]) -> None:
        found = list(leaves(space))
        self.pictures = [(path, Picture(s, pixels())) for path, s in found if is_picture(s)]
        self.others = [(path, s) for path, s in found if not is_picture(s)]
        rest = sum(int(np.prod(flatten_space(s).shape or ())) for _, s in self.others)
        self.space: Space[Any] = Packed([p.shape for _, p in self.pictures], rest)

    def first(self, obs: Any) -> np.ndarray:
        return self._pack(obs, [p.first(at(obs, path)) for path, p in self.pictures])

    def next(self, obs: Any) -> np.ndarray:
        return self._pack(obs, [p.next(at(obs, path)) for path, p in self.pictures])

    def _pack(self, obs: Any, pictures: list[np.ndarray]) -> np.ndarray:
        others = [flatten(space, at(obs, path)) for path, space in self.others]
        parts = [np.asarray(part, dtype=np.float32).ravel() for part in (*pictures, *others)]
        return np.concatenate(parts)


def at(obs: Any, path: tuple[Any, ...]) -> Any:
    """What lies there."""
    for key in path:
        obs = obs[key]
    return obs
