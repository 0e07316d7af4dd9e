"""The figures of the evaluation: first what the same models always give, then what was timed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate import bert_base
from components.evaluate.bootstrap import LEVEL, interval, ratio, resampled_accuracies
from components.evaluate.quality import RELIABILITY_BINS, Quality, majority_rate
from components.evaluate.tested_models import (
    FLOAT32_OF,
    MODELS,
    STUDENT_FLOAT32,
    TEACHER_INT8,
    TFIDF,
)
from components.evaluate.tfidf import TfidfControl
from decant.inference.latency import SPREAD, Timings, percentile_us, speedup

MEASURES = ("model", "end_to_end")
_OWN = ("teacher", "student", STUDENT_FLOAT32)  # the others are controls
BERT_BASE = "bert_base"
_MANIFEST_KEYS = (
    "architecture",
    "parameters",
    "size_bytes",
    "parity",
    "max_length_tokens",
    "vocabulary_size",
    "form",
    "against_float32",
)


def quality_figures(
    actual: NDArray[np.int64],
    predicted: Mapping[str, NDArray[np.int64]],
    quality: Mapping[str, Quality],
    *,
    manifests: Mapping[str, Mapping[str, Any]],
    control: TfidfControl,
    majority: tuple[int, str],
    samples: int,
    seed: int,
) -> dict[str, Any]:
    """Deterministic figures of all models (the content of quality.json, `data` aside).

    Args:
        actual: class indices of the test rows (rows,).
        predicted: per model, the class indices (rows,) that it answers.
        majority: the most frequent class of the training split: its index and label.
        samples: of the paired bootstrap.
    """
    correct = {model: answers == actual for model, answers in predicted.items()}
    drawn = resampled_accuracies(correct, samples=samples, seed=seed)
    models: dict[str, dict[str, Any]] = {}
    for model in quality:
        models[model] = {
            "accuracy": quality[model].accuracy,
            "accuracy_interval": interval(drawn[model]),
            "macro_f1": quality[model].macro_f1,
            "ece": quality[model].ece,
        }
        manifest = manifests.get(model, {})
        models[model] |= {key: manifest[key] for key in _MANIFEST_KEYS if key in manifest}
        if (float32 := FLOAT32_OF.get(model, "")) in predicted:
            agrees = predicted[model] == predicted[float32]
            models[model]["label_agreement_with_float32"] = float(agrees.mean())
    teacher, student = models["teacher"], models["student"]
    teacher["encoder"] = manifests["teacher"]["encoder"]
    whole = teacher["accuracy"]
    student["retention"] = student["accuracy"] / whole if whole else None
    student["retention_interval"] = interval(ratio(drawn["student"], drawn["teacher"]))
    models[TFIDF] |= {
        "c": control.c,
        "features": control.features,
        "validation_accuracy": control.validation_accuracy,
    }
    return {
        **{name: models[name] for name in _OWN if name in models},
        "controls": {
            **{name: figures for name, figures in models.items() if name not in _OWN},
            "majority": {"accuracy": majority_rate(actual, majority[0]), "label": majority[1]},
        },
        "differences": {
            f"student_minus_{other}": {
                "accuracy": student["accuracy"] - models[other]["accuracy"],
                "interval": interval(drawn["student"] - drawn[other]),
            }
            for other in models
            if other != "student"
        },
        "method": {
            "bootstrap_samples": samples,
            "interval_level": LEVEL,
            "ece_bins": RELIABILITY_BINS,
            "seed": seed,
        },
    }


def models_of(figures: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The figures of each model that there is, in the order of the tables."""
    found = {**figures["controls"], **{name: figures[name] for name in _OWN if name in figures}}
    return {name: found[name] for name in MODELS if name in found}


def timing_figures(
    timings: Mapping[str, Timings],
    throughput: Mapping[str, float],
    *,
    token_counts: Sequence[int],
    batch_size: int,
    manifests: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Percentiles, throughput and ratios; null where a model is not there."""
    names = tuple(dict.fromkeys([*timings, BERT_BASE]))
    figures: dict[str, Any] = {
        f"latency_p{percentile}_us": {
            name: {
                measure: percentile_us(timings[name].of(measure), percentile)
                if name in timings
                else None
                for measure in MEASURES
            }
            for name in names
        }
        for percentile in (50, 95, 99)
    }
    figures["throughput_rows_per_second"] = {
        name: round(throughput[name], 1) if name in throughput else None for name in names
    }
    figures["throughput_batch_size"] = batch_size
    figures["speedup"], figures["speedup_interval"] = _speedups(timings)
    low, middle, high = np.percentile(token_counts, (5, 50, 95))
    figures["compared_with"] = {
        "vs_teacher": manifests["teacher"]["encoder"],
        **{
            f"vs_{name}": manifests[name].get("form") if name in manifests else None
            for name in (TEACHER_INT8, STUDENT_FLOAT32)
        },
        "vs_bert_base": f"{bert_base.NAME}: {bert_base.SHAPE}",
        "shape": (
            f"batch 1, {middle:.0f} tokens in the median "
            f"(5 to 95 %: {low:.0f} to {high:.0f}), one text of the test split per call"
        ),
        "texts": {
            name: int(np.isfinite(timings[name].end_to_end_us).sum()) if name in timings else 0
            for name in names
        },
        "spread_quantiles": SPREAD,
    }
    return figures


def _speedups(timings: Mapping[str, Timings]) -> tuple[dict[str, Any], dict[str, Any]]:
    medians: dict[str, Any] = {}
    spreads: dict[str, Any] = {}
    for measure in MEASURES:
        medians[measure], spreads[measure] = {}, {}
        for other in ("teacher", TEACHER_INT8, STUDENT_FLOAT32, BERT_BASE):
            found = (
                speedup(timings[other].of(measure), timings["student"].of(measure))
                if other in timings
                else None
            )
            medians[measure][f"vs_{other}"] = round(found.median, 2) if found else None
            spreads[measure][f"vs_{other}"] = (
                [round(found.low, 2), round(found.high, 2)] if found else None
            )
    return medians, spreads
