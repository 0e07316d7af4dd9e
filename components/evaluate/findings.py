"""What the figures say, in sentences. A control that wins is named as plainly as a good student."""

from collections.abc import Mapping
from typing import Any

_INT8, _FLOAT32 = "vs_teacher_int8", "vs_student_float32"
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
    sentences += _form(figures)
    sentences += _against_teacher_int8(figures)
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


def megabytes(model: Mapping[str, Any]) -> str:
    """Of graph and tokenizer."""
    return f"{model['size_bytes'] / 1e6:.1f} MB"


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


def _form(figures: Mapping[str, Any]) -> list[str]:
    """What the smaller form of the student gained and cost."""
    if "student_float32" not in figures:
        return []
    student, float32 = figures["student"], figures["student_float32"]
    return [
        f"The student is exported as {student['form']}: {megabytes(student)} instead of "
        f"{megabytes(float32)} in float32, the model alone {_as_fast(figures, 'model', _FLOAT32)}. "
        f"It gives the same label in {share(student['label_agreement_with_float32'])} of the test "
        f"rows and is right in {share(student['accuracy'])} instead of "
        f"{share(float32['accuracy'])}."
    ]


def _against_teacher_int8(figures: Mapping[str, Any]) -> list[str]:
    """The control that needs no student: its teacher, quantised."""
    control = figures["controls"].get("teacher_int8")
    if control is None:
        return []
    accuracy, other = figures["student"]["accuracy"], control["accuracy"]
    difference = figures["differences"]["student_minus_teacher_int8"]
    name = f"the teacher as {control['form']}"
    facts = (
        f"{share(accuracy)} against {share(other)}, {points(difference['accuracy'])}, "
        f"95 % interval {points_range(difference['interval'])}"
    )
    speed = f"With tokenization the student is {_as_fast(figures, 'end_to_end', _INT8)} as that"
    doubt = _doubt(difference["interval"])
    if accuracy > other:
        return [f"The student is better than {name} ({facts}).{doubt} {speed}."]
    if figures["speedup"]["end_to_end"][_INT8] <= 1:
        return [
            f"A control wins: {name} is as good as the student or better ({facts}).{doubt} "
            f"{speed}: no student is needed here."
        ]
    return [f"The student pays for its speed beside {name} ({facts}).{doubt} {speed}."]


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
    doubt = _doubt((low, high))
    if student > other:
        return f"The student is better than {name} ({facts}).{doubt}"
    if student == other:
        return f"The student is no better than {name} ({facts}): {meaning}.{doubt}"
    return f"A control wins: {name} is better than the student ({facts}): {meaning}.{doubt}"


def _doubt(bounds: tuple[float, float]) -> str:
    low, high = bounds
    if low <= 0 <= high:
        return " The interval includes 0: these test rows cannot tell the two apart."
    return ""


def _as_fast(figures: Mapping[str, Any], part: str, other: str) -> str:
    low, high = figures["speedup_interval"][part][other]
    return f"{figures['speedup'][part][other]:.1f} times ({low:.1f} to {high:.1f}) as fast"
