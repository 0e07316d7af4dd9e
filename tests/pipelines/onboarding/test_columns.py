"""What a column holds, and which column is chosen for what."""

from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from pipelines.onboarding.column_choice import Columns, choose_columns
from pipelines.onboarding.column_kinds import describe
from pipelines.onboarding.questions import Questions
from tests.errors import raises
from tests.pipelines.onboarding.conftest import labels, texts

REVIEWS = ["用起来不错系统并没说的那么垃圾", "另外硬盘如果要改成格式比较麻烦", "很多软件都装"]


def choose(columns: dict[str, Any], **given: Any) -> Columns:
    frame = pd.DataFrame({name: pd.Series(list(map(str, v))) for name, v in columns.items()})
    _, chosen = choose_columns(frame, Questions(console=Console()), where="x.csv", **given)
    return chosen


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (texts(50), "text"),
        ([f"{REVIEWS[n % 3]}{n}" for n in range(50)], "text"),  # words without spaces
        (["Что за погода сегодня", "Всё очень плохо и дорого", "Рекомендую всем друзьям"], "text"),
        (labels(50, "good", "bad"), "classes"),
        (labels(50, "very good", "rather bad", "no opinion"), "classes"),
        (labels(500, *[f"intent {n}" for n in range(40)]), "classes"),
        (labels(50, "0", "1", "2"), "classes"),
        (labels(50, "1.0", "2.0", "3.5"), "classes"),
        (labels(50, "-1", "0", "1"), "classes"),
        ([str(n % 77) for n in range(800)], "codes"),
        ([str(n % 77) for n in range(200)], "numbers"),
        ([f"{n * 0.37:.2f}" for n in range(50)], "numbers"),
        ([f"{n},5" for n in range(50)], "numbers"),  # a decimal comma
        ([str(n) for n in range(50)], "ids"),
        ([f"{n:032x}" for n in range(50)], "ids"),
        ([f"film {n // 3}" for n in range(300)], "names"),
        ([f"https://example.org/{n}" for n in range(50)], "links"),
        ([f"2024-03-{n % 28 + 1:02d}" for n in range(50)], "dates"),
        ([f"{n % 28 + 1}/3/2024 10:0{n % 10}" for n in range(50)], "dates"),
        (["a"] * 50, "constant"),
        (["", " "] * 25, "empty"),
    ],
)
def test_kinds(values: list[str], kind: str) -> None:
    assert describe("x", pd.Series(values)).kind == kind


def test_missing_values_are_counted() -> None:
    found = describe("x", pd.Series(["a", None, " ", "b", "a ", ""]))
    assert (found.rows, found.missing, found.distinct, found.example) == (3, 3, 2, "a")


@pytest.mark.parametrize(
    ("columns", "text", "label", "group"),
    [
        ({"text": texts(60), "label": labels(60, "a", "b")}, "text", "label", None),
        ({"x": texts(60), "z": labels(60, "a", "b")}, "x", "z", None),
        (
            {
                "id": range(60),
                "review": texts(60),
                "title": texts(60, 1),
                "stars": labels(60, 1, 5),
            },
            "review",
            "stars",
            None,
        ),
        (
            {"text": texts(60), "label": labels(60, 0, 1), "label_text": labels(60, "no", "yes")},
            "text",
            "label_text",
            None,
        ),
        (
            {
                "text": texts(60),
                "language": labels(60, "en", "de"),
                "Sentiment": labels(60, 0, 1, 2),
            },
            "text",
            "Sentiment",
            None,
        ),
        (
            {
                "text": texts(90),
                "label": labels(90, "a", "b"),
                "movieName": [f"m{n // 3}" for n in range(90)],
            },
            "text",
            "label",
            "movieName",
        ),
        (
            {
                "text": texts(90),
                "label": labels(90, "a", "b"),
                "user_id": [n // 3 for n in range(90)],
                "score": [n * 0.1 for n in range(90)],
            },
            "text",
            "label",
            "user_id",
        ),
    ],
)
def test_what_is_certain_is_not_asked(
    columns: dict[str, Any], text: str, label: str, group: str | None
) -> None:
    chosen = choose(columns)
    assert (chosen.text.name, chosen.label.name, chosen.group.name) == (text, label, group)


def test_given_columns_win() -> None:
    columns = {
        "text": texts(60),
        "other": texts(60, 1),
        "label": labels(60, "a", "b"),
        "topic": labels(60, "c", "d", "e"),
    }
    chosen = choose(columns, text="other", label="topic")
    assert (chosen.text.name, chosen.label.name) == ("other", "topic")
    assert chosen.label.reason == "as given"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"text": "nowhere"}, "column-unknown"),
        ({"group": "nowhere"}, "column-unknown"),
        ({"text": "empty"}, "text-column-empty"),
        ({"label": "text"}, "text-column-unclear"),
        ({"text": "text", "label": "text"}, "label-text"),
        ({"group": "label"}, "group-column-used"),
        ({"label": "empty"}, "label-not-classes"),
    ],
)
def test_given_columns_that_do_not_fit(given: dict[str, str], code: str) -> None:
    columns = {"text": texts(60), "label": labels(60, "a", "b"), "empty": [""] * 60}
    with raises(code):
        choose(columns, **given)
