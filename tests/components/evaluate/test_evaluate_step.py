"""The whole step on tiny models whose right answers are counted by hand."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json
from decant.runtime.identity import content_digest, text_digest
from tests.components.evaluate.conftest import UNKNOWN, write_models
from tests.errors import raises

HOSTILE = "<script>alert('x')</script> | good *film* [link](http://example.org) "

POSITIVE = {"good", "great", "fine", "lovely", "superb", "moving", "funny", "clever"}
NEGATIVE = {"bad", "awful", "dull", "poor", "boring", "clumsy", "sad", "stale"}


def evaluate(
    onnx: Path, corpus: Path, section: dict[str, Any], to: Path
) -> tuple[Path, Path, dict[str, float]]:
    """Returns the evaluation folder, the report folder and the step's metrics."""
    ports = {
        "onnx": onnx,
        "corpus": corpus,
        "evaluation": to / "evaluation",
        "report": to / "reports",
    }
    reporter = run_step("evaluate", section, ports)
    return ports["evaluation"], ports["report"], reporter.metrics


def counted(text: str, unknown: tuple[str, ...]) -> str:
    """What a model that does not know some words must answer; a tie is the first label."""
    words = [word for word in text.split() if word not in unknown]
    balance = sum((word in POSITIVE) - (word in NEGATIVE) for word in words)
    return "positive" if balance > 0 else "negative"


def test_figures_predictions_and_files(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
    unknown_words: dict[str, tuple[str, ...]],
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    evaluation, report, metrics = evaluate(
        evaluate_onnx, corpus, evaluate_section, tmp_path / "out"
    )
    test = pd.read_parquet(corpus / "test.parquet")
    predictions = pd.read_parquet(evaluation / "predictions.parquet")
    assert predictions["row_id"].tolist() == test["row_id"].tolist()
    assert predictions["text_digest"].tolist() == [text_digest(text) for text in test["text"]]
    assert predictions["label"].tolist() == test["label"].tolist()
    accuracy = {}
    for role, unknown in unknown_words.items():
        expected = [counted(text, unknown) for text in test["text"]]
        assert predictions[f"{role}_label"].tolist() == expected
        accuracy[role] = float(np.mean(test["label"].to_numpy() == expected))
    assert accuracy["teacher"] > accuracy["student"] > accuracy["undistilled"]
    for model in (*unknown_words, "tfidf"):
        both = predictions[[f"{model}_probability_negative", f"{model}_probability_positive"]]
        assert np.allclose(both.sum(axis=1), 1)

    figures = read_json(report / "metrics.json")
    assert figures["teacher"]["accuracy"] == accuracy["teacher"] == metrics["teacher_accuracy"]
    assert figures["student"]["accuracy"] == accuracy["student"] == metrics["student_accuracy"]
    assert figures["controls"]["undistilled"]["accuracy"] == accuracy["undistilled"]
    assert figures["student"]["retention"] == accuracy["student"] / accuracy["teacher"]
    low, high = figures["student"]["retention_interval"]
    assert low <= figures["student"]["retention"] <= high
    assert figures["controls"]["tfidf"]["accuracy"] == metrics["tfidf_accuracy"] > 0.8
    assert figures["controls"]["majority"]["accuracy"] == 0.5
    assert figures["data"]["rows"] == {
        "train": 150,
        "validation": 50,
        "test": 100,
        "unlabelled": 100,
    }
    assert figures["student"]["size_bytes"] == 1234
    assert figures["gate"] == {"passed": True, "reasons": []}
    for name in ("student", "teacher"):
        times = figures["latency_p50_us"][name]
        assert 0 < times["model"] < times["end_to_end"]
        assert times["end_to_end"] <= figures["latency_p95_us"][name]["end_to_end"]
    assert figures["latency_p50_us"]["bert_base"] == {"model": None, "end_to_end": None}
    assert figures["speedup"]["end_to_end"]["vs_teacher"] > 0
    assert figures["speedup"]["model"]["vs_bert_base"] is None
    assert len(pd.read_csv(report / "latency.csv")) == 4 * 10
    assert pd.read_csv(report / "accuracy_latency.csv")["model"].tolist() == [
        "teacher",
        "student",
        "undistilled",
        "tfidf",
    ]
    quality = read_json(evaluation / "quality.json")
    assert {key: figures[key] for key in quality} == quality


def test_other_forms_are_measured_beside_the_models(
    tmp_path: Path,
    quantised_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
    unknown_in_every_form: dict[str, tuple[str, ...]],
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    evaluation, report, _ = evaluate(quantised_onnx, corpus, evaluate_section, tmp_path / "out")
    test = pd.read_parquet(corpus / "test.parquet")
    answers = {
        role: np.array([counted(text, unknown) for text in test["text"]])
        for role, unknown in unknown_in_every_form.items()
    }
    predictions = pd.read_parquet(evaluation / "predictions.parquet")
    for role, expected in answers.items():
        assert predictions[f"{role}_label"].tolist() == expected.tolist()
    accuracy = {role: (test["label"] == found).mean() for role, found in answers.items()}
    figures = read_json(report / "metrics.json")
    student, int8 = figures["student"], figures["controls"]["teacher_int8"]
    assert figures["student_float32"]["accuracy"] == accuracy["student_float32"]
    assert int8["accuracy"] == accuracy["teacher_int8"]
    assert (student["form"], int8["form"]) == ("int8_embeddings", "dynamic_int8")
    same = (answers["student"] == answers["student_float32"]).mean()
    assert student["label_agreement_with_float32"] == same < 1
    same = (answers["teacher_int8"] == answers["teacher"]).mean()
    assert int8["label_agreement_with_float32"] == same < 1
    assert student["retention"] == accuracy["student"] / accuracy["teacher"]
    difference = figures["differences"]["student_minus_teacher_int8"]["accuracy"]
    assert difference == pytest.approx(accuracy["student"] - accuracy["teacher_int8"])
    for other in ("vs_teacher_int8", "vs_student_float32"):
        assert figures["speedup"]["model"][other] > 0
    models = pd.read_csv(report / "accuracy_latency.csv")["model"].tolist()
    assert models == [
        "teacher",
        "teacher_int8",
        "student",
        "student_float32",
        "undistilled",
        "tfidf",
    ]
    text = (report / "report.md").read_text("utf-8")
    assert "| student: int8\\_embeddings | 0.00 | 89.0 % | 95.00 % | taken |" in text
    assert "| student: static\\_int8 | - | - | - | the graph has no such layer |" in text
    assert "The student is exported as int8\\_embeddings" in text
    assert "<h2>Smaller forms</h2>" in (report / "report.html").read_text("utf-8")


def test_without_other_forms_nothing_is_reported_of_them(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    _, report, _ = evaluate(evaluate_onnx, corpus, evaluate_section, tmp_path / "out")
    figures = read_json(report / "metrics.json")
    assert "student_float32" not in figures
    assert "teacher_int8" not in figures["controls"]
    assert "teacher_int8" not in figures["latency_p50_us"]
    assert figures["speedup"]["model"]["vs_teacher_int8"] is None
    text = (report / "report.md").read_text("utf-8")
    assert "Smaller forms" not in text
    assert "int8" not in text


def test_a_quick_run_says_so(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    for quick in (False, True):
        section = evaluate_section | {"quick": quick}
        _, report, _ = evaluate(evaluate_onnx, corpus, section, tmp_path / str(quick))
        markdown = (report / "report.md").read_text("utf-8")
        assert markdown.splitlines()[2].startswith("> **A quick run.**") == quick
        page = (report / "report.html").read_text("utf-8")
        assert ("<strong>A quick run.</strong>" in page) == quick
        assert ("full run" in page) == quick


def test_tables_for_dvc_plots_agree_with_the_predictions(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    evaluation, _, _ = evaluate(
        evaluate_onnx, make_corpus(tmp_path / "corpus"), evaluate_section, tmp_path / "out"
    )
    predictions = pd.read_parquet(evaluation / "predictions.parquet")
    confusion = pd.read_csv(evaluation / "confusion.csv")
    assert confusion["actual"].tolist() == predictions["label"].tolist()
    assert confusion["predicted"].tolist() == predictions["student_label"].tolist()
    assert confusion["predicted_teacher"].tolist() == predictions["teacher_label"].tolist()
    per_class = pd.read_csv(evaluation / "per_class.csv").set_index("label")
    of_positive = predictions[predictions["label"] == "positive"]
    recall = (of_positive["student_label"] == "positive").mean()
    assert per_class.loc["positive", "student_recall"] == pytest.approx(recall, abs=1e-6)
    assert per_class["support"].tolist() == [50, 50]
    reliability = pd.read_csv(evaluation / "reliability.csv")
    assert reliability["student_rows"].sum() == 100
    assert reliability["bin_middle"].is_monotonic_increasing


def test_two_runs_give_the_same_content(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    first, _, _ = evaluate(evaluate_onnx, corpus, evaluate_section, tmp_path / "1")
    second, _, _ = evaluate(evaluate_onnx, corpus, evaluate_section, tmp_path / "2")
    assert content_digest(first) == content_digest(second)


def test_report_is_self_contained_and_escapes_the_data(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    def hostile(test: pd.DataFrame) -> pd.DataFrame:
        return test.assign(
            text=[HOSTILE + "good " * 60, *test["text"][1:]], label=["negative", *test["label"][1:]]
        )

    corpus = make_corpus(tmp_path / "corpus", hostile)
    section = {**evaluate_section, "gate": {**evaluate_section["gate"], "min_retention": 2.0}}
    _, report, _ = evaluate(evaluate_onnx, corpus, section, tmp_path / "out")
    page = (report / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)" in page
    assert "Gate failed" in page
    assert "below the minimum 2" in page
    assert len(re.findall(r'src="data:image/png;base64,', page)) == 4
    assert not re.search(r'(src|href)="(?!data:)', page)
    text = (report / "report.md").read_text("utf-8")
    assert "&lt;script&gt;alert('x')&lt;/script&gt; \\| good \\*film\\* \\[link\\](http" in text
    assert "good " * 30 not in text  # shortened
    for name in re.findall(r"\]\((\w+\.png)\)", text):
        assert (report / name).read_bytes().startswith(b"\x89PNG")
    rows = [line for line in text.splitlines() if line.startswith("| &lt;script")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert rows
    assert read_json(report / "metrics.json")["gate"]["passed"] is False


def test_fewer_test_rows_than_texts_to_time(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    corpus = make_corpus(tmp_path / "corpus", lambda test: test[:1])
    _, report, _ = evaluate(evaluate_onnx, corpus, evaluate_section, tmp_path / "out")
    assert read_json(report / "metrics.json")["compared_with"]["texts"]["student"] == 1


def test_test_label_that_no_model_knows(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    corpus = make_corpus(
        tmp_path / "corpus",
        lambda test: test.assign(label=["positive"] * 7 + ["mixed"] + ["negative"] * 92),
    )
    with raises("labels-mismatch", "row 7 (row-207)", "'mixed'"):
        evaluate(evaluate_onnx, corpus, evaluate_section, tmp_path / "out")
    assert not (tmp_path / "out" / "evaluation").exists()


def test_empty_test_split(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    corpus = make_corpus(tmp_path / "corpus", lambda test: test[:0])
    with raises("split-empty", "test.parquet"):
        evaluate(evaluate_onnx, corpus, evaluate_section, tmp_path / "out")


def test_models_of_different_labels(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    onnx = tmp_path / "onnx"
    shutil.copytree(evaluate_onnx, onnx)
    file = onnx / "student" / "manifest.json"
    file.write_text(json.dumps({**read_json(file), "labels": ["positive", "negative"]}), "utf-8")
    with raises("labels-mismatch", "student", "positive, negative"):
        evaluate(onnx, make_corpus(tmp_path / "corpus"), evaluate_section, tmp_path / "out")


def test_missing_model(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    onnx = tmp_path / "onnx"
    shutil.copytree(evaluate_onnx, onnx)
    (onnx / "undistilled" / "model.onnx").unlink()
    with raises("artifact-missing", "model.onnx"):
        evaluate(onnx, make_corpus(tmp_path / "corpus"), evaluate_section, tmp_path / "out")


def test_unknown_threshold_is_refused(
    tmp_path: Path,
    evaluate_onnx: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
) -> None:
    section = {**evaluate_section, "gate": {**evaluate_section["gate"], "min_acuracy": 0.5}}
    with raises("parameter-unknown", "evaluate.gate.min_acuracy"):
        evaluate(evaluate_onnx, make_corpus(tmp_path / "corpus"), section, tmp_path / "out")


@pytest.mark.parametrize(("positives", "passed"), [(10, False), (9, True)])
def test_a_class_of_which_the_student_has_no_row_right(
    tmp_path: Path,
    tiny_exported: Path,
    make_corpus: Callable[..., Path],
    evaluate_section: dict[str, Any],
    positives: int,
    passed: bool,
) -> None:
    """It answers it once, wrongly. The gate asks for nothing else than the class."""
    onnx = tmp_path / "onnx"
    forgets = tuple(POSITIVE - {"good"})
    write_models(onnx, tiny_exported, UNKNOWN | {"teacher": (), "student": forgets})

    def rare(test: pd.DataFrame) -> pd.DataFrame:
        of = {label: test[test["label"] == label] for label in ("negative", "positive")}
        stray = of["negative"][:1].assign(text="good")
        repeated = pd.concat([stray, *[of["negative"]] * 2])[: 100 - positives]
        unknown = of["positive"][~of["positive"]["text"].str.contains("good")]
        return pd.concat([repeated, unknown[:positives]])

    section = evaluate_section | {
        "gate": evaluate_section["gate"] | {"must_answer_class_from_rows": 10}
    }
    corpus = make_corpus(tmp_path / "corpus", rare)
    _, report, metrics = evaluate(onnx, corpus, section, tmp_path / "out")
    figures = read_json(report / "metrics.json")
    lost = {"label": "positive", "test_rows": positives, "teacher_right": positives}
    assert figures["student"]["missed_classes"] == [lost]
    assert figures["student"]["worst_class"] == {
        "label": "positive",
        "recall": 0.0,
        "test_rows": positives,
    }
    assert (metrics["student_missed_classes"], metrics["student_worst_class_recall"]) == (1, 0)
    assert figures["gate"]["passed"] == passed
    finding = (
        "- The student has no row right of 1 class that its teacher knows: 'positive' "
        f"({positives} of 100 test rows; right by the teacher: {positives})."
    )
    lines = (report / "report.md").read_text("utf-8").splitlines()
    assert next(line for line in lines if line.startswith("- The student")) == finding
    assert finding[2:30] in (report / "report.html").read_text("utf-8")
