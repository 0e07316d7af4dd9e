"""The timed figures of the evaluation."""

from collections.abc import Mapping, Sequence

import numpy as np

from components.evaluate import bert_base
from components.evaluate.exported_manifest import Manifest
from components.evaluate.tested_models import BERT_BASE, STUDENT_FLOAT32, TEACHER_INT8
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
