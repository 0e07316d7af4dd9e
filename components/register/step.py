"""Log and register the student in MLflow with its lineage, when the gate passed."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from components.register.contract import Inputs, Outputs, Params
from components.register.hub_metadata import front_matter
from components.register.model_card import model_card, version_description
from components.register.registry import (
    CARD_FILE,
    RUN_TAG,
    Registered,
    complete_tags,
    copy_served_code,
    find_version,
    identity_tags,
    mark_lost,
    register_version,
    served_digest,
    source_tags,
)
from components.register.run_evidence import log_evidence
from components.register.version_tags import (
    Evidence,
    lineage_tags,
    read_evidence,
    registration_identity,
)
from decant.runtime.artifacts import write_json
from decant.runtime.errors import UserError
from decant.runtime.git_repository import commit_problem
from decant.runtime.reporter import Reporter
from decant.runtime.retrying import limit_seconds
from decant.runtime.secrets import shown_uri, without_secrets
from decant.runtime.steps import steps_behind
from decant.runtime.system_errors import as_user_error
from decant.tracking.lasting_causes import lasting_cause
from decant.tracking.mlflow_retries import retried_in_mlflow
from decant.tracking.mlflow_store import open_client, tracking_is_on, tracking_uri
from decant.tracking.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_AGAIN = "then run register again: the same model is never registered twice"


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Register the student where the gate passed; where it did not, write why.

    Raises UserError when MLflow cannot be reached, or the gate failed and `strict` is set.
    """
    student = inputs.onnx / "student"
    ports = {"onnx": inputs.onnx, "evaluation": inputs.evaluation, "report": inputs.report}
    evidence = read_evidence(student, inputs.report, ports)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        code = copy_served_code(work)
        identity = registration_identity(params.name, evidence, served_digest(code))
        reasons = _reasons_against(params, evidence)
        if not reasons:
            with reporter.activity("logging the model to MLflow"):
                registered = _register(params, inputs, evidence, identity, code, reporter)
            _receipt(outputs, params, identity, [], registered)
            words = "registered" if registered.created else "was registered before"
            reporter.message(f"{words}: {registered.uri}")
            return
    _receipt(outputs, params, identity, reasons, None)
    reporter.warning(f"registers nothing: {'; '.join(reasons)}")


def _reasons_against(params: Params, evidence: Evidence) -> list[str]:
    """Why nothing is registered. Raises UserError for a failed gate with `strict`."""
    if not params.enabled:
        return ["register.enabled is false"]
    if os.environ.get("DVC_EXP_NAME") and not params.in_experiments:
        return ["this is a `dvc exp` run and register.in_experiments is false"]
    if evidence.figures.gate.passed:
        return []
    reasons = [f"the gate failed: {reason}" for reason in evidence.figures.gate.reasons]
    reasons = reasons or ["the gate failed"]
    if params.strict:
        raise UserError(
            f"nothing was registered: {'; '.join(reasons)}",
            code="gate-failed",
            hint="improve the student, relax the gate's thresholds in params.yaml, "
            "or set register.strict to false",
        )
    return reasons


def _register(
    params: Params,
    inputs: Inputs,
    evidence: Evidence,
    identity: str,
    code: Path,
    reporter: Reporter,
) -> Registered:
    """Raises UserError when MLflow is switched off, cannot be reached, or refuses."""
    if not tracking_is_on():
        raise UserError(
            "register needs MLflow, and DECANT_TRACKING is off",
            code="tracking-off",
            hint=f"unset DECANT_TRACKING, or set register.enabled to false; {_AGAIN}",
        )
    where = shown_uri(tracking_uri())
    if not reporter.run_id:
        raise UserError(
            f"nothing was registered: MLflow at {where} does not answer: "
            f"{reporter.tracking_problem or 'the step has no run in it'}",
            code="tracking-unreachable",
            hint=f"check MLFLOW_TRACKING_URI and the server, {_AGAIN}",
        )
    from mlflow.exceptions import MlflowException

    try:
        # All of it may be repeated: a version that is there already is found.
        return retried_in_mlflow(
            "registering the model",
            lambda: _find_or_register(params, inputs, evidence, identity, code, reporter),
            total_seconds=PATIENCE_SECONDS + limit_seconds(),
        )
    except (MlflowException, OSError) as error:
        raise (
            lasting_cause(error)
            or as_user_error(error)
            or UserError(
                f"MLflow at {where} did not register the model: {without_secrets(str(error))}",
                code="tracking-failed",
                hint=f"fix that, {_AGAIN}",
            )
        ) from None


def _find_or_register(
    params: Params,
    inputs: Inputs,
    evidence: Evidence,
    identity: str,
    code: Path,
    reporter: Reporter,
) -> Registered:
    """Raises what MLflow and its artifact store raise."""
    if problem := commit_problem():
        reporter.warning(f"the version has no commit: {problem.problem} ({problem.hint})")
    client, run_id = open_client(), reporter.run_id
    tags = _tags(client, params, evidence, identity, reporter)
    for lost, place in mark_lost(client, params.name, identity):
        reporter.warning(
            f"{lost.uri} is this model, but its files are gone from {shown_uri(place)}: "
            "it is registered again; where the store was moved with its files, `decant relocate` "
            "brings them back"
        )
    registered = find_version(client, params.name, identity)
    if registered:
        complete_tags(client, registered, tags)
    else:
        card = model_card(params.name, evidence, tags)
        exported = code.parent / "exported"
        shutil.copytree(inputs.onnx / "student", exported, dirs_exist_ok=True)
        metadata = front_matter(params.name, evidence, tags)
        (exported / CARD_FILE).write_text(metadata + card, "utf-8")
        log_evidence(client, run_id, evaluation=inputs.evaluation, report=inputs.report)
        registered = register_version(
            client,
            name=params.name,
            run_id=run_id,
            evidence=evidence,
            exported=exported,
            code=code,
            description=version_description(
                params.name,
                evidence,
                tags,
                whole_card=f"`{CARD_FILE}` of run `{run_id}`, and among this model's files",
            ),
            tags=tags,
        )
    if params.alias:
        client.set_registered_model_alias(params.name, params.alias, registered.version)
    return registered


def _tags(
    client: "MlflowClient", params: Params, evidence: Evidence, identity: str, reporter: Reporter
) -> dict[str, str]:
    """Tags of a version; those of runs that MLflow does not have (yet) are missing."""
    run_tags = client.get_run(reporter.run_id).data.tags
    tags = lineage_tags(identity, evidence, params, run_tags, reporter.run_id)
    tags |= source_tags(client, tags.get(f"{RUN_TAG}ingest", ""))
    tags |= identity_tags(client, tags)
    lineage = (*steps_behind("register"), "register")
    if unknown := [step for step in lineage if f"{RUN_TAG}{step}" not in tags]:
        reporter.warning(
            f"the lineage lacks the runs of {', '.join(unknown)}, which MLflow does not know; "
            "if they are spooled: `decant sync`, then register again adds them"
        )
    return tags


def _receipt(
    outputs: Outputs,
    params: Params,
    identity: str,
    reasons: list[str],
    registered: Registered | None,
) -> None:
    content: dict[str, object] = {
        "registered": registered is not None,
        "name": params.name,
        "version": registered.version if registered else None,
        "model_uri": registered.uri if registered else None,
        "run_id": registered.run_id if registered else None,
        "alias": params.alias if registered else None,
        "identity": identity,
        "reasons": reasons,
    }
    write_json(outputs.receipt / "receipt.json", content)
