"""GIFs of games."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def encode(frames: Sequence[np.ndarray], fps: float) -> bytes:
    """RGB pictures uint8 [H, W, 3] → a looping GIF. The last picture stays for a second.

    GIF counts hundredths of a second, and players slow down what is shown for less than two.
    """
    if not frames:
        raise ValueError("a GIF needs at least one picture")
    shown = max(20, round(100 / fps) * 10)
    images = [
        Image.fromarray(f).quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        for f in frames
    ]
    out = io.BytesIO()
    durations = [shown] * (len(images) - 1) + [max(shown, 1000)]
    images[0].save(out, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return out.getvalue()


def write(path: Path, frames: Sequence[np.ndarray], fps: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(frames, fps))
    return path
