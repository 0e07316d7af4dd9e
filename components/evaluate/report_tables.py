"""The tables of the report: cells ready to print."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.tasks.label_names import number_of
from components.evaluate.exported_manifest import Quantisation
from components.evaluate.figures import BERT_BASE
from components.evaluate.pictures import TITLES
from components.evaluate.quality import Quality
from components.evaluate.tested_models import STUDENT_FLOAT32, TEACHER_INT8
from decant.figures.evaluation_figures import Figures
from decant.figures.figure_text import (
    one_line,
    points,
    points_range,
    share,
    share_range,
    thread_count,
    times,
    times_range,
)
from decant.figures.quality_figures import ExportedFigures

SHOWN_ROWS = 10
_SHOWN_CHARACTERS = 160
_NONE = "-"
_SLOWER = {  # what the student is timed against
    "teacher": "its teacher: ",
    TEACHER_INT8: "its teacher as ",
    STUDENT_FLOAT32: "itself as ",
    BERT_BASE: "",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells ready to print; the first column is text, the others are figures by default."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: bool = False


def data_rows(figures: Figures, labels: Sequence[str]) -> list[tuple[str, str]]:
    """What was evaluated and where: pairs of a name and its text."""
    data, machine, rows = figures.data, figures.machine, figures.data.rows
    shown = ", ".join(_cut(label, 40) for label in labels[:30])
    if len(labels) > 30:
        shown += f" and {len(labels) - 30} more"
    return [
        ("columns", f"text '{data.text_column}', label '{data.label_column}'"),
        ("labels", f"{len(labels)}: {shown}"),
        ("labelled rows", f"{rows.train:,} train, {rows.validation:,} validation"),
        ("transfer set", f"{rows.unlabelled:,} rows without labels"),
        ("test rows", f"{rows.test:,} (digest {data.test_digest[:16]}…)"),
        ("teacher", figures.teacher.encoder),
        ("student", _described(figures.student)),
        (
            "machine",
            f"{machine.cpu}, {machine.cores} cores, {thread_count(machine.threads)} per call, "
            f"{machine.runtime}",
        ),
        ("seed", str(figures.method.seed)),
    ]


def _described(model: ExportedFigures) -> str:
    return ", ".join(text for text in (model.architecture, model.form) if text is not None)


def quality_table(figures: Figures) -> Table:
    """Accuracy, F1, calibration and size of every model."""
    rows = []
    for name, model in figures.models().items():
        exported = model if isinstance(model, ExportedFigures) else None
        rows.append(
            [
                TITLES[name],
                share(model.accuracy),
                share_range(model.accuracy_interval),
                f"{model.macro_f1:.3f}",
                share(model.worst_class.recall) if model.worst_class else _NONE,
                f"{model.ece:.3f}",
                f"{exported.parameters:,}" if exported else _NONE,
                f"{exported.size_bytes / 1e6:,.2f}" if exported else _NONE,
            ]
        )
    majority = figures.controls.majority
    rows.append([f"always '{_cut(majority.label, 40)}'", share(majority.accuracy), *[_NONE] * 6])
    return Table(
        columns=[
            "model",
            "accuracy",
            "95 % interval",
            "macro-F1",
            "worst class's recall",
            "ECE",
            "parameters",
            "size (MB)",
        ],
        rows=rows,
    )


def difference_table(figures: Figures) -> Table:
    """How far the student is from each other model, with the paired intervals."""
    found = {name: figures.differences.get(f"student_minus_{name}") for name in TITLES}
    rows = [
        [
            f"student minus {TITLES[name]}",
            points(difference.accuracy),
            points_range(difference.interval),
        ]
        for name, difference in found.items()
        if difference is not None
    ]
    return Table(columns=["accuracy", "difference", "95 % interval, paired"], rows=rows)


def latency_table(figures: Figures) -> Table:
    """Percentiles of one answer in microseconds, of the model alone and end to end."""
    percentiles = (figures.latency_p50_us, figures.latency_p95_us, figures.latency_p99_us)
    rows = []
    for name, title in TITLES.items():
        if figures.compared_with.texts.get(name):
            model = [_microseconds(latency[name].model) for latency in percentiles]
            end_to_end = [_microseconds(latency[name].end_to_end) for latency in percentiles]
            throughput = f"{figures.throughput_rows_per_second[name]:,.0f}"
            rows.append([title, *model, *end_to_end, throughput])
    return Table(
        columns=[
            "model",
            *(f"{part} p{p} (µs)" for part in ("model alone", "end to end") for p in (50, 95, 99)),
            f"rows/s at batch {figures.throughput_batch_size}",
        ],
        rows=rows,
    )


def speedup_table(figures: Figures) -> Table:
    """How many times as fast the student is, with the spread of the ratios."""
    ratios, spreads = figures.speedup, figures.speedup_interval
    rows = []
    for title, medians, ranges in (
        ("end to end", ratios.end_to_end, spreads.end_to_end),
        ("model alone", ratios.model, spreads.model),
    ):
        for other, name in _SLOWER.items():
            median, spread = medians.over(other), ranges.over(other)
            if median is not None and spread is not None:
                against = f"{name}{figures.compared_with.over(other)}"
                rows.append([f"{title}, against {against}", times(median), times_range(spread)])
    return Table(columns=["student", "times less time", "5 to 95 % of the blocks"], rows=rows)


def quantisation_table(records: Mapping[str, Quantisation]) -> Table:
    """By role, the forms that were tried."""
    rows = [
        [
            f"{role}: {trial.form}",
            _NONE if trial.size_bytes is None else f"{trial.size_bytes / 1e6:,.2f}",
            _NONE if trial.accuracy is None else share(trial.accuracy),
            _NONE if trial.label_agreement is None else f"{100 * trial.label_agreement:.2f} %",
            "taken" if trial.form == record.won else trial.reason,
        ]
        for role, record in records.items()
        for trial in (record.float32, *record.tried)
    ]
    return Table(
        columns=["form", "graph (MB)", "validation accuracy", "same labels", "verdict"],
        rows=rows,
        text=True,
    )


def class_table(
    labels: Sequence[str], quality: Mapping[str, Quality], numbered: Collection[int]
) -> Table:
    """Per class: rows, and the student's and the teacher's scores.

    Args:
        numbered: indices of the classes that pictures show by number; it stands before the name.
    """
    student, teacher = quality["student"].per_class, quality["teacher"].per_class
    rows = [
        [
            f"{number_of(index)} {_cut(label)}" if index in numbered else _cut(label, 40),
            f"{student['support'].iloc[index]:,}",
            f"{student['answers'].iloc[index]:,}",
            *(f"{student[column].iloc[index]:.3f}" for column in ("precision", "recall", "f1")),
            f"{teacher['f1'].iloc[index]:.3f}",
        ]
        for index, label in enumerate(labels)
    ]
    return Table(
        columns=["class", "test rows", "answers", "precision", "recall", "F1", "teacher's F1"],
        rows=rows,
    )


def error_table(labels: Sequence[str], test: pd.DataFrame, student: NDArray[np.float32]) -> Table:
    """The student's most confident errors."""
    answer, confidence = student.argmax(axis=1), student.max(axis=1)
    wrong = np.flatnonzero(np.array(labels, dtype=object)[answer] != test["label"].to_numpy())
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:SHOWN_ROWS]
    rows = [
        [
            _cut(test["text"].iloc[row]),
            _cut(test["label"].iloc[row], 40),
            _cut(labels[answer[row]], 40),
            f"{confidence[row]:.3f}",
        ]
        for row in worst
    ]
    return Table(columns=["text", "label", "student", "confidence"], rows=rows, text=True)


def disagreement_table(
    labels: Sequence[str], test: pd.DataFrame, probabilities: Mapping[str, NDArray[np.float32]]
) -> Table:
    """Rows on which student and teacher differ, the most certain first."""
    answer = {name: probabilities[name].argmax(axis=1) for name in ("teacher", "student")}
    sure = np.minimum(probabilities["teacher"].max(axis=1), probabilities["student"].max(axis=1))
    differ = np.flatnonzero(answer["teacher"] != answer["student"])
    shown = differ[np.argsort(-sure[differ], kind="stable")][:SHOWN_ROWS]
    rows = [
        [
            _cut(test["text"].iloc[row]),
            _cut(test["label"].iloc[row], 40),
            *(
                f"{_cut(labels[answer[name][row]], 40)} ({probabilities[name][row].max():.3f})"
                for name in ("teacher", "student")
            ),
        ]
        for row in shown
    ]
    return Table(columns=["text", "label", "teacher", "student"], rows=rows, text=True)


def _microseconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}"


def _cut(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    return one_line(text, characters)
