"""Videos of games: VP9 in MP4, which every current browser plays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

# What OpenCV's wheels can write: they bring no H.264 encoder, and browsers don't play mp4v.
CODEC = "vp09"


def write(path: Path, frames: Iterable[np.ndarray], fps: float) -> Path:
    """RGB pictures uint8 [H, W, 3], all of one size → a file. The last stays for a second.

    Sizes are even in a video: an odd one repeats its last row or column. OSError where OpenCV
    can't write VP9.
    """
    coming = iter(frames)
    frame = next(coming, None)
    if frame is None:
        raise ValueError("a video needs at least one picture")
    height, width = frame.shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (width + width % 2, height + height % 2)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODEC), float(fps), size)
    if not writer.isOpened():
        raise OSError(0, "this OpenCV writes no VP9 video", str(path))
    try:
        for shown in chain([frame], coming):
            picture = cv2.cvtColor(np.ascontiguousarray(shown), cv2.COLOR_RGB2BGR)
            if picture.shape[1::-1] != size:
                below, right = size[1] - height, size[0] - width
                picture = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
            writer.write(picture)
        for _ in range(math.ceil(fps)):
            writer.write(picture)
    finally:
        writer.release()
    return path
