"""Train the student on the teacher's soft targets, and a control on the labels alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from tokenizers import Tokenizer

from components.distill.augment import Augmentation, augmented_copy, word_pieces
from components.distill.soft_targets import soft_targets
from components.shared.reporter import Reporter
from components.shared.settings import Seed, settings
from components.shared.students import Student, load_student, save_student
from components.shared.teacher import load_teacher
from components.shared.tokens import TokenRows, TokensInfo, read_info
from components.shared.training.curves import write_curves
from components.shared.training.device import Device, Precision, pick_device, use_bfloat16
from components.shared.training.examples import Examples
from components.shared.training.fit import FitResult, TrainingPlan, fit
from components.shared.training.losses import Loss, distillation_loss, label_loss


@settings
class Params:
    seed: Seed
    device: Device
    teacher_precision: Precision
    loss: Literal["mse", "kl"]
    temperature: Annotated[float, Field(gt=0, le=100)]
    hard_label_weight: Annotated[float, Field(ge=0, le=1)]
    augmentation: Augmentation
    training: TrainingPlan
    undistilled_training: TrainingPlan


@dataclass(frozen=True, kw_only=True)
class Inputs:
    tokens: Path
    teacher: Path
    student0: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    student: Path
    undistilled: Path


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    info = read_info(inputs.tokens)
    labelled = TokenRows.open(inputs.tokens, "train")
    unlabelled = TokenRows.open(inputs.tokens, "unlabelled")
    validation = TokenRows.open(inputs.tokens, "validation")
    originals = TokenRows.joined([labelled, unlabelled])
    copies = _copies(params, inputs, originals, info)
    shards = [originals, *copies]
    where = pick_device(params.device)
    logits, validation_logits = (
        soft_targets(
            inputs.teacher,
            rows,
            device=where,
            bfloat16=use_bfloat16(params.teacher_precision, where),
            reporter=reporter,
        )
        for rows in (shards, [validation])
    )
    reporter.metric("labelled_rows", len(labelled))
    reporter.metric("unlabelled_rows", len(unlabelled))
    reporter.metric("augmented_rows", sum(map(len, copies)))
    student = load_student(inputs.student0)
    distilled = _train(
        "student",
        student,
        Examples(TokenRows.joined(shards), logits),
        Examples(validation, validation_logits),
        distillation_loss(
            params.loss,
            temperature=params.temperature,
            hard_label_weight=params.hard_label_weight,
        ),
        params.training,
        params,
        reporter,
    )
    control = load_student(inputs.student0)
    undistilled = _train(
        "undistilled",
        control,
        Examples(labelled),
        Examples(validation),
        label_loss(),
        params.undistilled_training,
        params,
        reporter,
    )
    agreement = float(np.mean(validation_logits.argmax(1) == validation.labels))
    reporter.metric("teacher_validation_accuracy", agreement)
    tokenizer = (inputs.student0 / "tokenizer.json").read_text("utf-8")
    for name, model, result, folder in (
        ("student", student, distilled, outputs.student),
        ("undistilled", control, undistilled, outputs.undistilled),
    ):
        save_student(model, folder, tokenizer=tokenizer)
        write_curves(name, result.curves, folder)
        reporter.metric(f"{name}_validation_accuracy", result.validation_accuracy)
        reporter.metric(f"{name}_best_epoch", result.best_epoch)


def _copies(
    params: Params, inputs: Inputs, originals: TokenRows, info: TokensInfo
) -> list[TokenRows]:
    """The augmented copies of the labelled rows and the transfer set, a shard for each copy."""
    plan = params.augmentation
    if plan.copies == 0:
        return []
    embeddings = load_teacher(inputs.teacher).encoder.get_input_embeddings().weight  # type: ignore[operator]
    used = np.zeros(info.vocabulary_size, dtype=bool)
    for row in originals:
        used[row] = True
    pieces = word_pieces(
        Tokenizer.from_file(str(inputs.tokens / "tokenizer.json")),
        embeddings.detach().numpy()[: info.vocabulary_size],  # some tables are padded
        used,
        k=plan.neighbours,
    )
    return [
        augmented_copy(originals, pieces, plan, info, seed=[params.seed, copy])
        for copy in range(plan.copies)
    ]


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
    torch.manual_seed(params.seed)  # the same draws whatever was trained before
    return fit(
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
    )
