"""What is recorded of an episode: bounded memory, whole episodes, and the right speed."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rlexp.media import gif, mp4
from rlexp.recording import FrameRecorder


def recorded(frames: int, **limits: int) -> FrameRecorder:
    recorder = FrameRecorder(**limits)
    for number in range(frames):
        recorder.append(np.full((4, 6, 3), number % 250, dtype=np.uint8))
    return recorder


def numbers(recorder: FrameRecorder) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in recorder]


def test_short_episodes_are_kept_whole() -> None:
    recorder = recorded(5)
    assert numbers(recorder) == [0, 1, 2, 3, 4] and recorder.fps(15) == 15
    assert not FrameRecorder() and len(FrameRecorder()) == 0


@pytest.mark.parametrize("frames", [9, 10, 11, 100, 201])
def test_long_episodes_are_thinned_from_the_first_picture_to_the_last(frames: int) -> None:
    recorder = recorded(frames, most=8)
    shown = numbers(recorder)
    assert 4 <= len(shown) <= 9 and shown[0] == 0 and shown[-1] == frames - 1
    assert set(np.diff(shown[:-1])) == {recorder.stride}
    # The episode takes as long as its steps did, but for what the last picture adds.
    assert abs(len(shown) / recorder.fps(15) - frames / 15) < 2 * recorder.stride / 15


def test_past_the_budget_pictures_are_compressed_without_loss() -> None:
    recorder = recorded(100, budget=2000)  # 72 bytes each
    assert numbers(recorder) == list(range(100)) and recorder.stride == 1
    assert recorder.bytes <= 2000
    rng = np.random.default_rng(0)
    noise = rng.integers(256, size=(50, 40, 30, 3), dtype=np.uint8)
    recorder = FrameRecorder(budget=40_000)
    for frame in noise:
        recorder.append(frame)
    assert recorder.bytes <= 40_000 and recorder.stride == 8
    for kept, frame in zip(recorder, noise[::8], strict=False):
        np.testing.assert_array_equal(kept, frame)


def test_a_picture_that_the_environment_draws_over_is_copied() -> None:
    canvas, recorder = np.zeros((4, 6, 3), np.uint8), FrameRecorder()
    for number in range(3):
        canvas[:] = number
        recorder.append(canvas)
    assert numbers(recorder) == [0, 1, 2]


def test_huge_pictures_are_shrunk() -> None:
    recorder = FrameRecorder()
    recorder.append(np.full((2161, 3840, 3), 200, dtype=np.uint8))
    assert recorder[0].shape == (720, 1280, 3) and (recorder[0] == 200).all()
    assert recorder[-1] is not None
    with pytest.raises(IndexError):
        recorder[1]


MEASURED = """
import resource, sys
import numpy as np
from rlexp.envs.base import BatchEnv
from rlexp.evaluate import evaluate
from rlexp.media import gif, mp4
from rlexp.types import SOLO, EnvSpec
from gymnasium.spaces import Box, Discrete
from pathlib import Path

NOISE = np.random.default_rng(0).integers(256, size=(500, 600, 3), dtype=np.uint8)

class Long(BatchEnv):
    def __init__(self):
        spec = EnvSpec({SOLO: Box(0, 1, (1,))}, {SOLO: Discrete(2)}, 1)
        super().__init__(spec, 400)
        self.moves = 0
    def reset_rows(self, rows): self.moves = 0
    def step_rows(self, actions):
        self.moves += 1
        return np.ones(1), np.zeros(1, bool), {}
    def observe_rows(self): return np.zeros((1, 1), np.float32)
    def game_state(self): return {}
    def load_game_state(self, state): pass
    def render(self, row):
        shift = self.moves % 100
        return NOISE[shift : shift + 400] if sys.argv[1] == "noise" else LINES[shift : shift + 400]

LINES = np.repeat(NOISE[:, :1], 600, axis=1)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
before = peak()
result = evaluate(Long(), lambda tick: {SOLO: np.zeros(1, np.int64)}, 1, 0, [(0, 0)])
(frames,) = result.frames.values()
gif.write(Path("a.gif"), (frame for frame in frames), frames.fps(30))
print(int(peak() - before), len(frames), frames.stride)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
@pytest.mark.parametrize("picture", ["noise", "lines"])
def test_an_episode_of_large_pictures_stays_within_memory(picture: str, tmp_path: Path) -> None:
    """400x600 pictures, in a process of its own: raw they are 290 MB."""
    command = [sys.executable, "-c", MEASURED, picture]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    megabytes, frames, stride = map(int, done.stdout.split())
    assert megabytes < 160
    assert stride == {"noise": 8, "lines": 1}[picture] and frames >= 400 / stride
    with Image.open(tmp_path / "a.gif") as shown:
        duration = 0
        for number in range(shown.n_frames):
            shown.seek(number)
            duration += shown.info["duration"]
    assert abs(duration - 1000 * (400 / 30 + 1)) < 1500  # the last stays for a second


@pytest.mark.parametrize("colors", [200, 4000])
def test_a_streamed_gif_shows_what_pillows_shows_and_is_no_larger(colors: int) -> None:
    rng = np.random.default_rng(0)
    palette = rng.integers(256, size=(colors, 3), dtype=np.uint8)
    frames = [palette[rng.integers(colors, size=(60, 90))]]
    for number in range(8):
        frames.append(frames[-1].copy())
        if number != 3:  # one is as the one before it
            frames[-1][number : number + 25, 4:39] = palette[rng.integers(colors, size=(25, 35))]
    images = [
        Image.fromarray(f).quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        for f in frames
    ]
    pillows = io.BytesIO()
    durations = [100] * 8 + [1000]
    images[0].save(
        pillows, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0
    )
    streamed = gif.encode(iter(frames), 10)
    assert len(streamed) <= len(pillows.getvalue())
    with Image.open(io.BytesIO(streamed)) as ours, Image.open(pillows) as theirs:
        assert ours.n_frames == theirs.n_frames == 8 and ours.info["loop"] == 0
        for number in range(8):
            ours.seek(number)
            theirs.seek(number)
            assert ours.info["duration"] == theirs.info["duration"]
            np.testing.assert_array_equal(
                np.asarray(ours.convert("RGB")), np.asarray(theirs.convert("RGB"))
            )


@pytest.mark.parametrize(("fps", "count"), [(3.75, 40), (15, 40), (30, 100), (60, 120), (125, 300)])
def test_a_gif_takes_as_long_as_its_episode(fps: float, count: int) -> None:
    """Though it counts hundredths of a second, and shows nothing for less than two."""
    frames = [np.full((4, 4, 3), i % 2 * 200, dtype=np.uint8) for i in range(count)]
    frames = [f + np.uint8(i % 50) for i, f in enumerate(frames)]
    with Image.open(io.BytesIO(gif.encode(frames, fps))) as shown:
        durations = []
        for number in range(shown.n_frames):
            shown.seek(number)
            durations.append(shown.info["duration"])
    assert min(durations) >= 20 and durations[-1] == 1000
    assert abs(sum(durations[:-1]) - 1000 * (count - 1) / fps) <= 20


def test_a_video_is_streamed_at_the_speed_of_what_is_left(tmp_path: Path) -> None:
    recorder = FrameRecorder(most=8)
    for number in range(64):
        recorder.append(np.full((32, 48, 3), 3 * number, dtype=np.uint8))
    path = mp4.write(tmp_path / "a.mp4", (f for f in recorder), recorder.fps(16))
    video = cv2.VideoCapture(str(path))
    fps, frames = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    assert fps == pytest.approx(16 / recorder.stride)
    assert frames / fps == pytest.approx(64 / 16 + 1, abs=2 / fps)
