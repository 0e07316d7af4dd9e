"""Labels that are not one column of classes: found, asked for or given, and taken by ingest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from decant.runtime.errors import UserError
from decant.runtime.params_file import read_params_file
from tests.errors import assert_error
from tests.pipelines.onboarding.conftest import Init, labels, table, texts

Written = Callable[[str], dict[str, Any]]
CELLS = ("price", "delivery", "price, delivery", "quality", "quality, price")
FLAGS: dict[str, list[object]] = {
    "price": [n % 2 for n in range(120)],
    "delivery": [int(n % 3 == 0) for n in range(120)],
    "quality": [int(n % 5 == 0) for n in range(120)],
}


def error_of(init: Init, *words: str) -> UserError:
    """The error; no parameter file is written."""
    result = init("x.csv", *words)
    assert isinstance(result.exception, UserError), result.output
    assert not Path("x.yaml").exists()
    return result.exception


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_lists_are_several_labels(init: Init, written: Written, suffix: str) -> None:
    names = [cell.split(", ") for cell in CELLS]
    topics = [names[n % 5] if n % 7 else [] for n in range(120)]
    table(Path(f"x.{suffix}"), {"text": texts(120), "topics": topics})
    result = init(f"x.{suffix}")
    assert result.exit_code == 0, result.output
    assert "lists of 3 labels" in result.output
    found = written("x.yaml")
    assert (found["ingest.task"], found["ingest.label_column"]) == ("multi_label", "topics")


def test_a_clear_separator_is_found(init: Init, written: Written) -> None:
    table(Path("x.csv"), {"text": texts(120), "topics": labels(120, *CELLS)})
    result = init("x.csv")
    assert result.exit_code == 0, result.output
    found = written("x.yaml")
    assert found["ingest.task"] == "multi_label"
    assert found["ingest.kinds.multi_label.separator"] == ","


def test_a_comma_within_a_class_is_none(init: Init, written: Written) -> None:
    table(Path("x.csv"), {"text": texts(120), "label": labels(120, "yes, please", "no, thanks")})
    assert init("x.csv").exit_code == 0
    assert "ingest.task" not in written("x.yaml")
    error = error_of_again(init)
    assert_error(error, "separator-unclear", "'label'", "yes, please")


def error_of_again(init: Init) -> UserError:
    Path("x.yaml").unlink()
    return error_of(init, "--task", "multi_label", "--label-column", "label")


def test_columns_of_0_and_1(init: Init, written: Written) -> None:
    table(Path("x.csv"), {"text": texts(120), **FLAGS})
    error = error_of(init)
    assert_error(error, "label-column-unclear", "price, delivery, quality")
    assert "--task multi_label" in str(error.hint)
    assert init("x.csv", "--task", "multi_label").exit_code == 0
    assert written("x.yaml")["ingest.kinds.multi_label.label_columns"] == list(FLAGS)
    given = [word for name in ("price", "quality") for word in ("--label-column", name)]
    result = init("x.csv", "--force", "--task", "multi_label", *given)
    assert result.exit_code == 0, result.output
    assert written("x.yaml")["ingest.kinds.multi_label.label_columns"] == ["price", "quality"]


def test_a_2_among_them(init: Init) -> None:
    table(Path("x.csv"), {"text": texts(120), **FLAGS, "other": labels(120, "0", "1", "2")})
    given = [word for name in ("price", "other") for word in ("--label-column", name)]
    error = error_of(init, "--task", "multi_label", *given)
    assert_error(error, "label-not-flags", "'other'", "'2' in x.csv:3")
    missing = ["--task", "multi_label", "--option", 'label_columns=["price","colour"]']
    assert_error(error_of(init, *missing), "column-unknown", "'colour'")


def test_a_label_that_no_other_cell_has_hides_no_separator(init: Init, written: Written) -> None:
    cells = labels(600, *CELLS)
    cells[7] = "quality, colour"
    table(Path("x.csv"), {"text": texts(600), "topics": cells})
    assert_error(error_of(init), "classes-rare", "'colour' (1)")
    cells = labels(600, "yes", "no", "unsure")
    cells[7:11] = ["yes, of course"] * 4  # a comma that joins nothing known
    table(Path("x.csv"), {"text": texts(600), "topics": cells})
    assert init("x.csv", "--min-class-rows", "3").exit_code == 0
    assert "ingest.task" not in written("x.yaml")


def test_why_a_column_is_not_of_the_given_kind(init: Init) -> None:
    stars = labels(120, "1", "2", "3", "4", "5")
    stars[70] = "five"
    table(Path("x.csv"), {"text": texts(120), "stars": stars})
    error = error_of(init, "--task", "regression")
    assert_error(error, "label-not-numbers", "'stars'", "x.csv:71 has 'five'")
    table(Path("x.csv"), {"text": texts(120), "stars": stars, "mood": labels(120, "good", "bad")})
    error = error_of(init, "--task", "regression")
    assert_error(error, "label-column-missing", "x.csv:71 has 'five'", "x.csv:1 has 'good'")


def test_a_separator_that_never_occurs(init: Init) -> None:
    table(Path("x.csv"), {"text": texts(120), "topics": labels(120, "price", "delivery")})
    error = error_of(init, "--task", "multi_label", "--option", "separator=;")
    assert_error(error, "separator-unused", "';'", "'topics'", "x.csv:1")


def test_a_target_without_any_label(init: Init) -> None:
    rows = {"text": texts(120), "mood": labels(120, "good", "bad"), "stars": [""] * 120}
    table(Path("x.csv"), rows)
    targets = ["--target", "mood:single_label", "--target", "stars:regression"]
    assert_error(error_of(init, *targets), "labels-missing", "'stars'")


def test_ratings(init: Init, written: Written) -> None:
    table(Path("x.csv"), {"text": texts(120), "stars": labels(120, "1", "2", "3", "4", "5")})
    assert init("x.csv", "--task", "regression").exit_code == 0
    found = written("x.yaml")
    assert found["ingest.task"] == "regression"
    assert found["ingest.kinds.regression.minimum"] == 1
    assert found["ingest.kinds.regression.maximum"] == 5
    assert found["ingest.kinds.regression.ordinal"] is True


def test_a_measure_names_the_kind_that_reads_it(init: Init, written: Written) -> None:
    table(Path("x.csv"), {"text": texts(120), "score": [n * 0.37 for n in range(120)]})
    error = error_of(init)
    assert_error(error, "label-column-missing", "a measure")
    assert "--task regression" in str(error.hint)
    bounds = ["--option", "minimum=0", "--option", "maximum=50"]
    result = init("x.csv", "--task", "regression", *bounds)
    assert result.exit_code == 0, result.output
    assert written("x.yaml")["ingest.kinds.regression.maximum"] == 50
    assert "ingest.kinds.regression.ordinal" not in written("x.yaml")


def test_codes_or_ratings(init: Init) -> None:
    table(Path("x.csv"), {"text": texts(300), "label": [18 + n % 50 for n in range(300)]})
    error = error_of(init)
    assert_error(error, "label-codes-or-measure", "50 different")
    assert "--yes" in str(error.hint) and "--task regression" in str(error.hint)


@pytest.mark.parametrize("where", [[], ["--write"]])
def test_several_targets(init: Init, written: Written, where: list[str]) -> None:
    rows = {
        "text": texts(120),
        "mood": labels(120, "good", "bad"),
        "topics": labels(120, *CELLS),
        "stars": labels(120, "1", "2", "3"),
    }
    table(Path("data/corpus/x.csv"), rows)
    targets = ["mood:single_label", "subject:multi_label:topics", "stars:regression"]
    words = [word for target in targets for word in ("--target", target)]
    result = init("data/corpus/x.csv", *words, "--option", "stars.maximum=5", "--no-groups", *where)
    assert result.exit_code == 0, result.output
    if where:
        entries = read_params_file(Path("params.yaml"))["ingest"]["targets"]
    else:
        entries = written("x.yaml")["ingest.targets"]
    assert entries == [
        {"name": "mood", "kind": "single_label"},
        {
            "name": "subject",
            "kind": "multi_label",
            "column": "topics",
            "separator": ",",
            "label_columns": [],
        },
        {"name": "stars", "kind": "regression", "minimum": 1, "maximum": 5, "ordinal": True},
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--task", "classes"], "task-unknown"),
        (["--task", "regression", "--option", "lowest=1"], "option-value"),
        (["--target", "label:single_label"], "option-conflict"),
        (["--target", "label:nothing", "--target", "text:regression"], "option-value"),
        (["--task", "regression", "--label-column", "label"], "label-not-numbers"),
        (["--label-column", "label", "--label-column", "text"], "option-conflict"),
    ],
)
def test_options_that_do_not_fit(init: Init, words: list[str], code: str) -> None:
    table(Path("x.csv"), {"text": texts(60), "label": labels(60, "a", "b")})
    assert error_of(init, *words).code == code
