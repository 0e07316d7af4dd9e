"""Export teacher, student and control to self-contained ONNX folders, parity checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import nn

from components.export_onnx.graph import export_graph
from components.export_onnx.parity import ParityLimits, check_parity
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


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    rows = TokenRows.open(inputs.tokens, "validation")
    teacher = load_teacher(inputs.teacher)
    encoder = describe_encoder(teacher.encoder)
    models: list[tuple[str, Teacher | Student, str, Path]] = [
        ("teacher", teacher, f"{encoder}, {teacher.config.head} head", inputs.teacher),
        *(
            (role, student, f"{student.config.architecture}, {student.config.width} wide", source)
            for role, source in (("student", inputs.student), ("undistilled", inputs.undistilled))
            for student in (load_student(source),)
        ),
    ]
    table = []
    for role, model, architecture, source in models:
        folder = outputs.onnx / role
        folder.mkdir()
        export_graph(model, folder / GRAPH, pad_id=model.config.pad_id, opset=params.opset)
        tokenizer = (inputs.tokens / TOKENIZER).read_bytes()
        (folder / TOKENIZER).write_bytes(tokenizer)
        parity = check_parity(
            model,
            folder / GRAPH,
            rows,
            pad_id=model.config.pad_id,
            limits=ParityLimits(
                rows=params.parity_rows,
                max_logit_difference=params.max_logit_difference,
                min_label_agreement=params.min_label_agreement,
            ),
            role=role,
        )
        files = {name: file_digest(folder / name) for name in (GRAPH, TOKENIZER)}
        size = sum((folder / name).stat().st_size for name in files)
        manifest = {
            "format": FORMAT_VERSION,
            "role": role,
            "architecture": architecture,
            "encoder": encoder,
            "labels": model.config.labels,
            "pad_id": model.config.pad_id,
            "max_length_tokens": model.config.max_length_tokens,
            "vocabulary_size": _vocabulary(model),
            "parameters": parameter_count(model),
            "size_bytes": size,
            "files": files,
            "source_identity": read_card(source).identity,
            "opset": params.opset,
            "parity": {
                "rows": parity.rows,
                "max_logit_difference": parity.max_logit_difference,
                "label_agreement": parity.label_agreement,
            },
        }
        write_json(folder / MANIFEST, manifest)
        reporter.metric(f"{role}_size_bytes", size)
        reporter.metric(f"{role}_max_logit_difference", parity.max_logit_difference)
        table.append(
            (role, architecture, parameter_count(model), f"{size / 1e6:.1f} MB",
             f"{parity.max_logit_difference:.1e}", f"{parity.label_agreement:.2%}")
        )  # fmt: skip
    reporter.table(
        f"parity with PyTorch on {min(params.parity_rows, len(rows))} validation rows",
        ("model", "architecture", "parameters", "size", "largest logit difference", "same labels"),
        table,
    )


def _vocabulary(model: nn.Module) -> int:
    if isinstance(model, Student):
        return model.config.kept_ids
    return int(model.encoder.get_input_embeddings().num_embeddings)  # type: ignore[operator,union-attr]
