"""The figures of the evaluation: first the deterministic ones, then the timed ones."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from components.evaluate import bert_base
from components.evaluate.bootstrap import LEVEL, interval, ratio, resampled_accuracies
from components.evaluate.exported_manifest import Manifest
from components.evaluate.quality import RELIABILITY_BINS, Quality, majority_rate
from components.evaluate.tested_models import (
    FLOAT32_OF,
    STUDENT_FLOAT32,
    TEACHER_INT8,
    TFIDF,
)
from components.evaluate.tfidf import TfidfControl
from decant.figures.figure_set import Interval
from decant.figures.quality_figures import (
    ClassRecall,
    Controls,
    DataFigures,
    Difference,
    ExportedFigures,
    MajorityFigures,
    Method,
    MissedClass,
    ModelFigures,
    QualityFigures,
    StudentFigures,
    TeacherFigures,
    TfidfFigures,
)
from decant.figures.timing_figures import (
    ComparedWith,
    Latency,
    Machine,
    Ratios,
    RatioSpreads,
    Speedups,
    SpeedupSpreads,
    TimingFigures,
)
from decant.inference.latency import SPREAD, Timings, percentile_us, speedup

BERT_BASE = "bert_base"


def quality_figures(
    actual: NDArray[np.int64],
    predicted: Mapping[str, NDArray[np.int64]],
    quality: Mapping[str, Quality],
    *,
    manifests: Mapping[str, Manifest],
    control: TfidfControl,
    majority: tuple[int, str],
    data: DataFigures,
    samples: int,
    seed: int,
) -> QualityFigures:
    """Deterministic figures of all models.

    Args:
        actual: class indices of the test rows (rows,).
        predicted: per model, the class indices (rows,) that it answers.
        manifests: of the exported models.
        majority: the most frequent class of the training split: its index and label.
        samples: of the paired bootstrap.
    """
    correct = {model: answers == actual for model, answers in predicted.items()}
    drawn = resampled_accuracies(correct, samples=samples, seed=seed)
    exported = {
        name: _exported(name, predicted, quality[name], drawn[name], manifest, data.labels)
        for name, manifest in manifests.items()
    }
    teacher, student = exported["teacher"], exported["student"]
    return QualityFigures(
        teacher=TeacherFigures(**dict(teacher), encoder=manifests["teacher"].encoder),
        student=StudentFigures(
            **dict(student),
            retention=student.accuracy / teacher.accuracy if teacher.accuracy else None,
            retention_interval=interval(ratio(drawn["student"], drawn["teacher"])),
            missed_classes=_missed(quality["student"], quality["teacher"], data.labels),
        ),
        student_float32=exported.get(STUDENT_FLOAT32),
        controls=Controls(
            undistilled=exported["undistilled"],
            tfidf=TfidfFigures(
                **dict(_model(quality[TFIDF], drawn[TFIDF], data.labels)),
                c=control.c,
                features=control.features,
                unspaced_share=control.unspaced_share or None,
                validation_accuracy=control.validation_accuracy,
            ),
            majority=MajorityFigures(
                accuracy=majority_rate(actual, majority[0]), label=majority[1]
            ),
            teacher_int8=exported.get(TEACHER_INT8),
        ),
        differences={
            f"student_minus_{other}": Difference(
                accuracy=student.accuracy - quality[other].accuracy,
                interval=_interval(drawn["student"] - drawn[other]),
            )
            for other in quality
            if other != "student"
        },
        method=Method(
            bootstrap_samples=samples,
            interval_level=LEVEL,
            ece_bins=RELIABILITY_BINS,
            seed=seed,
        ),
        data=data,
    )


def timing_figures(
    timings: Mapping[str, Timings],
    throughput: Mapping[str, float],
    *,
    token_counts: Sequence[int],
    batch_size: int,
    manifests: Mapping[str, Manifest],
    machine: Machine,
) -> TimingFigures:
    """Percentiles, throughput and ratios; null where a model is missing."""
    names = tuple(dict.fromkeys([*timings, BERT_BASE]))
    ratios, spreads = _speedups(timings)
    low, middle, high = np.percentile(token_counts, (5, 50, 95))
    forms = {name: manifest.form for name, manifest in manifests.items()}
    return TimingFigures(
        latency_p50_us=_latencies(timings, names, 50),
        latency_p95_us=_latencies(timings, names, 95),
        latency_p99_us=_latencies(timings, names, 99),
        throughput_rows_per_second={
            name: round(throughput[name], 1) if name in throughput else None for name in names
        },
        throughput_batch_size=batch_size,
        speedup=ratios,
        speedup_interval=spreads,
        compared_with=ComparedWith(
            vs_teacher=manifests["teacher"].encoder,
            vs_teacher_int8=forms.get(TEACHER_INT8),
            vs_student_float32=forms.get(STUDENT_FLOAT32),
            vs_bert_base=f"{bert_base.NAME}: {bert_base.SHAPE}",
            shape=(
                f"batch 1, {middle:.0f} tokens in the median "
                f"(5 to 95 %: {low:.0f} to {high:.0f}), one text of the test split per call"
            ),
            texts={
                name: int(np.isfinite(timings[name].end_to_end_us).sum()) if name in timings else 0
                for name in names
            },
            spread_quantiles=SPREAD,
        ),
        machine=machine,
    )


def worst_class(quality: Quality, labels: Sequence[str]) -> ClassRecall:
    """Of the classes with test rows, the one with the lowest recall."""
    index, table = quality.worst_class, quality.per_class
    return ClassRecall(
        label=labels[index],
        recall=float(table["recall"].iloc[index]),
        test_rows=int(table["support"].iloc[index]),
    )


def _exported(
    name: str,
    predicted: Mapping[str, NDArray[np.int64]],
    quality: Quality,
    drawn: NDArray[np.float64],
    manifest: Manifest,
    labels: Sequence[str],
) -> ExportedFigures:
    float32 = FLOAT32_OF.get(name, "")
    agreement = (
        float((predicted[name] == predicted[float32]).mean()) if float32 in predicted else None
    )
    return ExportedFigures(
        **dict(_model(quality, drawn, labels)),
        **dict(manifest),
        label_agreement_with_float32=agreement,
    )


def _model(quality: Quality, drawn: NDArray[np.float64], labels: Sequence[str]) -> ModelFigures:
    """Args: drawn: the model's accuracy over the resamples (samples,)."""
    return ModelFigures(
        accuracy=quality.accuracy,
        accuracy_interval=_interval(drawn),
        macro_f1=quality.macro_f1,
        ece=quality.ece,
        worst_class=worst_class(quality, labels),
    )


def _missed(student: Quality, teacher: Quality, labels: Sequence[str]) -> tuple[MissedClass, ...]:
    found = [
        MissedClass(
            label=labels[index],
            test_rows=int(student.per_class["support"].iloc[index]),
            teacher_right=int(teacher.per_class["right"].iloc[index]),
        )
        for index in student.missed
    ]
    return tuple(sorted(found, key=lambda one: -one.test_rows))


def _interval(values: NDArray[np.float64]) -> Interval:
    """Of accuracies and their differences, which are always defined."""
    bounds = interval(values)
    assert bounds is not None
    return bounds


def _latencies(
    timings: Mapping[str, Timings], names: Sequence[str], percentile: int
) -> dict[str, Latency]:
    return {
        name: Latency(
            model=percentile_us(timings[name].model_us, percentile),
            end_to_end=percentile_us(timings[name].end_to_end_us, percentile),
        )
        if name in timings
        else Latency(model=None, end_to_end=None)
        for name in names
    }


def _speedups(timings: Mapping[str, Timings]) -> tuple[Speedups, SpeedupSpreads]:
    ratios: dict[str, Ratios] = {}
    spreads: dict[str, RatioSpreads] = {}
    for measure in ("model", "end_to_end"):
        found = {
            other: speedup(timings[other].of(measure), timings["student"].of(measure))
            if other in timings
            else None
            for other in ("teacher", TEACHER_INT8, STUDENT_FLOAT32, BERT_BASE)
        }
        ratios[measure] = Ratios(
            **{f"vs_{other}": round(one.median, 2) if one else None for other, one in found.items()}
        )
        spreads[measure] = RatioSpreads(
            **{
                f"vs_{other}": (round(one.low, 2), round(one.high, 2)) if one else None
                for other, one in found.items()
            }
        )
    return Speedups(**ratios), SpeedupSpreads(**spreads)
