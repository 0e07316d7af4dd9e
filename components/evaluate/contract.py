"""The contract of evaluate: its parameters, what it reads and what it writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from decant.runtime.settings import Seed, settings
from decant.runtime.threads import BLAS

VARYING = frozenset({"report"})
THREADS = (BLAS,)
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=0)]


@settings
class TargetGate:
    """The thresholds of one target; None (null, or left out) switches one off."""

    min_score: float | None = None
    min_retention: Ratio | None = None


@settings
class Gate:
    """The thresholds for registering a student; None (null) switches one off."""

    min_student_score: float | None
    min_student_accuracy: Share | None
    min_retention: Ratio | None
    min_student_macro_f1: Share | None
    min_student_worst_class_recall: Share | None
    max_ece: Share | None
    min_speedup_end_to_end_vs_teacher: Annotated[float, Field(gt=0)] | None
    max_latency_p50_us: Annotated[float, Field(gt=0)] | None
    max_size_bytes: Annotated[int, Field(gt=0)] | None
    must_beat_tfidf: bool
    must_beat_undistilled: bool
    must_answer_class_from_rows: Annotated[int, Field(ge=1)] | None
    targets: Mapping[str, TargetGate]


@settings
class Params:
    """Samples, what is timed and how long, and the bounds of the gate. See params.yaml."""

    batch_size: Annotated[int, Field(ge=1, le=4096)]
    bootstrap_samples: Annotated[int, Field(ge=100, le=1_000_000)]
    tfidf_c_grid: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    threads: Annotated[int, Field(ge=1, le=256)]
    warmup_calls: Annotated[int, Field(ge=1, le=10_000)]
    latency_texts: Annotated[int, Field(ge=10, le=100_000)]
    throughput_batches: Annotated[int, Field(ge=1, le=1000)]
    bert_base: bool
    bert_base_texts: Annotated[int, Field(ge=10, le=100_000)]
    quick: bool
    gate: Gate
    seed: Seed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The exported models, and the corpus with its test split."""

    onnx: Path
    corpus: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The figures and tables, and the report for people, which has measured times."""

    evaluation: Path
    report: Path
