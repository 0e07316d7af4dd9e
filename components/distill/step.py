"""Train the student on the teacher's soft targets, and a control on the labels alone.

student/                the student
student/alone/TARGET/   of several targets: the same student, trained for one of them, as a control
undistilled/            the same student on the labels alone
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from components.distill.contract import Inputs, Outputs, Params
from components.distill.embedding_matching import EmbeddingMatching, teacher_rows
from components.distill.shards import cut
from components.distill.soft_targets import SoftTargets, soft_targets
from components.distill.student_ids import StudentIds
from components.distill.transfer_set import real_rows, transfer_set
from components.distill.weak_teacher import refuse_weak_teacher
from decant.data.corpus import read_schema
from decant.data.tokens import TokenRows
from decant.runtime.reporter import Reporter
from decant.students._student import ALONE, Student, load_student, save_student
from decant.tasks.scores import score
from decant.tasks.task import Task
from decant.training import processes
from decant.training.curves import write_curves
from decant.training.device import pick_device, use_bfloat16
from decant.training.draws import RealAndCopies
from decant.training.examples import Examples
from decant.training.fit import default_groups, fit
from decant.training.losses import DistillationLoss, Loss, label_loss
from decant.training.plan import TrainingPlan


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Train the student on the teacher's soft targets, and the controls."""
    task = read_schema(inputs.tokens).task
    labelled, validation = (
        cut(TokenRows.open(inputs.tokens, split)) for split in ("train", "validation")
    )
    held_out = _soft_targets(params, inputs, validation, reporter)
    allowed = params.allow_weak_teacher
    refuse_weak_teacher(task, held_out.logits, validation, labelled, reporter, allowed=allowed)
    shards = transfer_set(
        inputs.tokens,
        inputs.encoder,
        inputs.teacher,
        rows=params.transfer_rows if params.real_row_share < 1 else 0,
        plan=params.augmentation,
        seed=params.seed,
        device=pick_device(params.device),
        reporter=reporter,
    )
    targets = _soft_targets(params, inputs, shards, reporter)
    source, target = (part / "tokenizer.json" for part in (inputs.tokens, inputs.initial_student))
    own = StudentIds(source, target, reporter)
    validation_rows = own.of(validation)
    real = len(real_rows(inputs.tokens))
    draws = RealAndCopies(
        real,
        sum(map(len, shards)) - real,
        epoch_rows=params.epoch_rows,
        real_share=params.real_row_share,
    )
    taught = Examples(own.of(shards), targets.logits, targets.features, draws)
    judged = Examples(validation_rows, held_out.logits, held_out.features)

    students = _Students(params, inputs.initial_student, reporter)

    def distil(name: str, goal: Task, folder: Path) -> None:
        students.train(
            name,
            goal,
            taught,
            judged,
            plan=params.training,
            loss=lambda student: _loss(params, goal, student, targets, inputs),
            folder=folder,
        )

    distil("student", task, outputs.student)
    students.train(
        "undistilled",
        task,
        Examples(own.of(labelled)),
        Examples(validation_rows),
        plan=params.undistilled_training,
        loss=lambda student: label_loss(task),
        folder=outputs.undistilled,
    )
    if params.control_per_target and len(task.targets) > 1:
        for one in task.targets:
            distil(f"alone_{one.name}", task.only(one.name), outputs.student / ALONE / one.name)
    # of one teacher its own answers, of several their mean
    found = score(task, np.concatenate(held_out.logits), validation_rows.labels)
    reporter.metric(f"soft_targets_validation_{task.metric}", found)


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


def _loss(
    params: Params, task: Task, student: Student, targets: SoftTargets, inputs: Inputs
) -> Loss:
    torch.manual_seed(params.seed)
    loss = DistillationLoss(
        task,
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


class _Students:
    """Trains copies of the initial student: the same start, the same draws."""

    def __init__(self, params: Params, initial: Path, reporter: Reporter) -> None:
        self.params, self.initial, self.reporter = params, initial, reporter
        self.tokenizer = (initial / "tokenizer.json").read_text("utf-8")

    def train(
        self,
        name: str,
        task: Task,
        train: Examples,
        validation: Examples,
        *,
        plan: TrainingPlan,
        loss: Callable[[Student], Loss],
        folder: Path,
    ) -> None:
        """Train one and write its folder."""
        params, reporter = self.params, self.reporter
        student = load_student(self.initial)
        # Processes, and GPUs, share dense gradients faster.
        alone = processes.count() == 1 and pick_device(params.device).type == "cpu"
        student.embedding.sparse = alone
        own_loss = loss(student)
        torch.manual_seed(params.seed)  # independent of what was trained before
        started = time.perf_counter()
        result = fit(
            student,
            task,
            train,
            validation,
            loss=own_loss,
            plan=plan,
            device=params.device,
            pad_id=student.config.pad_id,
            seed=params.seed,
            name=name,
            reporter=reporter,
            parameter_groups=default_groups(
                student,
                plan,
                slower=student.embedding,
                share=params.embedding_learning_rate_share,
            ),
        )
        reporter.measure(f"{name}_training_seconds", time.perf_counter() - started)
        folder.mkdir(parents=True, exist_ok=True)
        save_student(student, folder, tokenizer=self.tokenizer)
        write_curves(name, task, result.curves, folder)
        for figure, value in result.validation.items():
            reporter.metric(f"{name}_{figure}", value)
        reporter.metric(f"{name}_best_epoch", result.best_epoch)
