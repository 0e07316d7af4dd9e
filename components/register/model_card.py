"""The model card: what the model is for, how good it is, where it fails, where it comes from.

Its sections follow Mitchell et al. 2019, Model Cards for Model Reporting.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.register.version_tags import Evidence

_CONTROL_NAMES = {
    "tfidf": "control: TF-IDF and logistic regression on the same labels",
    "undistilled": "control: the same student on the labels alone",
    "teacher_int8": "control: its teacher, quantised to int8",
    "majority": "control: always the most frequent label",
}


def model_card(name: str, evidence: Evidence, tags: Mapping[str, str]) -> str:
    """The card as Markdown."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    environment.filters.update(code=_code, percent=_percent, percents=_percents)
    metrics = evidence.metrics
    return environment.get_template("model_card.md.j2").render(
        name=name,
        labels=evidence.manifest["labels"],
        student=evidence.manifest,
        accuracies=_accuracies(metrics),
        retention=metrics.get("student.retention"),
        retention_interval=metrics.get("student.retention_interval"),
        speed=_speed(metrics),
        gate_passed=evidence.gate_passed,
        gate_reasons=evidence.gate_reasons,
        data=_section(metrics, "data."),
        ece=metrics.get("student.ece"),
        lineage=_section(tags, "decant."),
    )


def _accuracies(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    models = [
        ("student", "this model"),
        ("student_float32", "the same before quantisation, in float32"),
        ("teacher", "its teacher"),
    ]
    controls = sorted(
        key.split(".")[1] for key in metrics if re.fullmatch(r"controls\.\w+\.accuracy", key)
    )
    models += [(f"controls.{key}", _CONTROL_NAMES.get(key, f"control: {key}")) for key in controls]
    return [
        {
            "name": name,
            "value": metrics[f"{key}.accuracy"],
            "interval": metrics.get(f"{key}.accuracy_interval"),
        }
        for key, name in models
        if f"{key}.accuracy" in metrics
    ]


def _speed(metrics: Mapping[str, Any]) -> list[str]:
    name = metrics.get("compared_with.vs_teacher")
    teacher = f"its teacher ({name})" if name else "its teacher"
    threads = metrics.get("machine.threads")
    where = f", {threads} thread(s)" if threads else ""
    lines = []
    for kind, words in (("end_to_end", "tokenization included"), ("model", "the model alone")):
        latency = metrics.get(f"latency_p50_us.student.{kind}")
        speedup = metrics.get(f"speedup.{kind}.vs_teacher")
        if latency is not None and speedup is not None:
            lines.append(
                f"Median latency of one text{where}, {words}: {latency:.0f} µs, "
                f"{speedup:.1f} times less than {teacher}."
            )
    return lines


def _section(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key.removeprefix(prefix): value
        for key, value in sorted(values.items())
        if key.startswith(prefix) and not isinstance(value, list)
    }


def _code(text: object) -> str:
    return f"`{text}`"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _percents(interval: Sequence[float] | None) -> str:
    return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %" if interval else ""
