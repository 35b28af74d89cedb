"""GIFs of games that fit into a page: the whole of them within a budget of bytes."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlexp.report.comparison import Comparison
from rlexp.report.groups import Group
from rlexp.report.reading import Run
from rlexp.report.table import number
from rlexp.run_dir import step_of
from rlexp.safe_files import read_bytes

BUDGET = 3_200_000  # bytes of all GIFs; base64 makes 4/3 of it
MOST = 12
WIDTH = HEIGHT = 320  # of one that has to be made smaller
FRAMES = 400  # read of such a one
FEW = 8  # with fewer frames it gets smaller instead
LEAST = 24  # pixels of the longer side, from which on it only loses frames


@dataclass(frozen=True)
class Game:
    """One GIF, as the page shows it."""

    source: str  # data: URL
    width: int
    height: int
    title: str
    caption: str
    alt: str


def games(result: Comparison, groups: Sequence[Group]) -> tuple[list[Game], list[str]]:
    """(the GIFs to show, what could not be read): of one run its evaluations, of several the last
    of each; of very many the middle run of the best settings."""
    chosen = _choose(result, groups)
    share = BUDGET // max(1, len(chosen))
    found, problems = [], []
    for label, run, path in chosen:
        try:
            data, (width, height) = fit(path, share)
        except Exception as ex:  # a damaged picture: Pillow raises what it likes
            problems.append(f"{path}: no GIF that can be read: {ex}")
            continue
        step = step_of(path)
        about = f"seed {run.seed}, step {step:,}"
        score = run.value(result.metric)
        if path == run.dir.gifs()[-1] and score is not None:
            about += f", score {number(score)}"
        alt = f"Animation: a game of the run with {label}, seed {run.seed}, at step {step:,}"
        url = "data:image/gif;base64," + base64.b64encode(data).decode()
        found.append(Game(url, width, height, label, about, alt))
    return found, problems


def _choose(result: Comparison, groups: Sequence[Group]) -> list[tuple[str, Run, Path]]:
    order = [s.group for s in result.ranked] + result.left_out
    order += [g for g in groups if not any(g is o for o in order)]
    runs = [(g.label, run) for g in order for run in g.runs if run.dir.gifs()]
    if len(runs) == 1:
        label, run = runs[0]
        paths = run.dir.gifs()
        count = min(6, len(paths))
        picked = [round(i * (len(paths) - 1) / max(1, count - 1)) for i in range(count)]
        return (
            [(label, run, paths[i]) for i in dict.fromkeys(picked)]
            if count > 1
            else [(label, run, paths[-1])]
        )
    if len(runs) > MOST:
        kept = []
        for group in order:
            shown = [run for run in group.runs if run.dir.gifs()]
            ranked = sorted(shown, key=lambda run: run.value(result.metric) or 0.0)
            if ranked:
                kept.append((group.label, ranked[(len(ranked) - 1) // 2]))
        runs = kept[:MOST]
    return [(label, run, run.dir.gifs()[-1]) for label, run in runs]


def fit(path: Path, budget: int) -> tuple[bytes, tuple[int, int]]:
    """(a GIF of at most `budget` bytes, its size): smaller and with fewer pictures if it has to
    be, at the speed it had. ValueError for what can't be made to fit, and for no GIF."""
    from PIL import Image, ImageSequence

    data = read_bytes(path, path.parent.parent)  # RUN/media/NAME.gif
    with Image.open(io.BytesIO(data)) as image:
        if image.format != "GIF":
            raise ValueError(f"it is {image.format}")
        if len(data) <= budget:
            image.verify()
            return data, image.size
        scale = min(1.0, WIDTH / image.width, HEIGHT / image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        stride = max(1, math.ceil(len(data) * scale**1.5 / budget))
        stride = max(stride, math.ceil(getattr(image, "n_frames", 1) / FRAMES))
        frames, durations = [], []
        for number_, frame in enumerate(ImageSequence.Iterator(image)):
            if number_ % stride == 0:
                frames.append(frame.convert("RGB").resize(size, Image.Resampling.BILINEAR))
                durations.append(0)
            durations[-1] += frame.info.get("duration", 50)
    colours = 128
    while len(made := _encode(frames, durations, colours)) > budget:
        if len(frames) >= FEW or (len(frames) > 1 and max(size) <= LEAST):
            frames = frames[::2]
            durations = [sum(durations[i : i + 2]) for i in range(0, len(durations), 2)]
        elif max(size) > LEAST:
            size = max(1, size[0] // 2), max(1, size[1] // 2)
            frames = [frame.resize(size, Image.Resampling.BILINEAR) for frame in frames]
        else:
            raise ValueError(f"it does not fit into {budget:,} bytes")
        colours = max(32, colours // 2)
    return made, size


def _encode(frames: Sequence[object], durations: Sequence[int], colours: int) -> bytes:
    from PIL import Image

    images = [
        f.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)  # type: ignore[attr-defined]
        for f in frames
    ]
    out = io.BytesIO()
    images[0].save(
        out, "GIF", save_all=True, append_images=images[1:], duration=list(durations), loop=0
    )
    return out.getvalue()
