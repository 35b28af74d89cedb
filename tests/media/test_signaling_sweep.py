"""The sweep figure of the signaling game: from run directories to cells."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from rlexp.media.signaling_sweep import Cell, collect, draw, heatmap
from rlexp.run_dir import RunDir
from rlexp.sweep.finish import load_figure

HELDOUT, TRAIN = "eval/success_rate/heldout", "eval/success_rate/train"


def run(
    name: str,
    classes: object,
    length: int,
    values: dict[str, float],
    extra: str = "",
    seed: int = 0,
) -> RunDir:
    """A finished run that logged `values` at step 20, after zeros at step 10."""
    made = RunDir(Path("sweep") / name)
    made.path.mkdir(parents=True)
    env = {"name": "signaling", "classes": classes, "length": length, "vocabulary": 2}
    made.config.write_text(yaml.safe_dump({"env": env}))
    words = ["experiment=signaling_ppo", f"env.classes={classes}", f"env.length={length}",
             f"seed={seed}", *([extra] if extra else [])]  # fmt: skip
    made.overrides.write_text(yaml.safe_dump(words))
    names = ",".join(["step", *values])
    numbers = ",".join(["20", *map(str, values.values())])
    made.metrics.write_text(f"{names}\n10{',0.0' * len(values)}\n{numbers}\n")
    return made


def texts(ax: object) -> list[str]:
    return [t.get_text() for t in ax.texts]  # type: ignore[attr-defined]


def test_runs_become_cells() -> None:
    runs = [
        run("a", ["lion", "rabbit"], 5, {HELDOUT: 0.75, TRAIN: 0.9, "eval/purity/heldout": 0.8}),
        run("b", 100, 5, {HELDOUT: 0.1}, extra="agent.lr=0.1"),
        run("c", 100, 3, {TRAIN: 0.2}),
    ]
    cells, shown = collect(runs)
    assert shown == "held-out images"
    assert cells == [
        Cell(2, 5, 2, "", 0.75, 0.8),
        Cell(100, 5, 2, "agent.lr=0.1", 0.1, None),
        Cell(100, 3, 2, "", None, None),  # not mixed with what was measured on training images
    ]
    assert [cell.bound for cell in cells] == [1.0, 0.32, 0.08]
    assert collect(runs[2:])[1] == "training images"


def test_two_keys_make_a_map() -> None:
    cells = [
        Cell(2, 1, 2, "", 0.75, None), Cell(2, 1, 2, "", 0.85, None),
        Cell(2, 5, 2, "", 0.9, 0.95), Cell(10, 1, 2, "", 0.15, None),
        Cell(10, 5, 2, "", None, None), Cell(100, 5, 2, "", 0.3, 0.31),
    ]  # fmt: skip
    drawn = draw(cells, "held-out images")
    (ax,) = drawn.axes
    assert drawn.get_suptitle() == "Success on held-out images; vocabulary 2"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "5"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["2", "10", "100"]
    assert texts(ax) == [
        "0.80 / 1.00\n2 runs", "0.90 / 1.00\npurity 0.95", "0.15 / 0.20", "no value",
        "no run", "0.30 / 0.32\npurity 0.31",
    ]  # fmt: skip
    picture = ax.images[0].get_array()
    assert picture[0, 0] == pytest.approx(0.8) and picture.mask.tolist() == [
        [False, False], [False, True], [True, False]
    ]  # fmt: skip
    assert sorted(p.get_xy() for p in ax.patches if p.get_hatch()) == [(-0.5, 0.5), (0.5, 1.5)]


def test_three_keys_make_panels() -> None:
    cells = [Cell(c, n, v, "", 0.5, None) for c in (2, 4) for n in (1, 2) for v in (2, 8)]
    drawn = draw(cells, "held-out images")
    assert [ax.get_title(loc="left") for ax in drawn.axes] == ["vocabulary 2", "vocabulary 8"]
    assert texts(drawn.axes[0])[2] == "0.50 / 0.50" and texts(drawn.axes[1])[2] == "0.50 / 1.00"


def test_one_key_makes_a_curve_with_its_bounds() -> None:
    cells = [Cell(c, 5, 2, "", s, p) for c, s, p in
             ((2, 0.9, 0.95), (2, 0.7, 0.85), (50, 0.5, None), (100, None, None))]  # fmt: skip
    (ax,) = draw(cells, "held-out images").axes
    heights = {
        line.get_label(): [segment[0][1] for segment in line.get_segments()]
        for line in ax.collections
    }
    assert heights["capacity bound"] == pytest.approx([1.0, 0.64, 0.32])
    assert heights["chance"] == pytest.approx([0.5, 0.02, 0.01])
    assert heights["purity of the messages"] == pytest.approx([0.9])
    mean, dots = ax.lines
    assert mean.get_ydata()[:2] == pytest.approx([0.8, 0.5]) and mean.get_ydata()[2] != 0
    assert list(dots.get_ydata()) == [0.9, 0.7]


def test_the_figure_of_a_sweep() -> None:
    figure = load_figure("rlexp.media.signaling_sweep:heatmap")
    assert figure is heatmap
    runs = [
        run(f"{c}{n}{rate}", c, n, {TRAIN: 0.5}, f"agent.lr={rate}", seed)
        for seed, (c, n, rate) in enumerate(
            (c, n, rate) for c in (2, 8) for n in (1, 3) for rate in (0.1, 0.2)
        )
    ]
    path = heatmap(Path("sweep"), runs)
    assert path == Path("sweep/signaling_sweep.png")
    assert min(Image.open(path).size) > 200
    same = [run(f"seed{k}", 2, 5, {TRAIN: 0.5}, seed=k) for k in range(2)]
    assert heatmap(Path("sweep"), same) == path


def test_nothing_to_show() -> None:
    runs = [run("a", 2, 5, {"train/reward": 0.5})]
    (runs[0].path / "metrics.csv").rename(runs[0].path / "kept")
    assert heatmap(Path("sweep"), runs) is None
    (runs[0].path / "kept").rename(runs[0].metrics)
    assert heatmap(Path("sweep"), runs) is None
