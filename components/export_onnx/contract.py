"""The contract of export_onnx: its parameters, what it reads and what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from decant.runtime.settings import settings
from decant.runtime.threads import BLAS, TORCH

THREADS = (BLAS, TORCH)

Share = Annotated[float, Field(ge=0, le=1)]
Int8Form = Literal[
    "int8_embeddings", "dynamic_int8_layers", "static_int8_layers", "dynamic_int8", "static_int8"
]
SmallForm = Literal["float16_embeddings", "folded_int8", Int8Form]


@settings
class Limits:
    """The limits of a form, relative to the float32 graph."""

    max_accuracy_loss: Share
    min_label_agreement: Share


@settings
class StudentForms(Limits):
    """The forms that are tried for the student, what each must keep, and which is taken."""

    forms: list[SmallForm]
    max_size_mb: Annotated[float, Field(gt=0)]
    min_speedup: Annotated[float, Field(ge=1)]


@settings
class TeacherForms(Limits):
    """The forms that are tried for the teacher, in this order, and what each must keep."""

    forms: list[Int8Form]


@settings
class Quantisation:
    """Which smaller forms are tried, on how many validation rows, with which limits."""

    student: StudentForms
    teacher: TeacherForms
    max_slowdown: Annotated[float, Field(ge=1)]
    rows: Annotated[int, Field(ge=1)]
    calibration_rows: Annotated[int, Field(ge=1)]


@settings
class Params:
    """ONNX's opset, what parity allows, and which smaller forms are tried. See params.yaml."""

    opset: Annotated[int, Field(ge=18, le=24)]
    parity_rows: Annotated[int, Field(ge=1)]
    max_logit_difference: Annotated[float, Field(gt=0)]
    min_label_agreement: Annotated[float, Field(gt=0, le=1)]
    quantisation: Quantisation


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Token ids for the checks, and the three models."""

    tokens: Path
    teacher: Path
    student: Path
    undistilled: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """A folder per model, each complete for serving."""

    onnx: Path
