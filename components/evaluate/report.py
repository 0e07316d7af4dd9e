"""The readable report: report.md beside its pictures, report.html with everything inside."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from numpy.typing import NDArray

from components.evaluate.figures import BERT_BASE, models_of
from components.evaluate.findings import findings, points, points_range, share, share_range, threads
from components.evaluate.pictures import TITLES
from components.evaluate.quality import Quality
from components.evaluate.tested_models import STUDENT_FLOAT32, TEACHER_INT8

SHOWN_ROWS = 10
_SHOWN_CHARACTERS = 160
_NONE = "-"
_SLOWER = {  # what the student is timed against
    "vs_teacher": "its teacher: ",
    f"vs_{TEACHER_INT8}": "its teacher as ",
    f"vs_{STUDENT_FLOAT32}": "itself as ",
    f"vs_{BERT_BASE}": "",
}
_CAPTIONS = {
    "accuracy_latency": "Test accuracy with 95 % intervals against latency at batch 1.",
    "confusion": "Confusion of teacher and student: rows are the labels, columns the answers.",
    "reliability": "Accuracy against confidence in 15 bins, and how many rows fall into each.",
    "per_class_f1": "F1 of each class for teacher, student and controls.",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells ready to print; the first column is text, the others are figures unless said so."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: bool = False


def write_report(
    folder: Path,
    *,
    figures: Mapping[str, Any],
    labels: Sequence[str],
    quality: Mapping[str, Quality],
    test: pd.DataFrame,
    probabilities: Mapping[str, NDArray[np.float32]],
    pictures: Mapping[str, Path],
    quantisation: Mapping[str, Mapping[str, Any]],
    quick: bool,
) -> None:
    """Write report.md and report.html. Texts of the data are shortened and escaped.

    Args:
        quick: the training was cut short, which both say.
        quantisation: by role, what the manifest says of the forms that were tried.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = _escape_markdown
    environment.globals["threads"] = threads(figures)
    content = {
        "figures": figures,
        "quick": quick,
        "findings": findings(figures),
        "data_rows": _data_table(figures, labels),
        "quality_table": _quality_table(figures),
        "difference_table": _difference_table(figures),
        "latency_table": _latency_table(figures),
        "speedup_table": _speedup_table(figures),
        "quantisation_table": _quantisation_table(quantisation),
        "class_table": _class_table(labels, quality),
        "error_table": _error_table(labels, test, probabilities["student"]),
        "disagreement_table": _disagreement_table(labels, test, probabilities),
        "pictures": [
            {
                "name": name,
                "file": file.name,
                "caption": _CAPTIONS[name],
                "uri": f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}",
            }
            for name, file in pictures.items()
        ],
    }
    for name in ("report.md", "report.html"):
        text = environment.get_template(f"{name}.j2").render(content)
        (folder / name).write_text(text, "utf-8")


def _data_table(figures: Mapping[str, Any], labels: Sequence[str]) -> list[tuple[str, str]]:
    data, machine = figures["data"], figures["machine"]
    rows = data["rows"]
    shown = ", ".join(_cut(label, 40) for label in labels[:30])
    if len(labels) > 30:
        shown += f" and {len(labels) - 30} more"
    return [
        ("columns", f"text '{data['text_column']}', label '{data['label_column']}'"),
        ("labels", f"{len(labels)}: {shown}"),
        ("labelled rows", f"{rows['train']:,} train, {rows['validation']:,} validation"),
        ("transfer set", f"{rows['unlabelled']:,} rows without labels"),
        ("test rows", f"{rows['test']:,} (digest {data['test_digest'][:16]}…)"),
        ("teacher", figures["teacher"]["encoder"]),
        ("student", _described(figures["student"])),
        (
            "machine",
            f"{machine['cpu']}, {machine['cores']} cores, {threads(figures)} per call, "
            f"{machine['runtime']}",
        ),
        ("seed", str(figures["method"]["seed"])),
    ]


def _described(model: Mapping[str, Any]) -> str:
    return ", ".join(model[key] for key in ("architecture", "form") if key in model)


def _quality_table(figures: Mapping[str, Any]) -> Table:
    rows = []
    for name, model in models_of(figures).items():
        exported = "size_bytes" in model
        rows.append(
            [
                TITLES[name],
                share(model["accuracy"]),
                share_range(model["accuracy_interval"]),
                f"{model['macro_f1']:.3f}",
                f"{model['ece']:.3f}",
                f"{model['parameters']:,}" if exported else _NONE,
                f"{model['size_bytes'] / 1e6:,.2f}" if exported else _NONE,
            ]
        )
    majority = figures["controls"]["majority"]
    rows.append(
        [f"always '{_cut(majority['label'], 40)}'", share(majority["accuracy"]), *[_NONE] * 5]
    )
    return Table(
        columns=[
            "model",
            "accuracy",
            "95 % interval",
            "macro-F1",
            "ECE",
            "parameters",
            "size (MB)",
        ],
        rows=rows,
    )


def _difference_table(figures: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"student minus {TITLES[name.removeprefix('student_minus_')]}",
            points(difference["accuracy"]),
            points_range(difference["interval"]),
        ]
        for name, difference in figures["differences"].items()
    ]
    return Table(columns=["accuracy", "difference", "95 % interval, paired"], rows=rows)


def _latency_table(figures: Mapping[str, Any]) -> Table:
    rows = []
    for name, texts in figures["compared_with"]["texts"].items():
        if texts:
            times = [
                figures[f"latency_p{percentile}_us"][name][measure]
                for measure in ("model", "end_to_end")
                for percentile in (50, 95, 99)
            ]
            throughput = f"{figures['throughput_rows_per_second'][name]:,.0f}"
            rows.append([TITLES[name], *map(_microseconds, times), throughput])
    return Table(
        columns=[
            "model",
            *(f"{part} p{p} (µs)" for part in ("model alone", "end to end") for p in (50, 95, 99)),
            f"rows/s at batch {figures['throughput_batch_size']}",
        ],
        rows=rows,
    )


def _speedup_table(figures: Mapping[str, Any]) -> Table:
    rows = []
    for part, title in (("end_to_end", "end to end"), ("model", "model alone")):
        for other, who in _SLOWER.items():
            if (times := figures["speedup"][part][other]) is not None:
                low, high = figures["speedup_interval"][part][other]
                against = f"{who}{figures['compared_with'][other]}"
                rows.append(
                    [f"{title}, against {against}", f"{times:.1f}", f"{low:.1f} to {high:.1f}"]
                )
    return Table(columns=["student", "times less time", "5 to 95 % of the blocks"], rows=rows)


def _quantisation_table(records: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = []
    for role, record in records.items():
        won = record["won"]
        tried = [{"form": "float32", "reason": "", **record["float32"]}, *record["tried"]]
        for trial in tried:
            made = "size_bytes" in trial
            rows.append(
                [
                    f"{role}: {trial['form']}",
                    f"{trial['size_bytes'] / 1e6:,.2f}" if made else _NONE,
                    share(trial["accuracy"]) if made else _NONE,
                    f"{100 * trial['label_agreement']:.2f} %" if made else _NONE,
                    "taken" if trial["form"] == won else trial["reason"],
                ]
            )
    return Table(
        columns=["form", "graph (MB)", "validation accuracy", "same labels", "verdict"],
        rows=rows,
        text=True,
    )


def _class_table(labels: Sequence[str], quality: Mapping[str, Quality]) -> Table:
    student, teacher = quality["student"].per_class, quality["teacher"].per_class
    rows = [
        [
            _cut(label, 40),
            f"{student['support'].iloc[index]:,}",
            *(f"{student[column].iloc[index]:.3f}" for column in ("precision", "recall", "f1")),
            f"{teacher['f1'].iloc[index]:.3f}",
        ]
        for index, label in enumerate(labels)
    ]
    return Table(
        columns=["class", "test rows", "precision", "recall", "F1", "teacher's F1"], rows=rows
    )


def _error_table(labels: Sequence[str], test: pd.DataFrame, student: NDArray[np.float32]) -> Table:
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


def _disagreement_table(
    labels: Sequence[str], test: pd.DataFrame, probabilities: Mapping[str, NDArray[np.float32]]
) -> Table:
    """Rows on which student and teacher differ, those first where both are surest."""
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
    line = " ".join(str(text).split())
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


def _escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is: no cell, link, picture, formula or tag of its own."""
    tagless = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$]|^#)", r"\\\1", tagless)
