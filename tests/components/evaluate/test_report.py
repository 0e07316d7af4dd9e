"""The report of known figures, byte by byte: golden/report.md and golden/report.html.

The files were written before the report's sentences were templates. A change of its words or its
layout changes them: look at the difference, then take the new text.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.evaluate.exported_manifest import Quantisation
from components.evaluate.model_titles import model_titles
from components.evaluate.report import write_report
from decant.tasks.quality import measure
from decant.tasks.tables import sections
from decant.tasks.task import Task
from tests.example_figures import figures_of, metrics

GOLDEN = Path(__file__).parent / "golden"
LABELS = ("fresh", "rotten")
TEST = pd.DataFrame(
    {
        "row_id": ["a", "b", "c", "d", "e"],
        "text": [
            "a *fine* film, <b>bold</b> & [moving](http://example.org)",
            "dull | and long",
            "it has\ntwo lines, $5 and `code`",
            "# not a heading",
            "so " * 80,
        ],
        "label": ["fresh", "rotten", "fresh", "rotten", "rotten"],
    }
)
FRESH = {  # the probability of the first class, by model and row
    "teacher": [0.9, 0.2, 0.8, 0.4, 0.1],
    "student": [0.8, 0.7, 0.3, 0.45, 0.2],
    "undistilled": [0.6, 0.6, 0.6, 0.6, 0.6],
    "tfidf": [0.5, 0.4, 0.4, 0.4, 0.7],
}
TRIALS: dict[str, Any] = {
    "won": "static_int8",
    "float32": {"size_bytes": 8_700_000, "accuracy": 0.785, "label_agreement": 1.0},
    "tried": [
        {
            "form": "static_int8",
            "reason": "the smallest accepted",
            "size_bytes": 2_400_000,
            "accuracy": 0.78,
            "label_agreement": 0.996,
        },
        {"form": "float16_embeddings", "reason": "the graph has no such table"},
    ],
}


def write(
    folder: Path, content: dict[str, Any], trials: dict[str, Any], numbered: Collection[int] = ()
) -> None:
    task = Task.of_classes(LABELS)
    (target,) = task.targets
    labels = np.array([LABELS.index(label) for label in TEST["label"]], dtype=np.int32)
    tested = {}
    for model, values in FRESH.items():
        probabilities = np.array([[p, 1 - p] for p in values], dtype=np.float32)
        tested[model] = measure(task, {"label": probabilities}, labels)["label"].quality
    pictures = {}
    for name in ("accuracy_latency", "confusion", "reliability", "per_class_f1"):
        pictures[name] = folder / f"{name}.png"
        pictures[name].write_bytes(b"\x89PNG " + name.encode())
    write_report(
        folder,
        figures=figures_of(content),
        task=task,
        titles=model_titles(task),
        sections={"label": sections(target, tested, TEST["text"].tolist(), numbered)},
        pictures={"label": pictures},
        accuracy_latency=pictures["accuracy_latency"],
        quick=False,
        quantisation={role: Quantisation.model_validate(one) for role, one in trials.items()},
    )


def failed_gate() -> dict[str, Any]:
    """Without other forms, and a student that is worse than every control."""
    content = metrics()
    del content["student_float32"], content["controls"]["teacher_int8"]
    for name in ("student_minus_student_float32", "student_minus_teacher_int8"):
        del content["differences"][name]
    for name in ("student_float32", "teacher_int8"):
        del content["compared_with"]["texts"][name]
        content["compared_with"][f"vs_{name}"] = None
        for part in ("model", "end_to_end"):
            content["speedup"][part][f"vs_{name}"] = None
            content["speedup_interval"][part][f"vs_{name}"] = None
    content["student"] |= {"accuracy": 0.5, "retention": None, "retention_interval": None}
    content["student"]["missed_classes"] = [
        {"label": "no | <b>\nclass", "test_rows": 1000, "teacher_right": 12},
    ]
    content["student"]["worst_class"] = {"label": "no", "recall": 0.0, "test_rows": 1000}
    content["gate"] = {"passed": False, "reasons": ["a < b & c", "d_e is 1"]}
    return content


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_the_report_of_a_default_run(tmp_path: Path, name: str) -> None:
    write(tmp_path, metrics(), {"teacher": TRIALS, "student": TRIALS})
    assert (tmp_path / name).read_text("utf-8") == (GOLDEN / name).read_text("utf-8")


def test_the_report_of_a_student_that_failed(tmp_path: Path) -> None:
    write(tmp_path, failed_gate(), {})
    text = (tmp_path / "report.md").read_text("utf-8")
    assert text == (GOLDEN / "failed.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_numbered_classes_and_characters_as_terms(tmp_path: Path, name: str) -> None:
    content = metrics()
    content["controls"]["tfidf"]["unspaced_share"] = 0.643
    write(tmp_path, content, {}, numbered={1})
    text = (tmp_path / name).read_text("utf-8")
    assert "#2 rotten" in text and "#1 fresh" not in text
    assert "a number such as #1 stands for a class" in text
    assert "characters of scripts without blanks between words, here 64.3 % of the letters" in text
