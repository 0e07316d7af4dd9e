"""The gate between a candidate and an alias: thresholds, and their checks on a comparison."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue

from decant.figures.gate_check import Check, at_least, at_most, no_class_lost
from decant.runtime.errors import UserError
from decant.runtime.params_file import read_params_file
from decant.runtime.settings import parse, settings
from pipelines.registry.comparison import Comparison, VersionFigures

Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(gt=0)]

SECTION = "promotion"


@settings
class PromotionGate:
    """The section `promotion` of params.yaml; None (null) switches a threshold off."""

    max_accuracy_loss: Share | None
    must_be_proven: bool
    min_retention: Annotated[float, Field(ge=0)] | None
    max_ece: Share | None
    must_answer_class_from_rows: Annotated[int, Field(ge=1)] | None
    max_time_ratio: Ratio | None
    max_size_ratio: Ratio | None
    bootstrap_samples: Annotated[int, Field(ge=100, le=1_000_000)]
    latency_texts: Annotated[int, Field(ge=10, le=100_000)]


def read_gate(file: Path, overrides: Iterable[str] = ()) -> tuple[PromotionGate, int]:
    """The gate and the seed of a params file."""
    content = read_params_file(file, overrides)
    seed = content.get("seed")
    if type(seed) is not int or seed < 0:
        raise UserError(
            f"the parameter 'seed' of {file} is {seed!r}, not a whole number from 0",
            code="parameter-value",
            hint="add `seed: 13` to the file",
        )
    return parse(PromotionGate, content.get(SECTION, {}), SECTION), seed


def check_alone(
    gate: PromotionGate, figures: VersionFigures, teacher_accuracy: float
) -> list[Check]:
    """The checks of a candidate without a champion."""
    retention = figures.accuracy / teacher_accuracy if teacher_accuracy else 0.0
    checks = []
    if gate.min_retention is not None:
        checks.append(
            at_least("of the teacher's accuracy", retention, gate.min_retention, show=_percent)
        )
    if gate.max_ece is not None:
        checks.append(
            at_most("calibration error (ECE)", figures.ece, gate.max_ece, show="{:.3f}".format)
        )
    return checks


def check_against(gate: PromotionGate, found: Comparison) -> list[Check]:
    """The checks of a candidate beside a champion, those of it alone included."""
    checks = _accuracy(gate, found)
    checks += check_alone(gate, found.new, found.teacher_accuracy)
    checks += no_class_lost(
        found.new.lost_classes,
        gate.must_answer_class_from_rows,
        names=("the champion", "this version"),
    )
    if gate.max_time_ratio is not None and found.faster is not None:
        ratio = 1 / found.faster.median
        spread = f"{1 / found.faster.high:.2f} to {1 / found.faster.low:.2f}"
        checks.append(
            at_most(
                "time per text, of the champion's",
                ratio,
                gate.max_time_ratio,
                show=_ratio,
                measured=f"{_ratio(ratio)} ({spread})",
            )
        )
    if gate.max_size_ratio is not None and found.new.size_bytes and found.old.size_bytes:
        ratio = found.new.size_bytes / found.old.size_bytes
        checks.append(at_most("size, of the champion's", ratio, gate.max_size_ratio, show=_ratio))
    return checks


def summary(
    found: Comparison | None, alone: VersionFigures, teacher_accuracy: float
) -> dict[str, JsonValue]:
    """The figures in a decision, rounded."""
    figures: dict[str, JsonValue] = {
        "accuracy": round(alone.accuracy, 4),
        "teacher_accuracy": round(teacher_accuracy, 4),
        "ece": round(alone.ece, 4),
    }
    if found is None:
        return figures
    figures |= {
        "rows": found.rows,
        "accuracy": round(found.new.accuracy, 4),
        "champion_accuracy": round(found.old.accuracy, 4),
        "difference": round(found.difference, 4),
        "interval": [round(end, 4) for end in found.difference_interval],
        "p_value": round(found.p_value, 5),
        "asked_again": found.asked_again,
    }
    if found.faster:
        figures["time_ratio"] = round(1 / found.faster.median, 3)
    return figures


def _accuracy(gate: PromotionGate, found: Comparison) -> list[Check]:
    """The measured loss against the tolerance, and a paired test for significance.

    A loss within the tolerance passes when chance explains it, and fails when it is significant.
    With `must_be_proven` the interval must not reach below the tolerance (non-inferiority), which
    needs many test rows.
    """
    if gate.max_accuracy_loss is None:
        return []
    low, high = found.difference_interval
    checks = [
        at_least(
            "accuracy, minus the champion's",
            found.difference,
            -gate.max_accuracy_loss,
            show=_points,
            measured=f"{_points(found.difference)} ({_points(low)} to {_points(high)})",
        ),
        Check(
            name="McNemar's test",
            measured=(
                f"p = {found.p_value:.3g}: {found.only_new} rows right only now, "
                f"{found.only_old} only before"
            ),
            demanded="not significantly worse (5 %)",
            shortfall="significantly worse (5 %)",
            passed=not (found.only_new < found.only_old and found.p_value < 0.05),
        ),
    ]
    if gate.must_be_proven:
        checks.append(
            at_least("the interval's lower end", low, -gate.max_accuracy_loss, show=_points)
        )
    return checks


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _points(value: float) -> str:
    return f"{value:+.2%}"


def _ratio(value: float) -> str:
    return f"{value:.2f}"
