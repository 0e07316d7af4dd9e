"""The models under test: the exported folders, checked against each other and against the data."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decant.inference.classifier import OnnxClassifier
from decant.inference.manifest_task import manifest_task
from decant.inference.refusals import refusals
from decant.runtime.errors import UserError
from decant.tasks.scores import DECISION
from decant.tasks.task import Task

TEACHER_INT8, STUDENT_FLOAT32, TFIDF = "teacher_int8", "student_float32", "tfidf"
BERT_BASE = "bert_base"
ALONE = "alone"
# In the order of the tables. The optional ones exist where export_onnx made them.
ROLES = ("teacher", TEACHER_INT8, "student", STUDENT_FLOAT32, "undistilled")
OPTIONAL = (TEACHER_INT8, STUDENT_FLOAT32)
# A smaller form beside the float32 graph that it was made of.
FLOAT32_OF = {TEACHER_INT8: "teacher", "student": STUDENT_FLOAT32}
_AGAIN = "run the steps from finetune on again: the models come from different data"


def open_models(folder: Path, *, threads: int) -> dict[str, OnnxClassifier]:
    """The exported models by role; raises UserError when one is missing or their tasks differ."""
    models: dict[str, OnnxClassifier] = {}
    for role in ROLES:
        if role in OPTIONAL and not (folder / role).exists():
            continue
        models[role] = _open(folder / role, threads)
    of_teacher = manifest_task(models["teacher"].manifest)
    for role, model in models.items():
        own = manifest_task(model.manifest)
        if _meaning(own) != _meaning(of_teacher):
            raise UserError(
                f"{folder / role} has {_described(own)}, its teacher has {_described(of_teacher)}",
                code="labels-mismatch",
                hint=_AGAIN,
            )
    return models


def open_alone(folder: Path, task: Task, *, threads: int) -> dict[str, OnnxClassifier]:
    """By `alone/TARGET`, the students that were trained for one target, where there are any."""
    names = (f"{ALONE}/{target.name}" for target in task.targets)
    return {name: _open(folder / name, threads) for name in names if (folder / name).is_dir()}


def decided_tasks(task: Task, models: Mapping[str, OnnxClassifier]) -> dict[str, Task]:
    """By role the task of the corpus with what each model decided on validation rows.

    Raises UserError where the models' task is another than that of the corpus.
    """
    return {
        role: decided_task(task, model.manifest, model.folder) for role, model in models.items()
    }


def decided_task(task: Task, manifest: Mapping[str, Any], folder: Path) -> Task:
    """The task of the corpus with what the model of this manifest decided on validation rows.

    Raises UserError where its task is another than that of the corpus; `folder` is for the message.
    """
    own = manifest_task(manifest)
    if _meaning(own) != _meaning(task):
        raise UserError(
            f"{folder} has {_described(own)}, the corpus has {_described(task)}",
            code="labels-mismatch",
            hint="run the steps from finetune on again: models and corpus come from different data",
        )
    targets = []
    for target, of_model in zip(task.targets, own.targets, strict=True):
        decision = of_model.facts.get(DECISION)
        facts = target.facts if decision is None else {**target.facts, DECISION: decision}
        targets.append(dataclasses.replace(target, facts=facts))
    return Task(tuple(targets))


def _open(folder: Path, threads: int) -> OnnxClassifier:
    """Raises UserError when a file is missing or the manifest is damaged."""
    try:
        with refusals():
            return OnnxClassifier(folder, threads=threads)
    except FileNotFoundError as error:
        raise UserError(str(error), code="artifact-missing", hint="run export_onnx again") from None
    except ValueError as error:
        raise UserError(
            f"{folder} cannot be read: {error}", code="model-unreadable", hint=_AGAIN
        ) from None


def listed(labels: tuple[str, ...]) -> str:
    """At most ten labels in a message."""
    shown = ", ".join(labels[:10])
    return shown if len(labels) <= 10 else f"{shown} and {len(labels) - 10} more"


def _meaning(task: Task) -> list[Any]:
    """What the logits mean. The name of an only target may differ: it is not in old manifests."""
    several = len(task.targets) > 1
    return [
        (
            target.name if several else "",
            target.kind,
            target.outputs,
            {key: value for key, value in target.facts.items() if key != DECISION},
        )
        for target in task.targets
    ]


def _described(task: Task) -> str:
    if task.is_classes_alone:
        return f"the labels {listed(task.outputs)}"
    targets = (f"{one.name} ({one.kind}: {listed(one.outputs)})" for one in task.targets)
    return f"the targets {'; '.join(targets)}"
