"""The image sets: what is held out, what the seed decides, and mistakes in one line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlexp.envs import datasets
from rlexp.envs.images.base import Pictures, chosen, collect
from rlexp.envs.images.digits import Digits
from rlexp.envs.images.emoji import Augmentation, Emoji
from rlexp.envs.images.load import load
from rlexp.envs.images.shapes import COLOURS, SHAPES, Shapes
from rlexp.errors import UserError

PLAIN = Augmentation(flip=False, shift=0, brightness=0.0, background="white")
FULL = Augmentation(flip=True, shift=4, brightness=0.3, background="random")


def drawn(images: str, classes: Any, seed: int = 0, **changes: Any) -> Pictures:
    values = {
        "train": 100, "held_out": None, "augmentation": FULL, "data_dir": "", "download": False,
    }  # fmt: skip
    return load(images=images, classes=classes, seed=seed, **(values | changes))


def test_emoji_as_shipped() -> None:
    emoji = Emoji(PLAIN)
    counts = {name: len(glyphs) for name, glyphs in emoji.drawings.items()}
    assert counts == {
        "lion": 1, "rabbit": 2, "cat": 12, "dog": 5, "bird": 19, "bug": 12, "fish": 7,
        "fruit": 20, "vegetable": 17, "flower": 11, "vehicle": 33, "building": 22,
    }  # fmt: skip
    assert emoji.names["rabbit"] == ["rabbit", "rabbit2"] and "shark" in emoji.names["fish"]
    for name, glyphs in emoji.drawings.items():
        assert glyphs.shape[1:] == (32, 32, 4) and glyphs.dtype == np.uint8
        assert len(emoji.names[name]) == len(glyphs)


def test_emoji_hold_out_glyphs_where_there_are_several() -> None:
    emoji = Emoji(PLAIN)
    told = {name: emoji.held_out_by(name) for name in emoji.classes}
    assert told.pop("lion") == told.pop("rabbit") == "augmentations"
    assert set(told.values()) == {"glyphs"}
    for name in told:
        kept, held = emoji.glyphs_of(name, 3)
        assert not set(kept) & set(held) and len(held) == round(len(kept + held) / 3) >= 2
        assert sorted(kept + held) == list(range(len(emoji.drawings[name])))
        # Without augmentation a picture is its glyph, so the two parts must share none.
        train, test = emoji.draw(name, 40, 30, 3)
        assert {p.tobytes() for p in train}.isdisjoint({p.tobytes() for p in test})
        assert len({p.tobytes() for p in test}) == len(held)
    assert emoji.glyphs_of("cat", 0) != emoji.glyphs_of("cat", 1)
    assert emoji.glyphs_of("rabbit", 0) == ([0, 1], [0, 1])


def test_emoji_without_augmentation_are_the_glyphs_on_white() -> None:
    emoji = Emoji(PLAIN)
    (lion,) = emoji.drawings["lion"].astype(float)
    alpha = lion[..., 3:] / 255
    expected = np.rint(lion[..., :3] * alpha + 255 * (1 - alpha)).transpose(2, 0, 1)
    train, _ = emoji.draw("lion", 3, 1, 0)
    np.testing.assert_array_equal(train, np.broadcast_to(expected, train.shape))


def test_each_augmentation_does_what_it_says() -> None:
    glyph = np.zeros((1, 32, 32, 4), dtype=np.uint8)
    glyph[0, 10, 5] = 100, 100, 100, 255  # one gray dot

    def dots(**changes: Any) -> tuple[np.ndarray, set[tuple[int, ...]]]:
        values = {"flip": False, "shift": 0, "brightness": 0.0, "background": "white"}
        made = Augmentation(**(values | changes)).draw(glyph, 400, np.random.default_rng(0))
        at = np.argwhere((made != 255).any(1))
        return made, {(int(y), int(x)) for _, y, x in at}

    _, places = dots()
    assert places == {(10, 5)}
    made, places = dots(flip=True)
    assert places == {(10, 5), (10, 26)}
    assert 0.4 < (made[:, 0, 10, 26] != 255).mean() < 0.6
    _, places = dots(shift=2)
    assert places == {(y, x) for y in range(8, 13) for x in range(3, 8)}
    made, _ = dots(brightness=0.3)
    light = made[:, 0, 10, 5]
    assert light.min() in range(70, 74) and light.max() in range(127, 131)
    made, _ = dots(background="random")
    assert len({p[:, 0, 0].tobytes() for p in made}) > 390
    assert (made[:, :, 10, 5] == 100).all()
    # What is moved out of the picture does not come back on the other side.
    edge = np.zeros((1, 32, 32, 4), dtype=np.uint8)
    edge[0, :, 0] = 0, 0, 0, 255
    moved = Augmentation(False, 4, 0, "white").draw(edge, 100, np.random.default_rng(0))
    assert (moved[:, :, :, 5:] == 255).all()


@pytest.mark.parametrize("images", ["emoji", "shapes", "digits"])
def test_a_class_has_the_same_pictures_in_any_company(images: str) -> None:
    both = drawn(images, 4)
    name = both.names[2]
    other = drawn(images, (both.names[0], name))
    for part in ("training", "held_out"):
        whole, small = getattr(both, part), getattr(other, part)
        assert whole.images.shape[1:] == (3, 32, 32) and whole.images.dtype == np.uint8
        assert np.bincount(whole.classes).tolist() == [len(whole) // 4] * 4
        np.testing.assert_array_equal(
            whole.images[whole.classes == 2], small.images[small.classes == 1]
        )
        assert not whole.images.flags.writeable
        again = drawn(images, 4, seed=1)
        assert not np.array_equal(whole.images, getattr(again, part).images)
    apart = {p.tobytes() for p in both.training.images}
    assert apart.isdisjoint({p.tobytes() for p in both.held_out.images})
    assert set(both.held_out_by) == set(both.names)


def test_more_training_pictures_leave_the_held_out_ones_alone() -> None:
    for images in ("emoji", "shapes"):
        few, many = drawn(images, 3, train=10), drawn(images, 3, train=50)
        np.testing.assert_array_equal(few.held_out.images, many.held_out.images)


def test_shapes_have_two_attributes() -> None:
    shapes = Shapes(shift=4)
    assert len(shapes.classes) == len(SHAPES) * len(COLOURS) == 64
    assert shapes.classes[:4] == ("red_circle", "blue_circle", "red_square", "blue_square")
    for side in range(1, 9):  # the first k x k classes are a whole grid
        pairs = {shapes.attributes_of(name) for name in shapes.classes[: side**2]}
        assert pairs == {(s, c) for s in range(side) for c in range(side)}
    found = drawn("shapes", 40)
    assert found.attribute_names == ("shape", "colour")
    assert found.training.attributes.shape == (4000, 2)
    assert len({p.tobytes() for p in found.training.images}) == 4000
    blue_square = found.names.index("blue_square")
    rows = found.training.classes == blue_square
    assert (found.training.attributes[rows] == [1, 1]).all()
    for shift, spread in ((0, 1.5), (16, 6)):  # of the middle of what is drawn, in pixels
        made, _ = Shapes(shift).draw("blue_square", 100, 1, 0)
        blue = (made[:, 2] > 150).astype(float)
        middle = (blue * np.arange(32)).sum((1, 2)) / blue.sum((1, 2))
        assert np.abs(middle - 15.5).max() == pytest.approx(spread, abs=1.5)
        sides = [blue[:, 0], blue[:, -1], blue[:, :, 0], blue[:, :, -1]]
        assert not any(side.any() for side in sides)  # whole
    red, _, blue = found.training.images[rows].max((2, 3)).T
    assert (blue > 180).all() and (red < 80).all()


def test_shapes_are_what_their_name_says() -> None:
    """Share of the square around a shape that is covered, from its geometry."""
    share = {
        "circle": np.pi * 0.9 / 4, "square": 0.82**2, "ring": np.pi * 0.7 / 4, "bar": 0.3,
        "plus": 0.32 * (2 - 0.32), "triangle": 1.8 * 1.98 / 2 / 4,
        # Ten triangles from the middle, sides 1 and 0.45, 36 degrees between them.
        "star": 10 * 0.45 * np.sin(np.pi / 5) / 2 / 4,
    }  # fmt: skip
    at = (np.arange(400) + 0.5) / 200 - 1
    for name, expected in share.items():
        inside = SHAPES[name](at[None, :], at[:, None])
        assert inside.mean() == pytest.approx(expected, abs=0.01), name
    star = SHAPES["star"](at[None, :], at[:, None])
    assert star[4, 200] and not star[-10, 200]  # a point up, none down


def test_digits_are_the_digits_enlarged() -> None:
    found = drawn("digits", (8, 3))
    assert found.names == ("8", "3") and len(found.training) == 200
    assert len(found.held_out) == 148  # 174 eights less 100, and as many threes
    small = datasets.digits()
    threes = small.x[small.y == 3, 0].astype(float)
    corner = found.training.images[found.training.classes == 1][:, 0, [0, -1], [0, -1]]
    ends = {tuple(p) for p in threes[:, [0, -1], [0, -1]].tolist()}
    assert {tuple(p) for p in corner.astype(float).tolist()} <= ends
    assert (found.training.images[:, 0] == found.training.images[:, 2]).all()


def test_mistakes_are_one_line() -> None:
    emoji = Emoji(PLAIN)
    for classes, told in [
        (["lion", "rabit"], "no class 'rabit'. Did you mean 'rabbit'"),
        (1, "2 to 12 classes"),
        (13, "2 to 12 classes"),
        (["lion", "cat", "lion"], "names lion 2 times"),
        (["lion"], "two classes or more"),
        ([], "two classes or more"),
    ]:
        with pytest.raises(UserError, match=r"^env\.classes") as error:
            chosen(emoji, classes)
        assert told in str(error.value) and "\n" not in str(error.value)
    digits = Digits()
    with pytest.raises(UserError, match="env.train_images=174 .* 0 pictures of 8 left"):
        collect(digits, ["1", "8"], 174, None, 0)
    with pytest.raises(UserError, match="env.held_out_images=80.* 74 pictures of 8 left"):
        collect(digits, ["1", "8"], 100, 80, 0)
    assert len(collect(digits, ["1", "8"], 170, 4, 0).held_out) == 8


def test_the_script_writes_the_same_bytes_again(tmp_path: Path) -> None:
    """What it does but for reading the package, which is not here."""
    script = Path(__file__).parents[3] / "scripts/assets/emoji.py"
    spec = importlib.util.spec_from_file_location("emoji_script", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    emoji = Emoji(PLAIN)
    arrays = {}
    for name in module.ORDER:
        arrays[name] = emoji.drawings[name]
        arrays[f"{name}_names"] = np.array(emoji.names[name])
    module.write(arrays, tmp_path / "emoji.npz")
    with np.load(tmp_path / "emoji.npz", allow_pickle=False) as written:
        for name, array in arrays.items():
            np.testing.assert_array_equal(written[name], array)
    assert tuple(emoji.classes) == module.ORDER
    entry = {"short_name": "feather", "subcategory": "animal-bird"}
    assert not module.belongs(entry, "bird")
    assert module.belongs(entry | {"short_name": "owl"}, "bird")
