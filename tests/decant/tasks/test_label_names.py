"""Class names in pictures: any script, or a number, and no formula."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from decant.tasks.label_names import drawn_names
from decant.tasks.pictures import plt
from decant.tasks.quality import measure
from decant.tasks.single_label.pictures import draw
from decant.tasks.task import Task

NO_FONT_HAS_IT = "\U00100001"  # for private use


@pytest.fixture
def installed_font(tmp_path: Path) -> Iterator[str]:
    """A font of one character, which matplotlib finds as if the machine had it."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((500, 0), (500, 500), (0, 500)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(NO_FONT_HAS_IT): "square"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "square": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "One Square", "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    builder.save(tmp_path / "square.ttf")
    before = list(fontManager.ttflist)
    fontManager.addfont(tmp_path / "square.ttf")
    yield "One Square"
    fontManager.ttflist[:] = before


def test_a_name_that_no_font_has_is_its_number() -> None:
    names = drawn_names(["good", f"{NO_FONT_HAS_IT} bad", "рецензия", "مراجعة"])
    assert names.texts == ("good", "#2", "рецензия", "مراجعة")
    assert names.numbered == {1}
    assert names.families == ("DejaVu Sans",)


def test_a_name_that_looks_like_a_number_gets_its_own() -> None:
    names = drawn_names([NO_FONT_HAS_IT, "#1", "#3", "#4"])
    assert names.texts == ("#1", "#1 #2", "#3", "#4")
    assert names.numbered == {0, 1}
    assert drawn_names(["#2", "#1"]).texts == ("#2", "#1"), "no class is drawn as its number"


def test_a_font_of_the_machine_is_used(installed_font: str) -> None:
    names = drawn_names(["good", f"{NO_FONT_HAS_IT} bad"])
    assert names.texts == ("good", f"{NO_FONT_HAS_IT} bad")
    assert names.families == ("DejaVu Sans", installed_font)
    _draw_strictly(["good", f"{NO_FONT_HAS_IT} bad"])


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("a" * 24, "a" * 24),
        ("a" * 25, "a" * 23 + "…"),
        (" two\n lines ", "two lines"),
        ("é" * 12 + "e\u0301" * 13, "é" * 12 + "e\u0301" * 11 + "…"),  # not between e and accent
        ("$x_{1}$", "$x_{1}$"),
    ],
)
def test_a_long_name_is_cut(label: str, text: str) -> None:
    assert drawn_names([label, "other"]).texts == (text, "other")


def test_a_wide_character_takes_two_columns() -> None:
    names = drawn_names(["中" * 13, "b"])
    assert names.texts[0] in ("中" * 11 + "…", "#1")  # as the machine has such a font or not


def test_names_that_begin_alike_are_numbered() -> None:
    names = drawn_names(
        ["complaints of customers, parcels", "other", "complaints of customers, post"]
    )
    assert names.texts == (
        "complaints of customers… #1",
        "other",
        "complaints of customers… #3",
    )
    assert names.numbered == {0, 2}


@pytest.mark.parametrize(
    "labels",
    [
        ["中文差评", "日本語の", "한국어", "हिन्दी", "ไทย", "😀 happy", "👩‍👩‍👧", "مراجعة إيجابية"],
        ["$100", "a_{b", r"$\frac{1}$", r"\alpha", "$", "^"],
        [f"{number}: a name that is too long for a picture" for number in range(14)],
    ],
)
def test_pictures_have_no_missing_glyph_and_no_formula(labels: list[str]) -> None:
    drawn = drawn_names(labels).texts
    for figure in _draw_strictly(labels):
        axes = figure.axes[0]
        ticks = [tick.get_text() for tick in axes.get_yticklabels()]
        assert {tick.removesuffix(" (10)") for tick in ticks} == set(drawn)


def test_of_very_many_classes_some_are_named() -> None:
    figures = _drawn([f"class {number}" for number in range(601)])
    ticks = [tick.get_text() for tick in figures["confusion"].axes[0].get_yticklabels()]
    assert ticks == [f"class {number}" for number in range(0, 601, 3)]


def _draw_strictly(labels: list[str]) -> list[Figure]:
    """Both pictures that have class names, with warnings as errors."""
    figures = [figure for name, figure in _drawn(labels).items() if name != "reliability"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in figures:
            figure.set_dpi(20)
            figure.canvas.draw()
    return figures


def _drawn(labels: list[str]) -> dict[str, Figure]:
    task = Task.of_classes(labels)
    actual = np.repeat(np.arange(len(labels), dtype=np.int32), 10)
    probabilities = np.eye(len(labels), dtype=np.float32)[actual]
    quality = measure(task, {"label": probabilities}, actual)["label"].quality
    models = ("teacher", "student", "undistilled", "tfidf")
    tested = dict.fromkeys(models, quality)
    figures, _ = draw(tested, task.targets[0], {model: model for model in models})
    for figure in figures.values():
        plt.close(figure)
    return figures
