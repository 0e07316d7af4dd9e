"""Evidence for later comparisons of a version, kept with its run; it has texts of the test split.

evidence/predictions.parquet   of the evaluation: a row per test row
evidence/metrics.json          of the report
"""

from pathlib import Path
from typing import TYPE_CHECKING

from decant.figures.metrics_file import METRICS

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FOLDER = "evidence"
PREDICTIONS = "predictions.parquet"


def log_evidence(client: "MlflowClient", run_id: str, *, evaluation: Path, report: Path) -> None:
    """Copy both files to the run."""
    for file in (evaluation / PREDICTIONS, report / METRICS):
        client.log_artifact(run_id, str(file), FOLDER)


def logged_evidence(client: "MlflowClient", run_id: str, into: Path) -> Path | None:
    """The folder with both files, downloaded; None when the run has none."""
    if not run_id:
        return None
    names = {Path(file.path).name for file in client.list_artifacts(run_id, FOLDER)}
    if not {PREDICTIONS, METRICS} <= names:
        return None
    return Path(client.download_artifacts(run_id, FOLDER, str(into)))
