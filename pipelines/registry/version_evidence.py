"""The evidence of a registered version: its answers on the test rows, and the model itself."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from components.register.run_evidence import PREDICTIONS, logged_evidence
from decant.figures.metrics_file import METRICS
from decant.inference.classifier import OnnxClassifier, read_manifest
from decant.inference.manifest_task import manifest_task
from decant.inference.model_files import check_files
from decant.inference.refusals import refusals
from decant.runtime.artifacts import read_json
from decant.runtime.errors import UserError
from decant.tasks.answers import values
from decant.tasks.comparison import recorded_columns
from decant.tasks.labels import column_of, encode
from decant.tasks.spec import with_labels
from decant.tasks.task import Task
from decant.tracking.moved_store import refuse_moved_store
from decant.tracking.registered_model import exported_folder

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

Values = NDArray[np.float32]
TEST_DIGEST_TAG = "decant.test_digest"


@dataclass(frozen=True, kw_only=True)
class EvaluatedVersion:
    """A version with the figures of its evaluation.

    Attributes:
        name, version: in the registry.
        tags: of the version.
        task: what it answers, with what it decided on validation rows.
        predictions: a row per test row: text, the labels' columns of the corpus, and the values of
            the student, see components/evaluate/tables.py.
        metrics: the content of its metrics.json.
        model: the folder of the exported student.
    """

    name: str
    version: str
    tags: dict[str, str]
    task: Task
    predictions: pd.DataFrame
    metrics: Mapping[str, Any]
    model: Path

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def test_digest(self) -> str:
        return self.tags.get(TEST_DIGEST_TAG, "")

    def recorded(self) -> dict[str, Values]:
        """Per target the values (rows, W) of its test rows, as they were recorded."""
        return {
            name: self.predictions[columns].to_numpy(dtype=np.float32)
            for name, columns in recorded_columns(self.task, "student").items()
        }

    def labels(self, task: Task) -> dict[str, NDArray[np.float64]]:
        """Per target the labels (rows, E) of its test rows, encoded for a task; NaN is unknown."""
        names = [column_of(task, target) for target in task.targets]
        rows = pa.RecordBatch.from_pandas(self.predictions[names], preserve_index=False)
        encoded = encode(task, rows)
        if encoded.ndim == 1:
            encoded = np.where(encoded < 0, np.nan, encoded)[:, None]
        return {target.name: own for target, _, own in with_labels(task, encoded)}

    def teacher_score(self, target: str) -> float:
        """Of its teacher, on its own test rows, by the target's metric.

        Raises UserError when its figures have none.
        """
        try:
            teacher = self.metrics["teacher"]
            several = teacher.get("targets")
            return float(several[target]["score"] if several else teacher["accuracy"])
        except (KeyError, TypeError, AttributeError):
            raise UserError(
                f"{self} has no figures of its teacher for '{target}' in its {METRICS}",
                code="evidence-missing",
                hint="evaluate and register it again with this version of Decant",
            ) from None


@contextmanager
def downloaded(
    client: "MlflowClient", *versions: "ModelVersion"
) -> Iterator[list[EvaluatedVersion]]:
    """The versions with their models and evidence, in a folder that is removed afterwards.

    Raises UserError for a version that was registered without evidence, or that is not a student.
    """
    with tempfile.TemporaryDirectory() as root:
        yield [
            _download(client, version, Path(root) / str(index))
            for index, version in enumerate(versions)
        ]


def answered_now(
    evaluated: EvaluatedVersion, texts: list[str], *, batch_size: int = 32
) -> dict[str, Values]:
    """Per target the values (texts, W) of the model, run now."""
    with refusals():
        classifier = OnnxClassifier(evaluated.model, threads=0)
        found = values(classifier.task, classifier.logits(texts, batch_size=batch_size))
    return {name: of_target.astype(np.float32) for name, of_target in found.items()}


def _download(client: "MlflowClient", version: "ModelVersion", folder: Path) -> EvaluatedVersion:
    import mlflow.artifacts

    refuse_moved_store()
    shown = f"{version.name}/{version.version}"
    folder.mkdir()
    found = logged_evidence(client, str(version.run_id or ""), folder)
    if found is None:
        raise UserError(
            f"{shown} has no evidence: its run lacks {PREDICTIONS} or {METRICS}",
            code="evidence-missing",
            hint="register it again with this version of Decant (`dvc repro -s -f register`)",
        )
    model = mlflow.artifacts.download_artifacts(
        f"models:/{version.name}/{version.version}", dst_path=str(folder)
    )
    exported = exported_folder(Path(model), shown)
    try:
        manifest = read_manifest(exported)
        with refusals():
            check_files(exported, manifest)
        task = manifest_task(manifest)
    except ValueError as error:
        raise UserError(f"{shown} cannot be read: {error}", code="model-unreadable") from None
    return EvaluatedVersion(
        name=str(version.name),
        version=str(version.version),
        tags=dict(version.tags),
        task=task,
        predictions=pd.read_parquet(found / PREDICTIONS),
        metrics=read_json(found / METRICS),
        model=exported,
    )
