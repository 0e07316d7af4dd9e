"""The gate: thresholds from params.yaml, and the verdict on a set of figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from decant.runtime.settings import settings

Share = Annotated[float, Field(ge=0, le=1)]


@settings
class Gate:
    """What a student must reach to be registered; None (null) switches a threshold off."""

    min_student_accuracy: Share | None
    min_retention: Annotated[float, Field(ge=0)] | None
    max_ece: Share | None
    min_speedup_end_to_end_vs_teacher: Annotated[float, Field(gt=0)] | None
    max_latency_p50_us: Annotated[float, Field(gt=0)] | None
    max_size_bytes: Annotated[int, Field(gt=0)] | None
    must_beat_tfidf: bool
    must_beat_undistilled: bool


@dataclass(frozen=True)
class Verdict:
    """Passed, or one reason per threshold that was missed."""

    passed: bool
    reasons: tuple[str, ...]


def judge(gate: Gate, figures: Mapping[str, Any]) -> Verdict:
    """Hold the figures (in the form of metrics.json) against the thresholds."""
    student, controls = figures["student"], figures["controls"]
    at_least = [
        ("student accuracy", student["accuracy"], gate.min_student_accuracy),
        ("retention (student / teacher accuracy)", student["retention"], gate.min_retention),
        (
            "end-to-end speedup over the teacher",
            figures["speedup"]["end_to_end"]["vs_teacher"],
            gate.min_speedup_end_to_end_vs_teacher,
        ),
    ]
    at_most = [
        ("student ECE", student["ece"], gate.max_ece),
        (
            "student end-to-end latency p50 in us",
            figures["latency_p50_us"]["student"]["end_to_end"],
            gate.max_latency_p50_us,
        ),
        ("student size in bytes", student["size_bytes"], gate.max_size_bytes),
    ]
    reasons = [
        f"{name} is {_shown(value)}, below the minimum {_shown(threshold)}"
        for name, value, threshold in at_least
        if threshold is not None and (value is None or value < threshold)
    ]
    reasons += [
        f"{name} is {_shown(value)}, above the maximum {_shown(threshold)}"
        for name, value, threshold in at_most
        if threshold is not None and (value is None or value > threshold)
    ]
    beaten = [
        ("TF-IDF + logistic regression", "tfidf", gate.must_beat_tfidf),
        ("the undistilled student", "undistilled", gate.must_beat_undistilled),
    ]
    reasons += [
        f"student accuracy is {_shown(student['accuracy'])}, not above the "
        f"{_shown(controls[key]['accuracy'])} of {name}"
        for name, key, required in beaten
        if required and student["accuracy"] <= controls[key]["accuracy"]
    ]
    return Verdict(not reasons, tuple(reasons))


def _shown(value: float | int | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
