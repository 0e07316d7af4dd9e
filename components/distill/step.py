"""Train the student on the teacher's soft targets, and a control on the labels alone."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from components.distill.contract import Inputs, Outputs, Params
from components.distill.embedding_matching import EmbeddingMatching, teacher_rows
from components.distill.shards import cut
from components.distill.soft_targets import SoftTargets, soft_targets
from components.distill.student_ids import StudentIds
from components.distill.transfer_set import transfer_set
from decant.data.tokens import TokenRows
from decant.runtime.reporter import Reporter
from decant.students._student import Student, load_student, save_student
from decant.training.curves import write_curves
from decant.training.device import pick_device, use_bfloat16
from decant.training.examples import Examples
from decant.training.fit import FitResult, default_groups, fit
from decant.training.losses import DistillationLoss, Loss, label_loss
from decant.training.plan import TrainingPlan


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Train the student on the teacher's soft targets, and the control on the labels alone."""
    labelled, validation = (
        cut(TokenRows.open(inputs.tokens, split)) for split in ("train", "validation")
    )
    shards = transfer_set(
        inputs.tokens,
        inputs.encoder,
        inputs.teacher,
        rows=params.transfer_rows,
        plan=params.augmentation,
        seed=params.seed,
        device=pick_device(params.device),
        reporter=reporter,
    )
    targets = _soft_targets(params, inputs, shards, reporter)
    held_out = _soft_targets(params, inputs, validation, reporter)
    source, target = (part / "tokenizer.json" for part in (inputs.tokens, inputs.initial_student))
    own = StudentIds(source, target, reporter)
    validation_rows = own.of(validation)
    student = load_student(inputs.initial_student)
    distilled = _train(
        "student",
        student,
        Examples(own.of(shards), targets.logits, targets.features),
        Examples(validation_rows, held_out.logits, held_out.features),
        _loss(params, student, targets, inputs),
        params.training,
        params,
        reporter,
    )
    control = load_student(inputs.initial_student)
    undistilled = _train(
        "undistilled",
        control,
        Examples(own.of(labelled)),
        Examples(validation_rows),
        label_loss(),
        params.undistilled_training,
        params,
        reporter,
    )
    # of one teacher its own answers, of several their mean
    predicted = np.concatenate([logits.argmax(1) for logits in held_out.logits])
    right = predicted == validation_rows.labels
    reporter.metric("soft_targets_validation_accuracy", float(np.mean(right)))
    tokenizer = (inputs.initial_student / "tokenizer.json").read_text("utf-8")
    for name, model, result, folder in (
        ("student", student, distilled, outputs.student),
        ("undistilled", control, undistilled, outputs.undistilled),
    ):
        save_student(model, folder, tokenizer=tokenizer)
        write_curves(name, result.curves, folder)
        reporter.metric(f"{name}_validation_accuracy", result.validation_accuracy)
        reporter.metric(f"{name}_best_epoch", result.best_epoch)


def _soft_targets(
    params: Params, inputs: Inputs, shards: Sequence[TokenRows], reporter: Reporter
) -> SoftTargets:
    where = pick_device(params.device)
    return soft_targets(
        inputs.teacher,
        shards,
        features=params.hidden_weight != 0,
        device=where,
        bfloat16=use_bfloat16(params.teacher_precision, where),
        reporter=reporter,
    )


def _loss(params: Params, student: Student, targets: SoftTargets, inputs: Inputs) -> Loss:
    torch.manual_seed(params.seed)
    loss = DistillationLoss(
        params.loss,
        temperature=params.temperature,
        hard_label_weight=params.hard_label_weight,
        hidden_weight=params.hidden_weight,
        features=student.output_size,
        teacher_features=targets.features[0].shape[1] if targets.features else 0,
    )
    if params.embedding_weight == 0:
        return loss
    table = teacher_rows(inputs.teacher, inputs.initial_student)
    return EmbeddingMatching(loss, student, table, params.embedding_weight)


def _train(
    name: str,
    student: Student,
    train: Examples,
    validation: Examples,
    loss: Loss,
    plan: TrainingPlan,
    params: Params,
    reporter: Reporter,
) -> FitResult:
    torch.manual_seed(params.seed)  # the same draws, independent of what was trained before
    started = time.perf_counter()
    result = fit(
        student,
        train,
        validation,
        loss=loss,
        plan=plan,
        device=params.device,
        pad_id=student.config.pad_id,
        seed=params.seed,
        name=name,
        reporter=reporter,
        parameter_groups=default_groups(
            student, plan, slower=student.embedding, share=params.embedding_learning_rate_share
        ),
    )
    reporter.measure(f"{name}_training_seconds", time.perf_counter() - started)
    return result
