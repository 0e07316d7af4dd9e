"""Thresholds, verdicts and the sentences of the report."""

from typing import Any

import pytest

from components.evaluate.findings import class_findings, findings
from components.evaluate.gate import Gate, gate_checks, unbeaten_controls
from decant.figures.evaluation_figures import Verdict
from decant.figures.gate_check import verdict_on
from decant.runtime.settings import parse
from decant.tasks.task import Task
from tests.errors import raises
from tests.example_figures import figures_of, metrics

OFF: dict[str, Any] = {
    "min_student_score": None,
    "min_student_accuracy": None,
    "min_retention": None,
    "min_student_macro_f1": None,
    "min_student_worst_class_recall": None,
    "max_ece": None,
    "min_speedup_end_to_end_vs_teacher": None,
    "max_latency_p50_us": None,
    "max_size_bytes": None,
    "must_beat_tfidf": False,
    "must_beat_undistilled": False,
    "must_answer_class_from_rows": None,
    "targets": {},
}
CLASSES = Task.of_classes(("fresh", "rotten"))


@pytest.fixture
def figures() -> dict[str, Any]:
    """A default run without other forms, with round figures."""
    content = metrics()
    del content["student_float32"], content["controls"]["teacher_int8"]
    content["student"] |= {
        "accuracy": 0.78,
        "retention": 0.975,
        "retention_interval": [0.95, 1.0],
        "ece": 0.05,
        "macro_f1": 0.7,
        "worst_class": {"label": "rare", "recall": 0.25, "test_rows": 8},
        "size_bytes": 16_000_000,
    }
    content["teacher"]["accuracy"] = 0.8
    for name, accuracy in {"tfidf": 0.66, "undistilled": 0.7, "majority": 0.58}.items():
        content["controls"][name]["accuracy"] = accuracy
    content["differences"] = {
        "student_minus_tfidf": {"accuracy": 0.12, "interval": [0.1, 0.14]},
        "student_minus_undistilled": {"accuracy": 0.08, "interval": [-0.01, 0.17]},
    }
    content["speedup"]["end_to_end"] |= {"vs_teacher": 40.0, "vs_bert_base": None}
    content["speedup_interval"]["end_to_end"] |= {"vs_teacher": [35.0, 45.0], "vs_bert_base": None}
    content["latency_p50_us"]["student"]["end_to_end"] = 130.0
    content["compared_with"]["shape"] = "batch 1"
    return content


def judge(gate: Gate, content: dict[str, Any]) -> Verdict:
    figures = figures_of(content)
    return verdict_on(gate_checks(gate, figures, figures, CLASSES))


def test_everything_switched_off_passes(figures: dict[str, Any]) -> None:
    verdict = judge(Gate(**OFF), figures)
    assert verdict.passed
    assert verdict.reasons == ()


@pytest.mark.parametrize(
    ("threshold", "met", "missed", "value"),
    [
        ("min_student_accuracy", 0.78, 0.781, "0.78"),
        ("min_student_score", 0.78, 0.781, "0.78"),
        ("min_retention", 0.975, 0.98, "0.975"),
        ("min_student_macro_f1", 0.7, 0.71, "0.7"),
        ("min_student_worst_class_recall", 0.25, 0.26, "'rare', is 0.25"),
        ("max_ece", 0.05, 0.049, "0.05"),
        ("min_speedup_end_to_end_vs_teacher", 40.0, 41.0, "40"),
        ("max_latency_p50_us", 130.0, 129.0, "130"),
        ("max_size_bytes", 16_000_000, 15_999_999, "16,000,000"),
    ],
)
def test_a_missed_threshold_names_value_and_threshold(
    figures: dict[str, Any], threshold: str, met: float, missed: float, value: str
) -> None:
    assert judge(Gate(**{**OFF, threshold: met}), figures).passed
    verdict = judge(Gate(**{**OFF, threshold: missed}), figures)
    assert not verdict.passed
    (reason,) = verdict.reasons
    assert value in reason
    assert f"{missed:,}".rstrip("0").rstrip(".") in reason


@pytest.mark.parametrize("control", ["tfidf", "undistilled"])
def test_a_control_as_good_as_the_student_fails_the_gate(
    figures: dict[str, Any], control: str
) -> None:
    gate = Gate(**{**OFF, f"must_beat_{control}": True})
    assert judge(gate, figures).passed
    figures["controls"][control]["accuracy"] = 0.78
    assert not judge(gate, figures).passed


def missed(label: str, test_rows: int, teacher_right: int) -> dict[str, Any]:
    return {"label": label, "test_rows": test_rows, "teacher_right": teacher_right}


def test_a_class_that_the_student_lost_fails_the_gate_from_a_number_of_rows(
    figures: dict[str, Any],
) -> None:
    gate = Gate(**{**OFF, "must_answer_class_from_rows": 10})
    few, none = missed("few rows", 9, 9), missed("of nobody", 50, 0)
    figures["student"]["missed_classes"] = [none, few]
    assert judge(gate, figures).passed
    figures["student"]["missed_classes"] = [none, missed("spam\n" * 20, 10, 1), few]
    (reason,) = judge(gate, figures).reasons
    assert reason == (
        "number of classes with 10 test rows or more that the teacher knows and the student "
        "never has right is 1 ('spam spam spam spam spam spam spam spam…'), above the maximum 0"
    )
    assert judge(Gate(**OFF), figures).passed
    many = [missed(f"class {number}", 10, 5) for number in range(7)]
    figures["student"]["missed_classes"] = many
    assert (
        "is 7 ('class 0', 'class 1', 'class 2', 'class 3', 'class 4', ...),"
        in (judge(gate, figures).reasons[0])
    )


def test_a_student_below_tfidf_is_said_whether_the_gate_demands_it_or_not(
    figures: dict[str, Any],
) -> None:
    """Before register: where it is demanded as a reason of the gate, else as a warning."""
    figures["student"]["accuracy"], figures["controls"]["tfidf"]["accuracy"] = 0.6, 0.66
    figures["controls"]["undistilled"]["accuracy"] = 0.5
    quality = figures_of(figures)
    (sentence,) = unbeaten_controls(Gate(**OFF), quality, CLASSES)
    assert "0.6" in sentence and "0.66" in sentence and "TF-IDF" in sentence
    demanded = Gate(**OFF | {"must_beat_tfidf": True})
    assert unbeaten_controls(demanded, quality, CLASSES) == []
    (reason,) = judge(demanded, figures).reasons
    assert sentence.startswith(reason)
    figures["student"]["accuracy"] = 0.7
    assert unbeaten_controls(Gate(**OFF), figures_of(figures), CLASSES) == []


def test_a_class_that_the_student_never_answers_is_the_first_finding(
    figures: dict[str, Any],
) -> None:
    before = findings(figures_of(figures))
    assert class_findings(figures_of(figures)) == []
    figures["data"]["rows"]["test"] = 1000
    figures["student"]["missed_classes"] = [
        missed("spam", 30, 28),
        missed("other", 3, 0),
        missed("rare", 1, 1),
    ]
    lost, unlearned, *others = findings(figures_of(figures))
    assert others == before
    assert class_findings(figures_of(figures)) == [lost, unlearned]
    assert lost == (
        "The student has no row right of 2 classes that its teacher knows: 'spam' (30 of 1,000 "
        "test rows; right by the teacher: 28), 'rare' (1 of 1,000 test rows; right by the "
        "teacher: 1)."
    )
    assert unlearned == (
        "Neither the student nor its teacher has a row right of 1 class: 'other' (3 of 1,000 test "
        "rows)."
    )
    many = [missed(f"class {number}", 10, 5) for number in range(150)]
    figures["student"]["missed_classes"] = many
    (lost,) = class_findings(figures_of(figures))
    assert "150 classes" in lost
    assert lost.endswith("), and 145 more.")
    del figures["student"]["missed_classes"]
    assert findings(figures_of(figures)) == before, "an evaluation of an earlier version"


def test_every_missed_threshold_gives_a_reason(figures: dict[str, Any]) -> None:
    gate = Gate(**{**OFF, "min_student_accuracy": 0.9, "max_ece": 0.01, "min_retention": 0.99})
    assert len(judge(gate, figures).reasons) == 3


def test_an_undefined_retention_does_not_pass(figures: dict[str, Any]) -> None:
    figures["student"]["retention"] = None
    (reason,) = judge(Gate(**{**OFF, "min_retention": 0.1}), figures).reasons
    assert "undefined" in reason


def test_a_threshold_out_of_range_is_refused() -> None:
    with raises("parameter-value", "evaluate.max_ece", "1.5"):
        parse(Gate, {**OFF, "max_ece": 1.5}, "evaluate")
    with raises("parameter-missing", "evaluate.min_retention"):
        parse(
            Gate, {key: value for key, value in OFF.items() if key != "min_retention"}, "evaluate"
        )


def test_sentences_name_encoder_shape_and_doubt(figures: dict[str, Any]) -> None:
    kept, speed, undistilled, tfidf = findings(figures_of(figures))
    assert "97.5 %" in kept
    assert "40.0 times (35.0 to 45.0)" in speed
    assert "bert, 6 layers" in speed
    assert "batch 1" in speed
    assert "cannot tell the two apart" in undistilled
    assert tfidf.startswith("The student is better than TF-IDF")
    assert "cannot tell" not in tfidf


def test_a_control_that_wins_is_named(figures: dict[str, Any]) -> None:
    figures["controls"]["tfidf"]["accuracy"] = 0.85
    figures["controls"]["majority"]["accuracy"] = 0.79
    figures["differences"]["student_minus_tfidf"] = {"accuracy": -0.07, "interval": [-0.1, -0.04]}
    sentences = findings(figures_of(figures))
    assert any(text.startswith("A control wins: TF-IDF") and "85.0 %" in text for text in sentences)
    assert "learned nothing of use" in sentences[-1]


@pytest.fixture
def quantised(figures: dict[str, Any]) -> dict[str, Any]:
    """The student in int8, its float32 form, and an int8 teacher."""
    other_forms = metrics()
    figures["student"] |= {"form": "static_int8", "label_agreement_with_float32": 0.996}
    figures["student"]["size_bytes"] = 2_400_000
    figures["student_float32"] = other_forms["student_float32"] | {
        "accuracy": 0.785,
        "size_bytes": 8_700_000,
    }
    figures["controls"]["teacher_int8"] = other_forms["controls"]["teacher_int8"] | {
        "accuracy": 0.79,
        "form": "dynamic_int8",
    }
    figures["differences"]["student_minus_teacher_int8"] = {
        "accuracy": -0.01,
        "interval": [-0.02, -0.005],
    }
    figures["speedup"]["model"]["vs_student_float32"] = 1.7
    figures["speedup_interval"]["model"]["vs_student_float32"] = [1.5, 2.0]
    figures["speedup"]["end_to_end"]["vs_teacher_int8"] = 22.9
    figures["speedup_interval"]["end_to_end"]["vs_teacher_int8"] = [19.7, 28.8]
    return figures


def about_int8(figures: dict[str, Any]) -> str:
    (sentence,) = (
        text for text in findings(figures_of(figures)) if "the teacher as dynamic_int8" in text
    )
    return sentence


def test_the_students_form_is_named_with_what_it_gains_and_costs(
    quantised: dict[str, Any],
) -> None:
    (sentence,) = (
        text for text in findings(figures_of(quantised)) if text.startswith("The student is exp")
    )
    assert "as static_int8: 2.4 MB instead of 8.7 MB in float32" in sentence
    assert "1.7 times (1.5 to 2.0) as fast" in sentence
    assert "the same label in 99.6 % of the test rows" in sentence
    assert "right in 78.0 % instead of 78.5 %" in sentence


def test_a_slower_int8_teacher_that_is_better_is_no_win_over_the_student(
    quantised: dict[str, Any],
) -> None:
    sentence = about_int8(quantised)
    assert sentence.startswith("The student pays for its speed beside the teacher as dynamic_int8")
    assert "78.0 % against 79.0 %, -1.0 points" in sentence
    assert "22.9 times (19.7 to 28.8) as fast" in sentence
    assert "cannot tell" not in sentence


@pytest.mark.parametrize("accuracy", [0.78, 0.79])
def test_an_int8_teacher_at_least_as_fast_and_as_good_wins(
    quantised: dict[str, Any], accuracy: float
) -> None:
    quantised["controls"]["teacher_int8"]["accuracy"] = accuracy
    quantised["speedup"]["end_to_end"]["vs_teacher_int8"] = 0.9
    sentence = about_int8(quantised)
    assert sentence.startswith("A control wins: the teacher as dynamic_int8")
    assert sentence.endswith("as fast as that: no student is needed here.")


def test_a_student_better_than_the_int8_teacher(quantised: dict[str, Any]) -> None:
    quantised["controls"]["teacher_int8"]["accuracy"] = 0.77
    quantised["differences"]["student_minus_teacher_int8"] = {
        "accuracy": 0.01,
        "interval": [-0.01, 0.03],
    }
    sentence = about_int8(quantised)
    assert sentence.startswith("The student is better than the teacher as dynamic_int8")
    assert "cannot tell the two apart" in sentence
