"""Where a model version comes from: the tags it carries, and what makes two versions the same."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decant.inference.classifier import MANIFEST
from decant.runtime.artifacts import Card, read_card, read_json
from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT, canonical_json, content_digest, file_digest
from decant.runtime.identity import text_digest as digest_of
from decant.tracking.delivery import BEHIND_TAG, IDENTITY_TAG
from decant.tracking.execution import git_commit

DVC_LOCK = PROJECT / "dvc.lock"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was measured, and on which artifacts.

    Attributes:
        metrics: the report's metrics.json with dotted keys, such as `student.accuracy`.
        manifest: of the exported student.
        cards: of the input artifacts, by port.
        digests: content digests of the input artifacts, by port.
    """

    metrics: Mapping[str, Any]
    manifest: Mapping[str, Any]
    cards: Mapping[str, Card]
    digests: Mapping[str, str]

    @property
    def gate_passed(self) -> bool:
        return bool(self.metrics["gate.passed"])

    @property
    def gate_reasons(self) -> list[str]:
        return [str(reason) for reason in self.metrics["gate.reasons"]]


def read_evidence(student: Path, report: Path, ports: Mapping[str, Path]) -> Evidence:
    """Raises UserError when the report lacks a figure that the decision rests on."""
    manifest = student / MANIFEST
    if not manifest.is_file():
        raise UserError(
            f"{student} is no exported model: {MANIFEST} is missing", code="artifact-missing"
        )
    file = report / "metrics.json"
    if not file.is_file():
        raise UserError(
            f"{report} has no metrics.json", code="artifact-missing", hint="run evaluate first"
        )
    metrics = _with_dotted_keys(read_json(file))
    needed = ("gate.passed", "gate.reasons", "student.accuracy", "data.test_digest")
    if missing := [key for key in needed if key not in metrics]:
        raise UserError(
            f"{file} lacks {', '.join(missing)}",
            code="artifact-outdated",
            hint="run evaluate again",
        )
    return Evidence(
        metrics=metrics,
        manifest=read_json(manifest),
        cards={port: read_card(path) for port, path in ports.items()},
        digests={port: content_digest(path) for port, path in ports.items()},
    )


def registration_identity(name: str, evidence: Evidence, served: str) -> str:
    """What two versions of a model share when they are the same: content, no times, no run ids.

    Args:
        served: digest of the code and the requirements that go with the model.
    """
    digests = {port: evidence.digests[port] for port in ("onnx", "evaluation")}
    return digest_of(canonical_json({"name": name, "digests": digests, "served": served}))


def lineage_tags(
    identity: str, evidence: Evidence, params: Any, run_tags: Mapping[str, str], run_id: str
) -> dict[str, str]:
    """Tags of a model version.

    decant.identity, .commit, .dvc_lock, .params: what it was made from
    decant.digest.PORT: of every artifact that register, evaluate and export_onnx read
    decant.run.STEP, decant.teacher_run: the runs that made them
    decant.identity.STEP: of the steps that wrote what register read
    """
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
        "decant.test_digest": str(evidence.metrics["data.test_digest"]),
    }
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


def figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the metrics; an interval becomes `.low` and `.high`."""
    result: dict[str, float] = {}
    for key, value in metrics.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            result[key] = float(value)
        elif _is_interval(value):
            result[f"{key}.low"], result[f"{key}.high"] = map(float, value)
    return result


def _is_interval(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(end, int | float) for end in value)
    )


def _with_dotted_keys(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            result |= _with_dotted_keys(inner, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = inner
    return result
