"""Export teacher, student and control to self-contained ONNX folders, parity checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import nn

from components.export_onnx.graph import export_graph
from components.export_onnx.parity import Parity, ParityLimits, check_parity
from components.shared.artifacts import read_card, write_json
from components.shared.identity import file_digest
from components.shared.onnx.classifier import GRAPH, MANIFEST, TOKENIZER
from components.shared.reporter import Reporter
from components.shared.settings import settings
from components.shared.students import Student, load_student
from components.shared.teacher import Teacher, describe_encoder, load_teacher, parameter_count
from components.shared.tokens import TokenRows

FORMAT_VERSION = 1


@settings
class Params:
    opset: Annotated[int, Field(ge=18, le=24)]
    parity_rows: Annotated[int, Field(ge=1)]
    max_logit_difference: Annotated[float, Field(gt=0)]
    min_label_agreement: Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    tokens: Path
    teacher: Path
    student: Path
    undistilled: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    onnx: Path


@dataclass(frozen=True, kw_only=True)
class _Exported:
    role: str
    architecture: str
    parameters: int
    size_bytes: int
    parity: Parity


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    rows = TokenRows.open(inputs.tokens, "validation")
    tokenizer = inputs.tokens / TOKENIZER
    teacher = load_teacher(inputs.teacher)
    encoder = describe_encoder(teacher.encoder)
    models: dict[str, tuple[Teacher | Student, Path]] = {
        "teacher": (teacher, inputs.teacher),
        "student": (load_student(inputs.student), inputs.student),
        "undistilled": (load_student(inputs.undistilled), inputs.undistilled),
    }
    done = []
    for role, (model, source) in models.items():
        reporter.message(f"exporting the {role}")
        folder = outputs.onnx / role
        folder.mkdir()
        done.append(_export(role, model, encoder, source, folder, tokenizer, rows, params))
        reporter.metric(f"{role}_size_bytes", done[-1].size_bytes)
        reporter.metric(f"{role}_max_logit_difference", done[-1].parity.max_logit_difference)
    reporter.table(
        f"parity with PyTorch on {done[0].parity.rows} validation rows",
        ("model", "architecture", "parameters", "size", "largest logit difference", "same labels"),
        [
            (
                one.role,
                one.architecture,
                f"{one.parameters:,}",
                f"{one.size_bytes / 1e6:.1f} MB",
                f"{one.parity.max_logit_difference:.1e}",
                f"{one.parity.label_agreement:.2%}",
            )
            for one in done
        ],
    )


def _export(
    role: str,
    model: Teacher | Student,
    encoder: str,
    source: Path,
    folder: Path,
    tokenizer: Path,
    rows: TokenRows,
    params: Params,
) -> _Exported:
    """Fill one model's folder. Raises UserError when the graph does not answer as the model."""
    config = model.config
    export_graph(model, folder / GRAPH, pad_id=config.pad_id, opset=params.opset)
    (folder / TOKENIZER).write_bytes(tokenizer.read_bytes())
    limits = ParityLimits(
        rows=params.parity_rows,
        max_logit_difference=params.max_logit_difference,
        min_label_agreement=params.min_label_agreement,
    )
    parity = check_parity(
        model, folder / GRAPH, rows, pad_id=config.pad_id, limits=limits, role=role
    )
    exported = _Exported(
        role=role,
        architecture=_architecture(model, encoder),
        parameters=parameter_count(model),
        size_bytes=sum((folder / name).stat().st_size for name in (GRAPH, TOKENIZER)),
        parity=parity,
    )
    manifest = {
        "format": FORMAT_VERSION,
        "role": role,
        "architecture": exported.architecture,
        "encoder": encoder,
        "labels": config.labels,
        "pad_id": config.pad_id,
        "max_length_tokens": config.max_length_tokens,
        "vocabulary_size": _embeddings(model),
        "parameters": exported.parameters,
        "size_bytes": exported.size_bytes,
        "files": {name: file_digest(folder / name) for name in (GRAPH, TOKENIZER)},
        "source_identity": read_card(source).identity,
        "opset": params.opset,
        "parity": {
            "rows": parity.rows,
            "max_logit_difference": parity.max_logit_difference,
            "label_agreement": parity.label_agreement,
        },
    }
    write_json(folder / MANIFEST, manifest)
    return exported


def _architecture(model: Teacher | Student, encoder: str) -> str:
    if isinstance(model, Student):
        return f"{model.config.architecture}, {model.config.width} wide"
    return f"{encoder}, {model.config.head} head"


def _embeddings(model: Teacher | Student) -> int:
    if isinstance(model, Student):
        return model.config.kept_ids
    table: nn.Embedding = model.encoder.get_input_embeddings()  # type: ignore[operator]
    return table.num_embeddings
