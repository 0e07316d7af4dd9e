"""The gate between a candidate and an alias: thresholds, and their checks on a comparison."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue

from decant.figures.gate_check import Check, at_least, at_most, no_class_lost
from decant.runtime.errors import UserError
from decant.runtime.params_file import read_params_file
from decant.runtime.settings import parse, settings
from decant.tasks.comparison import Compared
from pipelines.registry.comparison import Comparison, TargetFigures, VersionFigures

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


def check_alone(gate: PromotionGate, figures: VersionFigures) -> list[Check]:
    """The checks of a candidate without a champion, target by target."""
    checks = []
    for one in figures.targets:
        prefix = _prefix(one, figures)
        if gate.min_retention is not None:
            name = f"{prefix}of the teacher's {one.metric.title}"
            checks.append(at_least(name, one.retention, gate.min_retention, show=_percent))
        if gate.max_ece is not None and (ece := one.details.get("ece")) is not None:
            name = f"{prefix}calibration error (ECE)"
            checks.append(at_most(name, ece, gate.max_ece, show="{:.3f}".format))
    return checks


def check_against(gate: PromotionGate, found: Comparison) -> list[Check]:
    """The checks of a candidate beside a champion, those of it alone included."""
    checks = []
    for figures, compared in zip(found.new.targets, found.targets, strict=True):
        checks += _score(gate, figures, compared, _prefix(figures, found.new))
    checks += check_alone(gate, found.new)
    for figures in found.new.targets:
        prefix = _prefix(figures, found.new)
        checks += no_class_lost(
            figures.lost,
            gate.must_answer_class_from_rows,
            names=("the champion", f"this version{f' ({prefix[:-2]})' if prefix else ''}"),
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


def summary(found: Comparison | None, alone: VersionFigures) -> dict[str, JsonValue]:
    """The figures in a decision, rounded; of several targets those of each, by its name."""
    figures: dict[str, JsonValue] = {}
    compared = found.targets if found else [None] * len(alone.targets)
    olds = found.old.targets if found else [None] * len(alone.targets)
    each: dict[str, JsonValue] = {}
    for one, old, beside in zip(alone.targets, olds, compared, strict=True):
        metric = one.target.metric
        of_one: dict[str, JsonValue] = {
            metric: round(one.score, 4),
            f"teacher_{metric}": round(one.teacher_score, 4),
        }
        if (ece := one.details.get("ece")) is not None:
            of_one["ece"] = round(float(ece), 4)
        if old and beside:
            of_one |= {
                f"champion_{metric}": round(old.score, 4),
                "difference": round(beside.difference, 4),
                "interval": [round(end, 4) for end in beside.interval],
            }
            if beside.test:
                of_one["p_value"] = round(beside.test.p_value, 5)
        each[one.target.name] = of_one
    if len(each) == 1:
        figures |= of_one
    else:
        figures |= {"score": round(alone.score, 4), "targets": each}
    if found is None:
        return figures
    figures |= {"rows": found.rows, "asked_again": found.asked_again}
    if found.faster:
        figures["time_ratio"] = round(1 / found.faster.median, 3)
    return figures


def _score(
    gate: PromotionGate, figures: TargetFigures, compared: Compared, prefix: str
) -> list[Check]:
    """The measured loss against the tolerance, and a paired test for significance.

    A loss within the tolerance passes when chance explains it, and fails when it is significant.
    With `must_be_proven` the interval must not reach below the tolerance (non-inferiority), which
    needs many test rows.
    """
    if gate.max_accuracy_loss is None:
        return []
    show = _points if figures.metric.is_share else _plain_difference
    low, high = compared.interval
    checks = [
        at_least(
            f"{prefix}{figures.metric.title}, minus the champion's",
            compared.difference,
            -gate.max_accuracy_loss,
            show=show,
            measured=f"{show(compared.difference)} ({show(low)} to {show(high)})",
        ),
        Check(
            name=f"{prefix}{compared.test.name if compared.test else 'paired bootstrap'}",
            measured=_tested(compared),
            demanded="not significantly worse (5 %)",
            shortfall="significantly worse (5 %)",
            passed=not compared.significantly_worse,
        ),
    ]
    if gate.must_be_proven:
        name = f"{prefix}the interval's lower end"
        checks.append(at_least(name, low, -gate.max_accuracy_loss, show=show))
    return checks


def _tested(compared: Compared) -> str:
    if compared.test is None:
        low, high = compared.interval
        return f"the interval is {low:+.4f} to {high:+.4f}"
    words = f"p = {compared.test.p_value:.3g}"
    if counts := compared.test.counts:
        words += f": {counts['only_new']} rows right only now, {counts['only_old']} only before"
    return words


def _prefix(figures: TargetFigures, of_all: VersionFigures) -> str:
    """The target's name, where there are several."""
    return f"{figures.target.name}: " if len(of_all.targets) > 1 else ""


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _points(value: float) -> str:
    return f"{value:+.2%}"


def _plain_difference(value: float) -> str:
    return f"{value:+.4f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}"
