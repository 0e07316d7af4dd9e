"""The whole step on models of other tasks whose right answers are counted by hand."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, r2_score

from decant.figures.metrics_file import as_json, read_figures
from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json
from decant.runtime.identity import content_digest
from decant.tasks.task import Target, Task
from tests.components.evaluate.word_models import (
    MOOD,
    SENTIMENT,
    STARS,
    UNKNOWN,
    truth,
    write_corpus,
    write_word_models,
)
from tests.errors import raises

ALONE = {one.kind: Task((one,)) for one in (MOOD, STARS, SENTIMENT)}
SEVERAL = Task((MOOD, dataclasses.replace(STARS, weight=2.0), SENTIMENT))


def is_known(name: str, row: int) -> bool:
    """Of several targets each lacks every fifth, seventh or eleventh label."""
    return row % {"mood": 5, "stars": 7, "sentiment": 11}[name] > 0


@dataclasses.dataclass(frozen=True)
class Run:
    task: Task
    corpus: Path
    evaluation: Path
    report: Path
    metrics: dict[str, float]

    @property
    def figures(self) -> dict[str, Any]:
        """As they stand in the file, which is the same when it is read and written again."""
        file = self.report / "metrics.json"
        figures = read_figures(file)
        content = dict(read_json(file))
        assert as_json(figures) == content
        assert figures.student.score == content["student"]["score"]
        return content

    def test_rows(self) -> pd.DataFrame:
        return pd.read_parquet(self.corpus / "test.parquet")


Evaluate = Callable[..., Run]


@pytest.fixture
def evaluate(
    tmp_path: Path, tiny_exported: Path, tiny_csv: Path, evaluate_section: dict[str, Any]
) -> Evaluate:
    """Runs the step on a task; `gate` changes its thresholds."""

    def run(task: Task, to: str = "out", *, models: Task | None = None, **gate: Any) -> Run:
        folder = tmp_path / to
        known = is_known if len(task.targets) > 1 else lambda name, row: True
        corpus = write_corpus(folder / "corpus", tiny_csv, task, known)
        onnx = write_word_models(folder / "onnx", tiny_exported, models or task)
        section = evaluate_section | {"gate": evaluate_section["gate"] | gate}
        ports = {
            "onnx": onnx,
            "corpus": corpus,
            "evaluation": folder / "evaluation",
            "report": folder / "reports",
        }
        reporter = run_step("evaluate", section, ports)
        return Run(task, corpus, ports["evaluation"], ports["report"], reporter.metrics)

    return run


def as_matrix(target: Target, sets: Any) -> NDArray[np.bool_]:
    return np.array([[label in found for label in target.outputs] for found in sets])


def test_labels_of_which_a_text_has_any_number(evaluate: Evaluate) -> None:
    run = evaluate(ALONE["multi_label"])
    test = run.test_rows()
    actual = as_matrix(MOOD, test["label"])
    predictions = pd.read_parquet(run.evaluation / "predictions.parquet")
    scores = {}
    for role, unknown in UNKNOWN.items():
        expected = as_matrix(MOOD, [truth(MOOD, text, unknown) for text in test["text"]])
        assert (as_matrix(MOOD, predictions[f"{role}_labels"]) == expected).all()
        scores[role] = f1_score(actual, expected, average="micro")
        found = run.figures["controls"].get(role) or run.figures[role]
        mine = found["targets"]["mood"]
        assert found["score"] == mine["score"] == mine["micro_f1"] == pytest.approx(scores[role])
        assert mine["macro_f1"] == pytest.approx(f1_score(actual, expected, average="macro"))
        assert mine["subset_accuracy"] == (actual == expected).all(axis=1).mean()
        low, high = found["score_interval"]
        assert low <= found["score"] <= high
        assert "accuracy" not in found
    student = run.figures["student"]
    assert student["retention"] == pytest.approx(scores["student"] / scores["teacher"])
    assert student["targets"]["mood"]["retention"] == student["retention"]
    assert run.metrics["student_score"] == student["score"]
    own = ("micro_f1", "macro_f1", "mean_average_precision", "subset_accuracy")
    for role in ("student", "teacher"):
        of_role = run.figures[role]["targets"]["mood"]
        assert {name: run.metrics[f"{role}_{name}"] for name in own} == {
            name: of_role[name] for name in own
        }
    assert run.metrics["ece"] == student["targets"]["mood"]["ece"]
    control = run.figures["controls"]["tfidf"]
    assert control["fitted"]["mood"]["method"] == "one-vs-rest logistic regression"
    assert control["score"] > 0.8
    assert 0 < run.figures["controls"]["majority"]["score"] < control["score"]
    text = (run.report / "report.md").read_text("utf-8")
    assert re.search("The student keeps .* of its teacher.s micro-F1", text)
    assert "TF-IDF + one-vs-rest logistic regression" in text


def test_numbers(evaluate: Evaluate) -> None:
    run = evaluate(ALONE["regression"])
    test = run.test_rows()
    predictions = pd.read_parquet(run.evaluation / "predictions.parquet")
    for role, unknown in UNKNOWN.items():
        expected = [truth(STARS, text, unknown) for text in test["text"]]
        assert predictions[f"{role}_value"].to_numpy() == pytest.approx(expected, abs=1e-4)
        mine = (run.figures["controls"].get(role) or run.figures[role])["targets"]["stars"]
        assert mine["pearson"] == pytest.approx(pearsonr(test["label"], expected)[0], abs=1e-5)
        assert mine["spearman"] == pytest.approx(spearmanr(test["label"], expected)[0], abs=1e-3)
        assert mine["r2"] == pytest.approx(r2_score(test["label"], expected), abs=1e-5)
        error = np.abs(test["label"].to_numpy() - expected).mean()
        assert mine["mae"] == pytest.approx(error, abs=1e-5)
        assert "quadratic_kappa" not in mine
    constant = run.figures["controls"]["majority"]
    train = pd.read_parquet(run.corpus / "train.parquet")["label"]
    assert constant["score"] == 0
    assert constant["targets"]["stars"]["answer"] == f"the mean, {train.mean():.4g}"
    assert run.figures["controls"]["tfidf"]["fitted"]["stars"]["method"] == "ridge regression"
    assert "missed_classes" not in run.figures["student"]
    of_student = run.figures["student"]["targets"]["stars"]
    for name in ("pearson", "spearman", "mae", "r2"):
        assert run.metrics[f"student_{name}"] == of_student[name]
    assert not [name for name in run.metrics if "accuracy" in name or "f1" in name]


def test_classes_that_are_judged_by_macro_f1(evaluate: Evaluate) -> None:
    run = evaluate(ALONE["single_label"])
    test = run.test_rows()
    expected = [truth(SENTIMENT, text, UNKNOWN["student"]) for text in test["text"]]
    student = run.figures["student"]
    assert student["score"] == pytest.approx(f1_score(test["label"], expected, average="macro"))
    assert student["targets"]["sentiment"]["accuracy"] == (test["label"] == expected).mean()
    assert run.figures["data"]["metric"] == "macro_f1"


def test_several_targets_with_unknown_cells(evaluate: Evaluate) -> None:
    run = evaluate(SEVERAL)
    test = run.test_rows()
    predictions = pd.read_parquet(run.evaluation / "predictions.parquet")
    student = run.figures["student"]
    expected = {}
    for target in SEVERAL.targets:
        column = f"label.{target.name}"
        known = test[column].notna()
        assert 0 < known.sum() < len(test)
        assert student["targets"][target.name]["rows"] == known.sum()
        answers = [truth(target, text, UNKNOWN["student"]) for text in test["text"][known]]
        labels = test[column][known]
        if target is MOOD:
            pair = as_matrix(target, labels), as_matrix(target, answers)
            expected[target.name] = f1_score(*pair, average="micro")
        elif target.kind == "regression":
            expected[target.name] = pearsonr(labels, answers)[0]
        else:
            expected[target.name] = f1_score(labels, answers, average="macro")
    found = {name: one["score"] for name, one in student["targets"].items()}
    assert found == pytest.approx(expected, abs=1e-5)
    weighted = found["mood"] + 2 * found["stars"] + found["sentiment"]
    assert student["score"] == pytest.approx(weighted / 4)
    difference = run.figures["differences"]["student_minus_tfidf"]
    apart = {name: one["score"] for name, one in difference["targets"].items()}
    weighted = apart["mood"] + 2 * apart["stars"] + apart["sentiment"]
    assert difference["score"] == pytest.approx(weighted / 4)
    assert {"student_mood_labels", "student_stars_value", "student_sentiment_label"} <= {
        *predictions.columns
    }
    for name in ("confusion", "per_class", "reliability"):
        frame = pd.read_csv(run.evaluation / f"{name}.csv")
        assert frame.columns[0] == "target"
        expects = {"mood", "sentiment"} if name == "per_class" else set(found)
        assert set(frame["target"]) == expects
        if name != "reliability":
            column = "label" if name == "per_class" else "predicted_teacher"
            starts = frame[column].str.partition(": ")[0]
            assert starts.tolist() == frame["target"].tolist()
    cells = (run.evaluation / "reliability.csv").read_text("utf-8")
    assert ",," not in cells and ",nan," in cells  # DVC draws an empty cell as 0
    for name, one in student["targets"].items():
        assert run.metrics[f"student_score_{name}"] == one["score"]
        assert run.metrics[f"retention_{name}"] == one["retention"]
        teacher = run.figures["teacher"]["targets"][name]
        assert run.metrics[f"teacher_score_{name}"] == teacher["score"]
    assert run.metrics["student_mae_stars"] == student["targets"]["stars"]["mae"]
    text = (run.report / "report.md").read_text("utf-8")
    for heading in ("## mood: Labels", "## stars: Answers and labels", "## sentiment: Classes"):
        assert heading in text
    assert "'stars': the student's Pearson's r is" in text


def test_two_runs_give_the_same_content(evaluate: Evaluate) -> None:
    first, second = (evaluate(SEVERAL, to=to) for to in ("1", "2"))
    assert content_digest(first.evaluation) == content_digest(second.evaluation)


def test_the_gate_of_a_task(evaluate: Evaluate) -> None:
    of_stars = {"stars": {"min_score": 1.01, "min_retention": 1.5}}
    run = evaluate(SEVERAL, min_student_score=1.0, max_ece=1e-9, targets=of_stars)
    names = [reason.partition(" is ")[0] for reason in run.figures["gate"]["reasons"]]
    assert names == [
        "student mean score",
        "student Pearson's r of 'stars'",
        "retention (student / teacher Pearson's r) of 'stars'",
        "student ECE of 'mood'",
        "student ECE of 'sentiment'",
    ]


def test_thresholds_that_the_task_has_no_figure_for(evaluate: Evaluate) -> None:
    with raises("parameter-conflict", "evaluate.gate.max_ece", "regression"):
        evaluate(ALONE["regression"], "1", max_ece=0.1)
    with raises("parameter-conflict", "evaluate.gate.min_student_accuracy", "multi_label"):
        evaluate(ALONE["multi_label"], "2", min_student_accuracy=0.1)
    with raises("parameter-unknown", "'starz'", "mood, stars, sentiment"):
        evaluate(SEVERAL, "3", targets={"starz": {"min_score": 0.1}})
    with raises("parameter-unknown", "evaluate.gate.targets.stars.min_accuracy"):
        evaluate(SEVERAL, "4", targets={"stars": {"min_accuracy": 0.1}})


def test_models_of_another_task_than_the_corpus(evaluate: Evaluate) -> None:
    with raises("labels-mismatch", "teacher", "multi_label", "stars (regression: stars)"):
        evaluate(ALONE["regression"], "1", models=ALONE["multi_label"])
    scaled = dataclasses.replace(STARS, facts={**STARS.facts, "scale": 2.0})
    with raises("labels-mismatch", "teacher"):
        evaluate(ALONE["regression"], "2", models=Task((scaled,)))


def test_a_target_without_any_test_label(
    tmp_path: Path, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = {"mood": True, "stars": False, "sentiment": True}
    monkeypatch.setattr(
        "tests.components.evaluate.test_evaluate_kinds.is_known", lambda name, row: unknown[name]
    )
    with raises("split-empty", "'stars'"):
        evaluate(SEVERAL)
