"""The report: what it says, that it needs nobody, and that it can be read by everybody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import generated
from generated import picture
from rlexp.report import gifs, heat, page, svg

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sweep() -> Path:
    paths = generated.sweep(Path("sweep"), {1e-3: 400, 1e-2: 250, 1e-4: 100})
    for path in paths:
        picture(path / "media/eval_000100000.gif")
    return Path("sweep")


class Reader(HTMLParser):
    """Collects what a test looks at; every tag that opens must close."""

    VOID = ("meta", "link", "img", "br", "rect", "line", "circle", "path", "polygon", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> tuple[Reader, str]:
    found = Reader()
    found.feed(path.read_text())
    assert found.open == []
    return found, re.sub(r"\s+", " ", " ".join(found.text))


def test_a_sweep(main: Main, sweep: Path) -> None:
    code, out, err = main("report", "sweep")
    assert code == 0 and out == ""
    assert re.fullmatch(r"rlexp: report sweep/report.html \(\d\.\d MB, 12 runs\)\n", err)
    assert (sweep / "report.html").stat().st_size < 5_000_000
    found, text = read(sweep / "report.html")
    for told in (
        "lr=0.001 has the highest final mean return: 400, 95 % interval 395.5 … 404.5.",
        "It is clear: lr=0.001 is ahead of all others",
        "the difference is +150 (95 % interval 14",
        "12 runs · 3 settings · 4 seeds each · 100,000 environment steps each",
        "−300 (−30",
        "rlexp train agent.lr=0.001 seed=0",
        "0123456789abcdef0123456789abcdef01234567",
        "seed 3, step 100,000, score 404.5",
        "mean return of the last 100 episodes",
    ):
        assert told in text, told
    assert len(found.all("img")) == 12 and "id" in found.all("section")[1]
    ids = {a.get("id") for _, a in found.tags}
    for link in found.all("a"):
        assert str(link["href"])[1:] in ids


def test_nothing_is_fetched(main: Main, sweep: Path) -> None:
    main("report", "sweep")
    found, _ = read(sweep / "report.html")
    for _, attributes in found.tags:
        for name in ("src", "href", "action", "poster", "srcset"):
            assert str(attributes.get(name) or "#").startswith(("data:", "#")), attributes
    css = (page.ASSETS / "report.css").read_text()
    assert "url(" not in css and "@import" not in css
    js = (page.ASSETS / "report.js").read_text()
    assert not re.search(r"fetch\(|XMLHttp|import\(|WebSocket|http", js)
    (policy,) = [m for m in found.all("meta") if "Policy" in str(m.get("http-equiv"))]
    assert "default-src 'none'" in str(policy["content"])


def test_everybody_can_read_it(main: Main, sweep: Path) -> None:
    main("report", "sweep")
    found, _ = read(sweep / "report.html")
    assert all("seed" in str(image["alt"]) for image in found.all("img"))
    for drawn in found.all("svg"):
        assert drawn["role"] == "img" and drawn["aria-label"] and drawn["tabindex"] == "0"
    assert found.all("html")[0]["lang"] == "en"
    levels = [int(t[1]) for t, _ in found.tags if re.fullmatch(r"h[1-6]", t)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))
    assert all(th.get("scope") for th in found.all("th"))


def colours(theme: str) -> dict[str, tuple[int, int, int]]:
    """The variables of a theme, as the style sheet has them."""
    css = (page.ASSETS / "report.css").read_text()
    block = css[css.index(theme) :]
    pairs = re.findall(r"--(\w+): #(\w{6})", block[: block.index("}")])
    return {n: (int(v[:2], 16), int(v[2:4], 16), int(v[4:], 16)) for n, v in pairs}


@pytest.mark.parametrize("theme", [":root {", ':root[data-theme="dark"]', "@media print"])
def test_contrast(theme: str) -> None:
    """WCAG AA: 4.5 for text, 3 for what is drawn; curves carry text in their colour."""
    found = colours(theme)
    for ground in (found["ground"], found["panel"]):
        for name in ("ink", "soft", "accent", "warn"):
            assert heat.contrast(found[name], ground) >= 4.5, name
    for index in range(svg.COLOURS):
        assert heat.contrast(found[f"c{index}"], found["ground"]) >= 4.5
    assert heat.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)  # as WCAG has it


def test_the_dark_theme_is_one() -> None:
    assert colours("@media (prefers-color-scheme: dark)") == colours(':root[data-theme="dark"]')
    assert colours("@media print") == colours(":root {")


def test_numbers_on_a_heat_map_can_be_read() -> None:
    for share in np.linspace(-0.1, 1.1, 100):
        ground, ink = heat.shade(float(share))
        assert heat.contrast(ground, ink) >= 4.5


def test_what_a_user_wrote_is_text(main: Main) -> None:
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    generated.run(Path("a"), 0, agent__note=nasty)
    generated.run(Path("b"), 0, agent__note='"quoted" & <b>')
    assert main("report", "a", "b", f"title={nasty}", "out=x.html")[0] == 0
    found, text = read(Path("x.html"))
    assert found.all("img") == [] and len(found.all("script")) == 2
    assert nasty in text and not any("onerror" in a for _, a in found.tags)


def test_a_gif_is_made_to_fit(tmp_path: Path) -> None:
    path = picture(tmp_path / "eval_000000001.gif", 200)
    whole = path.read_bytes()
    assert gifs.fit(path, len(whole))[0] == whole
    small, size = gifs.fit(path, 200_000)
    assert len(small) <= 200_000 < len(whole) and size == (160, 96)
    (tmp_path / "small.gif").write_bytes(small)
    durations = []
    for file in (path, tmp_path / "small.gif"):
        with Image.open(file) as image:
            total = 0
            for i in range(image.n_frames):
                image.seek(i)
                total += image.info["duration"]
            durations.append(total)
    assert durations[1] == pytest.approx(durations[0], rel=0.02)  # at the speed it had


def test_many_large_gifs_stay_under_five_megabytes(main: Main) -> None:
    for path in generated.sweep(Path("sweep"), {1e-3: 400, 1e-2: 250, 1e-4: 100}):
        picture(path / "media/eval_000100000.gif", 25, (120, 240))
    size = sum(p.stat().st_size for p in Path("sweep").rglob("*.gif"))
    assert main("report", "sweep")[0] == 0
    assert size > 5_000_000 and Path("sweep/report.html").stat().st_size < 5_000_000


@pytest.mark.parametrize(
    ("frames", "size"), [(1, (1500, 1500)), (7, (400, 700)), (3, (6000, 120)), (900, (24, 40))]
)
def test_a_gif_of_any_shape_is_made_to_fit(
    tmp_path: Path, frames: int, size: tuple[int, int]
) -> None:
    """Few frames, high ones, many small ones: none goes beyond its share."""
    path = picture(tmp_path / "eval_000000001.gif", frames, size)
    assert path.stat().st_size > 260_000
    data, (width, height) = gifs.fit(path, 260_000)
    assert len(data) <= 260_000 and 1 <= width <= gifs.WIDTH and 1 <= height <= gifs.HEIGHT
    (tmp_path / "small.gif").write_bytes(data)
    with Image.open(tmp_path / "small.gif") as image:
        assert image.size == (width, height)


def test_few_frames_do_not_burst_a_report(main: Main) -> None:
    paths = generated.sweep(Path("sweep"), {1e-3: 400, 1e-2: 250, 1e-4: 100})
    gif = picture(paths[0] / "media/eval_000100000.gif", 2, (1400, 500))
    for path in paths[1:]:
        (path / "media").mkdir(exist_ok=True)
        os.link(gif, path / "media/eval_000100000.gif")
    patch = {"git_patch": "diff --git a/x b/x\n+" + "0123456789" * 50_000}
    for path in paths:
        system = json.loads((path / "system.json").read_text())
        (path / "system.json").write_text(json.dumps(system | patch))
    assert 12 * gif.stat().st_size > 10_000_000
    assert main("report", "sweep")[0] == 0
    assert Path("sweep/report.html").stat().st_size < 5_000_000
    found, text = read(Path("sweep/report.html"))
    assert len(found.all("img")) == 12 and "… and so on: 500,020 characters" in text


def test_the_old_page_stays_until_the_new_one_is_whole(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated.run(Path("a"), 0)
    assert main("report", "a", "out=pages/x.html")[0] == 0
    Path("linked.html").symlink_to("pages/x.html")
    before = Path("pages/x.html").read_text()
    with monkeypatch.context() as patched:

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(os, "replace", full)
        code, _, err = main("report", "a", "out=pages/x.html", "title=New")
    told = "rlexp: out=pages/x.html can't be written: No space left on device\n"
    assert code == 2 and err == told
    assert Path("pages/x.html").read_text() == before and len(list(Path("pages").iterdir())) == 1
    assert main("report", "a", "out=linked.html", "title=New")[0] == 0
    assert Path("linked.html").is_symlink() and "New" in Path("pages/x.html").read_text()


def test_names_that_are_no_text(rlexp: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Directories from a machine that wrote Latin-1."""
    for seed, name in enumerate((b"outputs/caf\xe9_0", b"outputs/caf\xe8_1")):
        generated.run(Path(os.fsdecode(name)), seed)
    Path(os.fsdecode(b"outputs/caf\xe9_0/system.json")).write_text("{")
    for words in (["runs"], ["runs", "--json"], ["watch", "outputs"], ["compare", "outputs"],
                  ["compare", "outputs", "--json"], ["report", "outputs"]):  # fmt: skip
        done = rlexp(*words)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert "caf\\udce9_0" in rlexp("runs").stdout
    assert "caf\\udce9_0" in read(Path("outputs/report.html"))[1]


def test_facts_are_what_was_used(main: Main) -> None:
    """Not what the config asked for: auto is no device, and null no number of threads."""
    for seed in range(2):
        path = generated.run(Path(f"s/{seed}"), seed, device__name="auto", device__threads=None)
        system = json.loads((path / "system.json").read_text()) | {"cores_used": 1}
        used = {"name": "cuda" if seed else "cpu", "threads": 1, "shards": 3, "why": "3 of 4 cores"}
        (path / "system.json").write_text(json.dumps(system | {"device": used}))
    assert main("report", "s")[0] == 0
    text = read(Path("s/report.html"))[1]
    text = text[text.rindex("System system") :]
    assert "cpu (1 run)" in text and "cuda (1 run)" in text and "threads 3" in text
    assert "cores it had 1" in text and "auto" not in text and "null" not in text
    generated.run(Path("old"), 0, device__threads=7)  # before it was recorded
    assert main("report", "old")[0] == 0
    assert "threads" not in read(Path("old/report.html"))[1].partition("Python")[2]


def test_one_run_shows_how_it_learnt(main: Main) -> None:
    path = generated.run(Path("a"), 0, score=7)
    for step in range(10):
        picture(path / f"media/eval_{step:09d}.gif", 2)
    picture(path / "media/eval_2026-01-01_step_000000001_best.gif", 2)  # of rlexp eval
    assert main("report", "a")[0] == 0
    found, text = read(Path("a/report.html"))
    assert len(found.all("img")) == 6 and "One setting, 1 run: final mean return 7." in text


def test_rubbish_is_named(main: Main, sweep: Path) -> None:
    paths = sorted(sweep.glob("0*"))
    (paths[0] / "metrics.csv").write_bytes(b"\0\xff")
    (paths[1] / "config.yaml").write_text("a: [")
    (paths[2] / "media/eval_000100000.gif").write_bytes(b"GIF89a, or not")
    (paths[3] / "system.json").write_text("{")
    for file in paths[4].iterdir():
        if file.is_file() and file.name != "config.yaml":
            file.write_bytes(b"")
    code, _, err = main("report", "sweep")
    assert code == 0
    _, text = read(sweep / "report.html")
    for path, file in zip(
        paths, ("metrics.csv", "config.yaml", "eval_000100000.gif", "system.json", "metrics.csv"),
        strict=False,
    ):  # fmt: skip
        assert any(path.name in line and file in line for line in err.splitlines()), file
        assert path.name in text[text.index("Not read, or left out") :]


def test_runs_that_failed_or_never_began(main: Main) -> None:
    generated.run(Path("s/a"), 0, state="failed")
    generated.run(Path("s/b"), 1, state="failed", rows=1)
    (Path("s/b/metrics.csv")).unlink()
    assert main("report", "s")[0] == 0
    _, text = read(Path("s/report.html"))
    assert "No run is finished yet" in text and "NonFinite: loss/total is nan" in text
    for path in Path("s").glob("*/metrics.csv"):
        path.write_text("step,train/return\n")
    assert main("report", "s")[0] == 0
    assert "No run has a score yet." in read(Path("s/report.html"))[1]


def test_a_sweep_over_three_keys(main: Main) -> None:
    index = 0
    for lr in (1e-4, 1e-3, 1e-2):
        for hidden in ([8], [8, 8]):
            for size in (32, 64):
                for seed in range(3):
                    generated.run(
                        Path(f"s/{index:03d}"), seed, rows=20, score=len(hidden) * size + seed,
                        agent__lr=lr, agent__hidden=hidden, agent__batch_size=size,
                    )  # fmt: skip
                    index += 1
    assert main("report", "s")[0] == 0
    found, text = read(Path("s/report.html"))
    ways = [a for tag, a in found.tags if tag == "polyline"]
    assert len(ways) == 2 * 12 and sum(a["class"] == "way best" for a in ways) == 2
    assert "IQM by agent.lr and agent.hidden, mean over the other keys" in text
    assert "The best of 12 settings owes something to luck" in text


def test_mistakes(main: Main) -> None:
    generated.run(Path("a"), 0)
    for arguments, message in (
        (["a", "metric=eval/retrun_mean"], "Did you mean 'eval/return_mean'"),
        (["a", "gifs=yes"], "gifs=yes must be true or false"),
        (["a", "better=x"], "better=x must be"),
        (["a", "out=/proc/x/y.html"], "can't be written"),
        (["a", "titel=x"], "Did you mean 'title'"),
        (["nope"], "no run or checkpoint"),
    ):
        code, _, err = main("report", *arguments)
        assert code == 2 and message in err and err.count("\n") == 1


def test_two_hundred_runs() -> None:
    lrs = {round(1e-4 * 1.1**i, 7): 100.0 + i for i in range(50)}
    generated.sweep(Path("sweep"), lrs)
    command = [sys.executable, "-X", "importtime", "-m", "rlexp.cli", "report", "sweep"]
    began = os.times()
    done = subprocess.run(command, capture_output=True, text=True)
    ended = os.times()
    assert done.returncode == 0 and Path("sweep/report.html").stat().st_size < 5_000_000
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "gymnasium", "hydra", "omegaconf", "matplotlib", "scipy"}
    # Processor time: what it takes on a machine that does nothing else.
    assert ended.children_user - began.children_user < 3


def test_ticks() -> None:
    assert svg.ticks(0, 500, 5) == [0, 200, 400] or svg.ticks(0, 500, 6) == [
        0,
        100,
        200,
        300,
        400,
        500,
    ]
    assert svg.ticks(-0.05, 0.025, 5) == [-0.04, -0.02, 0.0, 0.02]
    assert svg.ticks(3, 3) == [3] and svg.ticks(0, 1, 3) == [0, 0.5, 1]
    assert [svg.steps_text(s) for s in (0, 900, 1500, 2_500_000)] == ["0", "900", "1.5k", "2.5M"]
