"""Where a registered version comes from: commit, parameters, data, and the run of every step.

Read from the version's tags and from the runs in them. What is not recorded is empty, not
guessed.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.register.registry import PIN_TAG, RUN_TAG, SOURCE_TAG
from components.register.run_evidence import FOLDER
from components.register.version_tags import METRIC_TAG, TASK_TAG
from decant.figures.metrics_file import METRICS, read_figures
from decant.figures.timing_figures import Machine
from decant.runtime.artifacts import CARD, read_json
from decant.runtime.secrets import kept_uri
from decant.runtime.steps import STEPS, load_step
from decant.tasks.task import CLASSES
from decant.tracking.delivery import IDENTITY_TAG
from decant.tracking.parent_run import PARENT_TAG
from pipelines.reproduction.former_ports import names_of, with_present_names

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

DIGEST_TAG = "decant.digest."
DIRTY = "-dirty"
_CODE_TAG = "decant.code"


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """One step behind a version.

    Attributes:
        run_id, parent_id: in MLflow; of another parent when the run is from an earlier execution.
        status, started, seconds: empty or None where the run was deleted.
        identity, code: digests of all that the step depends on, and of its code alone.
        params: read from the run; empty where it was deleted.
        inputs: content digest per input port (of ingest: the pin per source), from its card.
        artifacts: content digest per output port, where the version records it.
        versions: of the libraries, from the card that the step logged.
        threads: that it computed with, by library, from the same card; empty where not recorded.
    """

    step: str
    run_id: str
    parent_id: str = ""
    status: str = ""
    started: int | None = None
    seconds: float | None = None
    identity: str = ""
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    threads: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A version and its origin.

    Attributes:
        commit: 40 digits, empty where it is unknown.
        dirty: files differed from the commit; `dvc repro` itself rewrites dvc.lock.
        sources: URI of the data and of the encoder.
        pins: digest or revision of every source.
        digests: content digest of every artifact, by port.
        task, metric: the kind of the target, or `several`, and by which models are chosen.
        machine: on which evaluate ran; None where that is unknown.
        steps: in the pipeline's order.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    created: int
    run_id: str
    identity: str
    commit: str
    dirty: bool
    dvc_lock: str
    test_digest: str
    sources: Mapping[str, str]
    pins: Mapping[str, str]
    digests: Mapping[str, str]
    task: str = CLASSES
    metric: str = "accuracy"
    machine: Machine | None = None
    steps: tuple[StepRun, ...]


def read_lineage(client: "MlflowClient", version: "ModelVersion") -> Lineage:
    """Of MLflow's model version, as `find_version` gives it."""
    tags = dict(version.tags)
    commit = tags.get("decant.commit", "")
    runs = _with_prefix(tags, RUN_TAG)
    cards = {step: _card(client, run, load_step(step).output_ports) for step, run in runs.items()}
    digests = _digests(tags, cards)
    ingest = cards.get("ingest", {}).get("params", {})
    return Lineage(
        name=str(version.name),
        version=str(version.version),
        aliases=tuple(version.aliases),
        created=int(version.creation_timestamp),
        run_id=str(version.run_id or ""),
        identity=tags.get(IDENTITY_TAG, ""),
        commit="" if commit == "unknown" else commit.removesuffix(DIRTY),
        dirty=commit.endswith(DIRTY),
        dvc_lock=tags.get("decant.dvc_lock", ""),
        test_digest=tags.get("decant.test_digest", ""),
        sources={key: kept_uri(str(ingest[key])) for key in ("source", "encoder") if key in ingest}
        | _with_prefix(tags, SOURCE_TAG),
        pins=_with_prefix(tags, PIN_TAG),
        digests=digests,
        task=tags.get(TASK_TAG, CLASSES),
        metric=tags.get(METRIC_TAG, "accuracy"),
        machine=_machine(client, str(version.run_id or "")),
        steps=tuple(
            _step_run(client, step, runs[step], cards[step], tags, digests)
            for step in STEPS
            if step in runs
        ),
    )


def _digests(tags: Mapping[str, str], cards: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By port: recorded by the version for the last steps, and by each step for its inputs.

    Pins are left out: ingest has one for the source `encoder`, and a port of that name.
    """
    read = {
        port: card["inputs"][port]
        for step, card in cards.items()
        for port in load_step(step).input_ports
        if port in card.get("inputs", {})
    }
    return read | _with_prefix(tags, DIGEST_TAG)


def _step_run(
    client: "MlflowClient",
    step: str,
    run_id: str,
    card: Mapping[str, Any],
    tags: Mapping[str, str],
    digests: Mapping[str, str],
) -> StepRun:
    ports = load_step(step).output_ports
    known: dict[str, Any] = {
        "step": step,
        "run_id": run_id,
        "identity": tags.get(f"{IDENTITY_TAG}.{step}", ""),
        "inputs": card.get("inputs", {}),
        "artifacts": {port: digests[port] for port in ports if port in digests},
    }
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return StepRun(**known)
    return StepRun(
        **known,
        parent_id=run.data.tags.get(PARENT_TAG, ""),
        status=str(run.info.status),
        started=run.info.start_time,
        seconds=run.data.metrics.get("seconds"),
        code=run.data.tags.get(_CODE_TAG, ""),
        params=card.get("params") or _logged_params(run.data.params, step),
        versions=card.get("versions", {}),
        threads=card.get("threads", {}),
    )


def _card(client: "MlflowClient", run_id: str, ports: tuple[str, ...]) -> dict[str, Any]:
    """The card of the step's first artifact, as it was logged; empty when the file is missing."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names_of(ports[0]):
            if file := _logged_file(client, run_id, f"{name}/{CARD}", folder):
                card: dict[str, Any] = read_json(file)
                return card | {"inputs": with_present_names(card.get("inputs", {}))}
    return {}


def _machine(client: "MlflowClient", run_id: str) -> Machine | None:
    """From the figures that register logged. Raises UserError when they are damaged."""
    with tempfile.TemporaryDirectory() as folder:
        file = _logged_file(client, run_id, f"{FOLDER}/{METRICS}", folder) if run_id else None
        if file is None:
            return None
        return read_figures(file, hint=f"look at {FOLDER}/{METRICS} of run {run_id}").machine


def _logged_file(client: "MlflowClient", run_id: str, path: str, folder: str) -> Path | None:
    """Downloaded; None where the run or the file is gone."""
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(run_id, path, folder))
    except (MlflowException, OSError):
        return None


def _logged_params(params: Mapping[str, str], step: str) -> dict[str, Any]:
    """Values that MLflow cut off are left out."""
    found = {}
    for key, text in _with_prefix(params, f"{step}.").items():
        try:
            found[key] = json.loads(text)
        except ValueError:
            continue
    return found


def _with_prefix(values: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {
        key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)
    }
