"""Export teacher, student and control to self-contained ONNX folders, parity checked, and smaller.

teacher/           float32; all ratios are against it
teacher_int8/      the smallest accepted int8 form of it; absent without one
student/           the fastest accepted form of the student within a size, float32 without one
student_float32/   the float32 graph that it was made of; absent where student/ is that graph
undistilled/       the control in the student's form, so that the two differ in training alone
alone/TARGET/      of several targets: the student trained for one of them, in the same form
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from components.export_onnx.contract import Inputs, Outputs, Params
from components.export_onnx.folder import facts_of, role_of, write_tokenizer
from components.export_onnx.graph import export_graph
from components.export_onnx.parity import ParityLimits, check_parity
from components.export_onnx.quantisation import (
    Exported,
    quantise_students,
    quantise_teacher,
)
from components.export_onnx.trials import Material, graph_logits, some_of
from components.export_onnx.wordpiece_check import texts_read_alike
from decant.data.corpus import read_schema
from decant.data.retokenize import Retokenizer
from decant.data.tokens import TokenRows, pad
from decant.inference.model_files import GRAPH, TOKENIZER
from decant.models.teacher import Teacher, describe_encoder, load_teacher
from decant.runtime.reporter import Reporter
from decant.students._student import ALONE, Student, load_student
from decant.tasks.scores import decided, decides
from decant.tasks.task import Task


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Raises UserError when a float32 graph does not answer as its PyTorch model."""
    teacher = load_teacher(inputs.teacher)
    encoder, task = describe_encoder(teacher.encoder), read_schema(inputs.tokens).task
    models: dict[str, tuple[Teacher | Student, Path]] = {
        "teacher": (teacher, inputs.teacher),
        "student": (load_student(inputs.student), inputs.student),
        "undistilled": (load_student(inputs.undistilled), inputs.undistilled),
    }
    for target in task.targets:
        if (alone := inputs.student / ALONE / target.name).is_dir():
            models[f"{ALONE}/{target.name}"] = (load_student(alone), alone)
    exported: dict[str, Exported] = {}
    for role, (model, source) in models.items():
        reporter.message(f"exporting the {role}")
        folder = outputs.onnx / role
        folder.mkdir(parents=True)
        with reporter.activity(f"exporting the {role} and checking its parity"):
            exported[role] = _export(
                model, task, source, folder, encoder, inputs.tokens, params, reporter
            )
    _show_parity(exported, reporter)
    quantise_teacher(exported["teacher"], params.quantisation, reporter)
    controls = [one for role, one in exported.items() if role not in ("teacher", "student")]
    quantise_students(exported["student"], controls, params.quantisation, reporter)


def _export(
    model: Teacher | Student,
    task: Task,
    source: Path,
    folder: Path,
    encoder: str,
    tokens: Path,
    params: Params,
    reporter: Reporter,
) -> Exported:
    """Write graph and tokenizer. Raises UserError when the graph does not answer as the model."""
    config = model.config
    export_graph(model, folder / GRAPH, pad_id=config.pad_id, opset=params.opset)
    write_tokenizer(source, folder, max_length_tokens=config.max_length_tokens)
    own = Retokenizer(tokens / TOKENIZER, source / TOKENIZER)
    validation = own.rows(TokenRows.open(tokens, "validation"))
    parity = check_parity(
        model,
        task,
        folder / GRAPH,
        validation,
        pad_id=config.pad_id,
        limits=ParityLimits(
            rows=params.parity_rows,
            max_logit_difference=params.max_logit_difference,
            min_label_agreement=params.min_label_agreement,
        ),
        role=role_of(folder),
    )
    train = some_of(TokenRows.open(tokens, "train"), params.quantisation.calibration_rows)
    material = Material(
        task=task,
        rows=some_of(validation, params.quantisation.rows),
        calibration=[pad([row], config.pad_id) for row in own.rows(train)],
        pad_id=config.pad_id,
    )
    if decides(task):
        logits = graph_logits(folder / GRAPH, material)
        task = decided(task, logits, material.rows.labels)
        material = dataclasses.replace(material, task=task)
    facts = facts_of(
        model,
        task,
        source,
        encoder=encoder,
        opset=params.opset,
        parity=parity,
        wordpiece_texts=texts_read_alike(folder, validation, reporter),
    )
    return Exported(folder=folder, facts=facts, material=material)


def _show_parity(exported: Mapping[str, Exported], reporter: Reporter) -> None:
    rows = []
    for role, one in exported.items():
        facts, parity = one.facts, one.facts.parity
        reporter.metric(f"{role_of(one.folder)}_max_logit_difference", parity.max_logit_difference)
        rows.append(
            (
                role,
                facts.architecture,
                f"{facts.parameters:,}",
                f"{parity.max_logit_difference:.1e}",
                f"{parity.label_agreement:.2%}",
            )
        )
    reporter.table(
        f"parity with PyTorch on {parity.rows} validation rows",
        ("model", "architecture", "parameters", "largest logit difference", "same labels"),
        rows,
    )
