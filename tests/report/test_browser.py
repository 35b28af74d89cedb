"""The report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import browser
import generated
from generated import picture
from rlexp import cli

pytestmark = pytest.mark.skipif(browser.path() is None, reason="no chromium on this machine")


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[tuple[browser.Browser, Path]]:
    for path in generated.sweep(Path("sweep"), {1e-3: 400, 1e-2: 250, 1e-4: 100}):
        picture(path / "media/eval_000100000.gif", 3, (40, 60))
    assert cli.main(["report", "sweep"]) == 0
    with browser.Browser(tmp_path / "profile") as opened:
        yield opened, Path("sweep/report.html")


TIP = "document.getElementById('tip')"
CHART = "document.querySelector('svg.wide[data-chart]')"


def middle(page: browser.Browser, script: str) -> tuple[float, float]:
    page.value(f"{script}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    page.value("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    box = f"{script}.getBoundingClientRect()"
    x, y = page.value(f"[{box}.left + {box}.width / 2, {box}.top + {box}.height / 2]")
    return x, y


def test_in_a_browser(shown: tuple[browser.Browser, Path]) -> None:
    page, file = shown
    page.open(file)
    page.until("[...document.images].every((i) => i.complete && i.naturalWidth === 60)")
    # Pointing at the curves gives values, the best first.
    page.point(*middle(page, CHART))
    page.until(f"!{TIP}.hidden")
    lines = page.value(f"[...{TIP}.children].map((c) => c.textContent)")
    assert lines[0].startswith("step ") and [x.partition(":")[0] for x in lines[1:]] == [
        "lr=0.001", "lr=0.01", "lr=0.0001",
    ]  # fmt: skip
    assert "…" in lines[1]
    # So do the arrow keys.
    page.value(f"{CHART}.focus()")
    page.press("Home")
    assert page.value(f"{TIP}.firstChild.textContent") == "step 1,000"
    page.press("ArrowRight")
    assert page.value(f"{TIP}.firstChild.textContent") == "step 2,000"
    page.press("Escape")
    assert page.value(f"{TIP}.hidden")
    # The legend takes a curve away.
    key = "document.querySelector('button[data-series=\"0\"]')"
    page.value(f"{key}.click()")
    assert page.value(f"{key}.getAttribute('aria-pressed')") == "false"
    assert page.value(f"getComputedStyle({CHART}.querySelector('.line.s0')).display") == "none"
    page.point(*middle(page, CHART))
    page.until(f"!{TIP}.hidden && !{TIP}.textContent.includes('lr=0.001:')")
    # Scores tell by keys, too.
    page.value("document.querySelector('svg.tips.wide').focus()")
    page.press("ArrowDown")
    assert page.value(f"{TIP}.textContent").startswith("lr=0.001: IQM 400, 395.5 … 404.5")
    # The theme, and the games, by button.
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.value(ground) == "rgb(255, 255, 255)"
    for expected in ("light", "dark"):
        page.value("document.getElementById('theme').click()")
        assert page.value("document.getElementById('theme').textContent") == f"Theme: {expected}"
    assert page.value(ground) == "rgb(20, 23, 27)"
    page.value("document.getElementById('pause').click()")
    assert page.value("document.querySelectorAll('.game canvas').length") == 12
    page.value("document.getElementById('pause').click()")
    assert page.value("document.querySelector('.game canvas').style.display") == "none"
    assert page.errors == [] and set(page.asked) == {file.resolve().as_uri()}


def test_dark_still_small_and_on_paper(shown: tuple[browser.Browser, Path]) -> None:
    page, file = shown
    page.open(file, dark=True, reduced=True)
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    page.until("document.querySelectorAll('.game canvas').length === 12")  # nothing moves
    for width in (1200, 768, 375, 320):
        page.open(file, width=width)
        assert page.value("document.documentElement.scrollWidth") <= width
        table = "document.querySelector('#scores .scroll')"
        assert width < 1200 or page.value(f"{table}.scrollWidth <= {table}.clientWidth")
        wide = page.value("getComputedStyle(document.querySelector('svg.wide')).display")
        assert wide == ("none" if width < 640 else "block")
    page.pdf(Path("report.pdf"))
    assert Path("report.pdf").read_bytes().startswith(b"%PDF")
    page.screenshot(Path("report.png"))
    assert page.errors == []
