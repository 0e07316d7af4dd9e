"""What the figures say, in sentences. A control that wins is named as plainly as a good student."""

from collections.abc import Mapping
from typing import Any

_CONTROLS = {
    "undistilled": (
        "the same student trained on the labels alone",
        "distillation brought nothing here",
    ),
    "tfidf": (
        "TF-IDF + logistic regression",
        "for this data the simple model is the better choice",
    ),
}


def findings(figures: Mapping[str, Any]) -> list[str]:
    """Sentences for the head of the report, the most important first."""
    student, teacher = figures["student"], figures["teacher"]
    sentences = []
    if student["retention"] is not None:
        sentences.append(
            f"The student keeps {share(student['retention'])} of its teacher's accuracy "
            f"({share(student['accuracy'])} of {share(teacher['accuracy'])}; 95 % interval "
            f"{share_range(student['retention_interval'])})."
        )
    sentences += _speed(figures)
    sentences += [_against(figures, control) for control in _CONTROLS]
    majority = figures["controls"]["majority"]
    if student["accuracy"] <= majority["accuracy"]:
        sentences.append(
            f"Always answering '{majority['label']}' is right in {share(majority['accuracy'])} of "
            f"the rows: the student ({share(student['accuracy'])}) has learned nothing of use."
        )
    return sentences


def share(value: float | None) -> str:
    """0.981 as 98.1 %."""
    return "undefined" if value is None else f"{100 * value:.1f} %"


def share_range(bounds: tuple[float, float] | None) -> str:
    return "undefined" if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %"


def points(value: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * value:+.1f} points"


def points_range(bounds: tuple[float, float]) -> str:
    return f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f} points"


def threads(figures: Mapping[str, Any]) -> str:
    """Of ONNX Runtime where times were measured: 1 thread, 4 threads."""
    count = figures["machine"]["threads"]
    return f"{count} thread{'s' if count != 1 else ''}"


def _speed(figures: Mapping[str, Any]) -> list[str]:
    names, shape = figures["compared_with"], figures["compared_with"]["shape"]
    parts = []
    for key, who in (
        ("vs_teacher", f"its teacher ({names['vs_teacher']})"),
        ("vs_bert_base", names["vs_bert_base"]),
    ):
        if (times := figures["speedup"]["end_to_end"][key]) is not None:
            low, high = figures["speedup_interval"]["end_to_end"][key]
            parts.append(f"{times:.1f} times ({low:.1f} to {high:.1f}) less time than {who}")
    if not parts:
        return []
    return [
        f"With tokenization, the student needs {', and '.join(parts)}; {shape}, {threads(figures)}."
    ]


def _against(figures: Mapping[str, Any], control: str) -> str:
    name, meaning = _CONTROLS[control]
    student = figures["student"]["accuracy"]
    other = figures["controls"][control]["accuracy"]
    difference = figures["differences"][f"student_minus_{control}"]
    low, high = difference["interval"]
    facts = (
        f"{share(student)} against {share(other)}, {points(difference['accuracy'])}, "
        f"95 % interval {points_range((low, high))}"
    )
    doubt = (
        " The interval includes 0: these test rows cannot tell the two apart."
        if low <= 0 <= high
        else ""
    )
    if student > other:
        return f"The student is better than {name} ({facts}).{doubt}"
    if student == other:
        return f"The student is no better than {name} ({facts}): {meaning}.{doubt}"
    return f"A control wins: {name} is better than the student ({facts}): {meaning}.{doubt}"
