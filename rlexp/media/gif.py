"""GIFs of games."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image
from PIL.GifImagePlugin import getdata, getheader

SHORTEST = 2  # hundredths of a second: players slow down what is shown for less
LAST = 100


def encode(frames: Iterable[np.ndarray], fps: float) -> bytes:
    """RGB pictures uint8 [H, W, 3] → a looping GIF. The last picture stays for a second."""
    out = io.BytesIO()
    _stream(out, frames, fps)
    return out.getvalue()


def write(path: Path, frames: Iterable[np.ndarray], fps: float) -> Path:
    """The same into a file, one picture after the other: no more than two are held at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as out:
        _stream(out, frames, fps)
    return path


def _stream(out: IO[bytes], frames: Iterable[np.ndarray], fps: float) -> None:
    """Of each picture after the first the part that changed; one that is alike lengthens it."""
    part: Image.Image | None = None
    options: dict[str, Any] = {}
    shown = 0
    before = np.empty(0)
    for frame, hundredths in _timed(frames, fps):
        image = Image.fromarray(frame)
        image = image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        palette = np.array(image.getpalette(), dtype=np.uint8).reshape(-1, 3)
        indices = np.asarray(image)
        colors = palette[indices]  # every picture has a palette of its own: compare colors
        if part is None:
            part, _ = _compact(indices, palette, np.ones(indices.shape, dtype=bool))
            header, _ = getheader(part, info={"loop": 0, "duration": 10})
            out.write(b"".join(header))
            before, shown = colors, hundredths
            continue
        changed = (colors != before).any(2)
        if not changed.any():
            shown += hundredths
            continue
        out.writelines(getdata(part, duration=10 * shown, **options))
        rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        part, clear = _compact(indices[box], palette, changed[box])
        options = {"offset": (int(columns[0]), int(rows[0])), "include_color_table": True} | clear
        before, shown = colors, hundredths
    if part is None:
        raise ValueError("a GIF needs at least one picture")
    out.writelines(getdata(part, duration=10 * shown, **options))
    out.write(b";")


def _compact(
    indices: np.ndarray, palette: np.ndarray, changed: np.ndarray
) -> tuple[Image.Image, dict[str, int]]:
    """(a picture with the colors it uses, and its transparent one), clear where nothing changed."""
    used = np.flatnonzero(np.bincount(indices[changed], minlength=256))
    clear = {"transparency": len(used)} if len(used) < 256 and not changed.all() else {}
    if not clear:
        used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    places = np.zeros(256, dtype=np.uint8)
    places[used] = np.arange(len(used))
    compact = places[indices]
    if clear:
        compact[~changed] = len(used)
    height, width = indices.shape
    image = Image.frombytes("P", (width, height), compact.tobytes())
    image.putpalette(palette[used].tobytes() + bytes(3 * len(clear)))
    return image, clear


def _timed(frames: Iterable[np.ndarray], fps: float) -> Iterator[tuple[np.ndarray, int]]:
    """Pictures and for how many hundredths of a second each is shown; rounding never adds up.

    Where pictures follow each other faster than players show them, some are left out.
    """
    held: np.ndarray | None = None
    since = count = 0
    for count, frame in enumerate(frames):
        now = round(100 * count / fps)
        if held is not None:
            if now - since < SHORTEST:
                held = frame
                continue
            yield held, now - since
        held, since = frame, now
    if held is not None:
        yield held, max(LAST, round(100 * (count + 1) / fps) - since)
