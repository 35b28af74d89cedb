"""From what an environment's `render` gives to RGB images that GIFs and videos can hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


class Renderer:
    """Calls `render` until it fails, which it says once: training and scores need no images."""

    def __init__(self, render: Callable[..., Any]) -> None:
        self.render, self.failed = render, False

    def __call__(self, *arguments: Any) -> np.ndarray | None:
        """RGB uint8 [H, W, 3], a copy: environments may draw into the same array again and again.

        None where nothing is drawn.
        """
        if self.failed:
            return None
        try:
            return to_rgb(self.render(*arguments))
        except (Exception, SystemExit) as ex:  # a library or a display is missing, or worse
            warnings.warn(f"no pictures: {type(ex).__name__}: {ex}", stacklevel=1)
            self.failed = True
            return None


def to_rgb(shown: Any) -> np.ndarray | None:
    """RGB uint8 [H, W, 3] of what `render` gave, with memory of its own; None of nothing.

    Takes gray, RGB and RGBA images, channels last or first, of any kind of number, and the last of
    a list of images. ValueError for all else.
    """
    if isinstance(shown, list | tuple) and all(np.ndim(image) >= 2 for image in shown):
        shown = shown[-1] if shown else None
    if shown is None:
        return None
    image = np.asarray(shown)
    if image.dtype.kind not in "buif" or image.size == 0:
        raise ValueError(f"render() gave {described(shown)}, which is no image")
    if image.ndim == 3 and image.shape[0] in (1, 3, 4) and image.shape[2] > 4:
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(f"render() gave {described(shown)}, which is no image")
    channels = image[..., :3] if image.shape[2] > 1 else image.repeat(3, axis=2)
    return np.array(_bytes(channels), order="C")


def _bytes(image: np.ndarray) -> np.ndarray:
    """Colors as uint8: fractions of at most 1 are shares of 255."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image * np.uint8(255)
    if image.dtype.kind == "f":
        image = np.nan_to_num(image, nan=0.0)
        if image.min() >= 0 and image.max() <= 1:
            image = image * 255
        image = np.rint(image)
    return image.clip(0, 255).astype(np.uint8)


def described(value: Any) -> str:
    """Names a value's type, and an array's numbers and shape, for a message of one line."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    if isinstance(value, dict | list | tuple | set):
        parts = f" of {len(value)}"
        if isinstance(value, dict):
            parts = f" with {', '.join(map(repr, list(value)[:5])) or 'no keys'}"
        return f"a {type(value).__name__}{parts}"
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else f"a {type(value).__name__}"
