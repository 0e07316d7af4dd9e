"""The origin of a model version: its tags, and the identity by which versions are the same."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decant.figures.evaluation_figures import Figures
from decant.figures.figure_set import FigureSet
from decant.figures.metrics_file import (
    METRICS,
    QUALITY,
    as_json,
    read_figures,
    refuse_other_figures,
)
from decant.inference.classifier import read_manifest
from decant.inference.manifest_task import manifest_task
from decant.inference.model_files import MANIFEST, check_files
from decant.inference.refusals import refusals
from decant.runtime.artifacts import Card, read_card
from decant.runtime.errors import UserError
from decant.runtime.git_repository import git_commit
from decant.runtime.identity import PROJECT, canonical_json, content_digest, file_digest
from decant.runtime.identity import text_digest as digest_of
from decant.tasks.task import CLASSES, Task
from decant.tracking.delivery import BEHIND_TAG, IDENTITY_TAG

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TASK_TAG, METRIC_TAG = "decant.task", "decant.metric"
DVC_LOCK = PROJECT / "dvc.lock"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The measured figures and their artifacts.

    Attributes:
        figures: of the report.
        manifest: of the exported student.
        cards: of the input artifacts, by port.
        digests: content digests of the input artifacts, by port.
    """

    figures: Figures
    manifest: Mapping[str, Any]
    cards: Mapping[str, Card]
    digests: Mapping[str, str]


def read_evidence(student: Path, report: Path, ports: Mapping[str, Path]) -> Evidence:
    """Raises UserError when the model or the report's figures are missing or damaged."""
    manifest = student / MANIFEST
    if not manifest.is_file():
        raise UserError(
            f"{student} is not an exported model: {MANIFEST} is missing", code="artifact-missing"
        )
    try:
        content = read_manifest(student)
        with refusals():
            check_files(student, content)
        manifest_task(content)
    except ValueError as error:
        raise UserError(
            f"{student} cannot be registered: {error}",
            code="model-unreadable",
            hint="run export_onnx again",
        ) from None
    figures = read_figures(report / METRICS)
    refuse_other_figures(ports["evaluation"] / QUALITY, report / METRICS)
    return Evidence(
        figures=figures,
        manifest=content,
        cards={port: read_card(path) for port, path in ports.items()},
        digests={port: content_digest(path) for port, path in ports.items()},
    )


def target_figures(task: Task, model: FigureSet) -> dict[str, dict[str, float]]:
    """The figures of a model by target and name; {} of classes alone, which have them beside."""
    found = as_json(model).get("targets")
    if not isinstance(found, dict):
        return {}
    return {
        target.name: {
            name: float(value)
            for name, value in of_target.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        for target in task.targets
        if isinstance(of_target := found.get(target.name), dict)
    }


def registration_identity(name: str, evidence: Evidence, served: str) -> str:
    """A digest that two versions share when they are the same: of content, not of times or run ids.

    Args:
        served: digest of the code and the requirements shipped with the model.
    """
    digests = {port: evidence.digests[port] for port in ("onnx", "evaluation")}
    return digest_of(canonical_json({"name": name, "digests": digests, "served": served}))


def lineage_tags(
    identity: str,
    evidence: Evidence,
    params: "DataclassInstance",
    run_tags: Mapping[str, str],
    run_id: str,
) -> dict[str, str]:
    """Tags of a model version.

    decant.identity, .commit, .dvc_lock, .params: its origin
    decant.digest.PORT: of every artifact that register, evaluate and export_onnx read
    decant.run.STEP, decant.teacher_run: the runs that made them
    decant.identity.STEP: of the steps that wrote what register read
    decant.task, .metric: the kind of the target, or `several`, and by which models are chosen;
        not of classes judged by accuracy
    """
    task = manifest_task(evidence.manifest)
    step_runs = {
        tag.removeprefix(BEHIND_TAG): run
        for tag, run in run_tags.items()
        if tag.startswith(BEHIND_TAG)
    }
    step_runs["register"] = run_id
    all_params = {card.step: dict(card.params) for card in evidence.cards.values()}
    all_params["register"] = dataclasses.asdict(params)
    tags = {
        IDENTITY_TAG: identity,
        "decant.commit": git_commit(),
        "decant.params": digest_of(canonical_json(all_params)),
        "decant.test_digest": evidence.figures.data.test_digest,
    }
    if (task.kind, task.metric) != (CLASSES, "accuracy"):
        tags |= {TASK_TAG: task.kind, METRIC_TAG: task.metric}
    for card in evidence.cards.values():
        tags |= {f"decant.digest.{port}": digest for port, digest in card.inputs.items()}
        tags[f"decant.identity.{card.step}"] = card.identity
    tags |= {f"decant.digest.{port}": digest for port, digest in evidence.digests.items()}
    tags |= {f"decant.run.{step}": run for step, run in step_runs.items()}
    if "finetune" in step_runs:
        tags["decant.teacher_run"] = step_runs["finetune"]
    if DVC_LOCK.is_file():
        tags["decant.dvc_lock"] = file_digest(DVC_LOCK)
    return dict(sorted(tags.items()))
