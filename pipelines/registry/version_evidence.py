"""The evidence of a registered version: its answers on the test rows, and the model itself."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.register.run_evidence import PREDICTIONS, logged_evidence
from decant.figures.metrics_file import METRICS
from decant.inference.classifier import MANIFEST, OnnxClassifier
from decant.runtime.artifacts import read_json
from decant.runtime.errors import UserError
from decant.tasks.single_label.answers import softmax
from decant.tracking.registered_model import exported_folder

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

TEST_DIGEST_TAG = "decant.test_digest"


@dataclass(frozen=True, kw_only=True)
class EvaluatedVersion:
    """A version with the figures of its evaluation.

    Attributes:
        name, version: in the registry.
        tags: of the version.
        predictions: a row per test row: text, label, student_label, teacher_label, and per label
            student_probability_LABEL.
        model: the folder of the exported student.
    """

    name: str
    version: str
    tags: dict[str, str]
    predictions: pd.DataFrame
    model: Path

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def test_digest(self) -> str:
        return self.tags.get(TEST_DIGEST_TAG, "")

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(read_json(self.model / MANIFEST)["labels"])

    def recorded(self) -> NDArray[np.float32]:
        """Probabilities (rows, classes) of its test rows, as they were recorded."""
        columns = [f"student_probability_{label}" for label in self.labels]
        return self.predictions[columns].to_numpy(dtype=np.float32)


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


def answers(
    evaluated: EvaluatedVersion, texts: list[str], *, batch_size: int = 32
) -> NDArray[np.float32]:
    """Probabilities (rows, classes) of the model, run now."""
    logits = OnnxClassifier(evaluated.model, threads=0).logits(texts, batch_size=batch_size)
    return softmax(logits).astype(np.float32)


def _download(client: "MlflowClient", version: "ModelVersion", folder: Path) -> EvaluatedVersion:
    import mlflow.artifacts

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
    return EvaluatedVersion(
        name=str(version.name),
        version=str(version.version),
        tags=dict(version.tags),
        predictions=pd.read_parquet(found / PREDICTIONS),
        model=exported_folder(Path(model), shown),
    )
