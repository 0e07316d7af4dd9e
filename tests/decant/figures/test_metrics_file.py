"""metrics.json: what is read is what was written, by this version of Decant and by earlier ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from decant.figures.evaluation_figures import Figures
from decant.figures.metrics_file import as_json, dotted, numbers, read_figures
from decant.runtime.artifacts import write_json
from tests.errors import raises
from tests.example_figures import GOLDEN, figures_of, metrics

# Of the evaluation before there were quantised forms.
FIRST = GOLDEN.with_name("metrics_first.json")


def test_a_file_that_is_read_and_written_has_the_same_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", as_json(read_figures(GOLDEN)))
    assert (tmp_path / "metrics.json").read_bytes() == GOLDEN.read_bytes()


def test_what_there_is_not_is_left_out_or_null_as_before() -> None:
    content = metrics()
    del content["student_float32"], content["controls"]["teacher_int8"]
    del content["student"]["worst_class"], content["student"]["missed_classes"]
    del content["student"]["against_float32"], content["controls"]["undistilled"]["form"]
    content["student"]["retention"] = None
    content["latency_p50_us"]["bert_base"]["model"] = None
    assert as_json(figures_of(content)) == content


def test_a_file_of_the_first_version_is_read() -> None:
    figures = read_figures(FIRST)
    assert figures.student.accuracy == 0.93
    assert figures.student.form is None
    assert figures.student.worst_class is None
    assert figures.student.missed_classes is None
    assert figures.student_float32 is None
    assert figures.speedup.end_to_end.vs_teacher_int8 is None
    assert figures.compared_with.over("student_float32") is None
    assert [*figures.models()] == ["teacher", "student", "undistilled", "tfidf"]
    assert figures.machine.threads == 1


def test_a_key_of_a_later_version_is_ignored() -> None:
    content = metrics()
    content["student"]["spearman"] = 0.9
    content["energy_joules"] = {"student": 0.1}
    assert figures_of(content) == figures_of(metrics())


def damaged(path: str, value: Any) -> str:
    content = metrics()
    *parents, last = path.split(".")
    inner = content
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not have figures"),
        ("[1, 2]", "does not have figures"),
        (GOLDEN.read_text("utf-8")[:500], "does not have figures"),
        (damaged("student", {}), "lacks student.architecture, student.parameters"),
        (damaged("student.accuracy", "0.8"), "'0.8' at student.accuracy"),
        (damaged("gate.passed", 1), "1 at gate.passed"),
        (damaged("differences.student_minus_tfidf.interval", [0.1]), "lacks differences.student"),
    ],
    ids=["empty", "list", "cut", "lacking", "text", "no-bool", "half-interval"],
)
def test_a_damaged_file_is_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "metrics.json"
    file.write_text(text, "utf-8")
    with raises("artifact-outdated", str(file), words):
        read_figures(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with raises("artifact-missing", str(tmp_path), "metrics.json"):
        read_figures(tmp_path / "metrics.json")


def test_values_by_path_and_the_numbers_among_them() -> None:
    found = dotted(figures_of(metrics()))
    assert found["student.accuracy"] == metrics()["student"]["accuracy"]
    assert found["data.labels"] == ["fresh", "rotten"]
    assert numbers({"a": 1, "b": True, "c": "x", "d.e": 0.5, "f": [0.1, 0.2], "g": None}) == {
        "a": 1.0,
        "d.e": 0.5,
        "f.low": 0.1,
        "f.high": 0.2,
    }
    assert numbers({"h": ["x"], "i": ["x", "y"], "j": [1, 2, 3]}) == {}
    low, high = metrics()["student"]["accuracy_interval"]
    of_run = numbers(found)
    assert (of_run["student.accuracy_interval.low"], of_run["student.accuracy_interval.high"]) == (
        low,
        high,
    )
    assert of_run["speedup.end_to_end.vs_teacher"] == found["speedup.end_to_end.vs_teacher"]


def test_every_figure_is_documented() -> None:
    """The reference of metrics.json is made from these texts."""

    def undocumented(schema: dict[str, Any], name: str) -> list[str]:
        return [
            f"{name}.{key}"
            for key, value in schema["properties"].items()
            if "description" not in value
        ]

    schema = Figures.model_json_schema()
    assert {"StudentFigures", "Latency", "Verdict"} <= set(schema["$defs"])
    missing = undocumented(schema, "Figures")
    for name, inner in schema["$defs"].items():
        missing += undocumented(inner, name)
    assert missing == []
