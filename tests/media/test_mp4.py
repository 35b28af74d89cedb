"""Videos: what was written can be read again, frame by frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from rlexp.media import mp4


@pytest.mark.parametrize("shape", [(48, 64), (47, 65)])
def test_a_video_holds_the_frames_and_their_colours(shape: tuple[int, int], tmp_path: Path) -> None:
    colours = [(250, 20, 20), (20, 250, 20), (20, 20, 250)]
    frames = [np.full((*shape, 3), c, dtype=np.uint8) for c in colours for _ in range(5)]
    path = mp4.write(tmp_path / "new" / "game.mp4", frames, 10)
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FPS) == 10
    found = []
    while (read := video.read())[0]:
        found.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    assert len(found) == 15 + 10  # the last one stays for a second
    assert found[0].shape == (48, 64 + 2 * (shape[1] == 65), 3)
    for frame, wanted in zip(found[2::5], colours, strict=False):
        assert np.abs(frame.mean((0, 1)) - wanted).max() < 25
    assert b"vp09" in path.read_bytes()  # what browsers look for


def test_no_frames_no_video(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        mp4.write(tmp_path / "game.mp4", [], 10)
