"""The MLflow side of register: log the model, make a version of it, never two of the same."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.register.version_tags import Evidence
from decant.figures.metrics_file import dotted, numbers
from decant.inference.classifier import read_manifest
from decant.inference.manifest_task import manifest_task
from decant.runtime.artifacts import CARD, read_json
from decant.runtime.identity import (
    LIBRARY,
    PROJECT,
    canonical_json,
    content_digest,
    file_digest,
    library_closure,
    text_digest,
)
from decant.runtime.secrets import kept_uri
from decant.tasks.answers import columns
from decant.tasks.task import Task
from decant.tracking.delivery import IDENTITY_TAG, log_points
from decant.tracking.mlflow_store import tracking_uri
from decant.tracking.moved_store import LOST_TAG
from decant.tracking.record import points_of

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature
    from mlflow.tracking import MlflowClient

SCRIPT = Path(__file__).with_name("served_model.py")
PIN_TAG = "decant.pin."
SOURCE_TAG = "decant.source."
RUN_TAG = "decant.run."
LOGGED_NAME = "student"
CARD_FILE = "README.md"
EXAMPLE_TEXT = "A short text, such as one line of a review."
_MAX_DATASET_DIGEST_CHARACTERS = 36  # of MLflow's column


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version in the registry; `created` is false when it existed already."""

    name: str
    version: str
    run_id: str
    created: bool

    @property
    def uri(self) -> str:
        """As MLflow names the version: models:/NAME/VERSION."""
        return f"models:/{self.name}/{self.version}"


def requirements() -> list[str]:
    """What a host needs to serve the model. Not the GPU build of ONNX Runtime."""
    import onnxruntime

    pinned = [f"{package}=={version(package)}" for package in ("tokenizers", "numpy", "pandas")]
    return [f"onnxruntime=={onnxruntime.__version__}", *pinned]


def copy_served_code(folder: Path) -> Path:
    """Copy the modules that the script imports, and only these; returns the package's folder."""
    modules = library_closure(f"components.register.{SCRIPT.stem}")
    files: set[Path] = set()
    for module in modules:
        source = PROJECT.joinpath(*module.split("."))
        files.add(source / "__init__.py" if source.is_dir() else source.with_suffix(".py"))
    for file in list(files):
        inside = file.relative_to(PROJECT).parents
        files |= {PROJECT / parent / "__init__.py" for parent in inside if parent.name}
    for file in files:
        target = folder / file.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return folder / LIBRARY


def served_digest(code: Path) -> str:
    """Digest of the code and requirements that are shipped with the model."""
    return text_digest(
        canonical_json([file_digest(SCRIPT), content_digest(code), sorted(requirements())])
    )


def find_version(client: "MlflowClient", name: str, identity: str) -> Registered | None:
    """The oldest version with this identity that is not marked as lost."""
    same = _versions(client, name, identity)
    return _registered(same[0], created=False) if same else None


def mark_lost(client: "MlflowClient", name: str, identity: str) -> list[tuple[Registered, str]]:
    """Mark the versions with this identity whose files are gone; returns them with their place.

    Such a version stays, with its number, tags and aliases, and stands for no model any more.
    """
    from mlflow.artifacts import list_artifacts

    lost = []
    for found in _versions(client, name, identity):
        place = client.get_model_version_download_uri(name, str(found.version))
        if not list_artifacts(artifact_uri=place):
            client.set_model_version_tag(name, str(found.version), LOST_TAG, place)
            lost.append((_registered(found, created=False), place))
    return lost


def complete_tags(
    client: "MlflowClient", registered: Registered, tags: Mapping[str, str]
) -> list[str]:
    """Add the runs behind a version that were unknown when it was made, such as spooled ones.

    Returns the new tags; no tag is changed.
    """
    had = client.get_model_version(registered.name, registered.version).tags
    late = (RUN_TAG, PIN_TAG, SOURCE_TAG, f"{IDENTITY_TAG}.", "decant.teacher_run")
    missing = [tag for tag in tags if tag.startswith(late) and tag not in had]
    for tag in missing:
        client.set_model_version_tag(registered.name, registered.version, tag, tags[tag])
    return missing


def source_tags(client: "MlflowClient", ingest_run: str) -> dict[str, str]:
    """The sources that the run of ingest read, from the card that it logged.

    decant.pin.SOURCE: digest or revision of each source
    decant.source.source, decant.source.encoder: the URIs of the data and of the encoder

    Empty when that run is unknown or its files were deleted.
    """
    from mlflow.exceptions import MlflowException

    if not ingest_run:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            card = read_json(Path(client.download_artifacts(ingest_run, f"corpus/{CARD}", folder)))
        except (MlflowException, OSError):
            return {}
    pins = {
        PIN_TAG + re.sub(r"[^\w\-. :/]", "_", source): str(pin)
        for source, pin in card["inputs"].items()
    }
    named = {key: card["params"].get(key) for key in ("source", "encoder")}
    return pins | {SOURCE_TAG + key: kept_uri(str(uri)) for key, uri in named.items() if uri}


def identity_tags(client: "MlflowClient", tags: Mapping[str, str]) -> dict[str, str]:
    """decant.identity.STEP for every step behind the model, from the step's run."""
    runs = {tag.removeprefix(RUN_TAG): run for tag, run in tags.items() if tag.startswith(RUN_TAG)}
    found = {
        step: client.get_run(run).data.tags.get(IDENTITY_TAG, "") for step, run in runs.items()
    }
    return {f"decant.identity.{step}": key for step, key in found.items() if key}


def log_dataset(
    client: "MlflowClient", run_id: str, evidence: Evidence, tags: Mapping[str, str]
) -> None:
    """The test split that the figures were measured on, as an input of the run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    facts = evidence.figures.data
    data: dict[str, object] = {f"data.{key}": value for key, value in dotted(facts).items()}
    data["sources"] = {
        tag.removeprefix(PIN_TAG): pin for tag, pin in tags.items() if tag.startswith(PIN_TAG)
    }
    dataset = Dataset(
        name="test",
        digest=facts.test_digest[:_MAX_DATASET_DIGEST_CHARACTERS],
        source_type="decant",
        source=json.dumps(data, sort_keys=True),
    )
    context = InputTag("mlflow.data.context", "testing")
    client.log_inputs(run_id, [DatasetInput(dataset, [context])])


def log_model(exported: Path, code: Path, run_id: str, tags: Mapping[str, str]) -> tuple[str, str]:
    """Log the served model to the run; returns its id and its URI."""
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(tracking_uri())
    with mlflow.start_run(run_id=run_id):
        info = mlflow.pyfunc.log_model(
            name=LOGGED_NAME,
            input_example=pd.DataFrame({"text": [EXAMPLE_TEXT]}),
            tags=dict(tags),
            model_type="text-classification",
            **_served(exported, code),
        )
    return str(info.model_id), str(info.model_uri)


def save_model(exported: Path, folder: Path) -> None:
    """Write the served model to a new folder, as a registry stores it."""
    import mlflow

    with tempfile.TemporaryDirectory() as name:
        code = copy_served_code(Path(name))
        mlflow.pyfunc.save_model(folder, **_served(exported, code))


def _served(exported: Path, code: Path) -> dict[str, Any]:
    """Arguments for MLflow's log_model and save_model."""
    return {
        "python_model": str(SCRIPT),
        "artifacts": {"exported": str(exported)},
        "code_paths": [str(code)],
        "signature": _signature(manifest_task(read_manifest(exported))),
        "pip_requirements": requirements(),
    }


def _signature(task: Task) -> "ModelSignature":
    """A column of texts in, a column per cell of an answer out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array, Map

    types: dict[type, Any] = {
        str: DataType.string,
        float: DataType.double,
        list: Array(DataType.string),
        dict: Map(DataType.double),
    }
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "text")]),
        outputs=Schema([ColSpec(types[kind], name) for name, kind in columns(task).items()]),
    )


def register_version(
    client: "MlflowClient",
    *,
    name: str,
    run_id: str,
    evidence: Evidence,
    exported: Path,
    code: Path,
    description: str,
    tags: Mapping[str, str],
) -> Registered:
    """Log figures, data, card and model to the run, and make a version of the model.

    Args:
        exported: the student's folder, with its card.
        description: of the version, as Markdown, within MLflow's limit.

    Two hosts may do this at the same time, and MLflow's client retries when an answer is lost: the
    oldest version is kept, the others are deleted.
    """
    from mlflow.exceptions import MlflowException

    log_points(client, run_id, points_of(numbers(dotted(evidence.figures))))
    log_dataset(client, run_id, evidence, tags)
    client.log_artifact(run_id, str(exported / CARD_FILE))
    model_id, source = log_model(exported, code, run_id, tags)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(
        name,
        source,
        run_id=run_id,
        tags=dict(tags),
        description=description,
        model_id=model_id,
    )
    oldest, *younger = _versions(client, name, tags[IDENTITY_TAG])
    for duplicate in younger:
        _delete(client, duplicate)
    return _registered(oldest, created=str(oldest.run_id) == run_id)


def _registered(version: "ModelVersion", *, created: bool) -> Registered:
    return Registered(
        name=str(version.name),
        version=str(version.version),
        run_id=str(version.run_id or ""),
        created=created,
    )


def _versions(client: "MlflowClient", name: str, identity: str) -> "list[ModelVersion]":
    """Those with this identity, the oldest first."""
    found = client.search_model_versions(
        f"name = '{name}' and tags.`{IDENTITY_TAG}` = '{identity}'"
    )
    ready = [one for one in found if one.status == "READY" and LOST_TAG not in one.tags]
    return sorted(ready, key=lambda version: int(version.version))


def _delete(client: "MlflowClient", version: "ModelVersion") -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.delete_model_version(version.name, str(version.version))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # the other host was quicker
            raise
