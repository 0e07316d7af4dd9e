"""What register reads: an exported student and its evaluation; and a store to register in."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from decant.runtime.artifacts import Card, write_json
from tests.example_figures import metrics

SECTION = {
    "enabled": True,
    "in_experiments": False,
    "strict": False,
    "name": "tiny",
    "alias": None,
}


def known_metrics() -> dict[str, Any]:
    """Of a default run, with round figures."""
    content = metrics()
    content["student"] |= {
        "accuracy": 0.78,
        "accuracy_interval": [0.73, 0.83],
        "ece": 0.05,
        "retention": 0.975,
        "retention_interval": [0.95, 1.0],
    }
    content["teacher"] |= {"accuracy": 0.8, "accuracy_interval": [0.75, 0.85]}
    for control, accuracy in (("tfidf", 0.66), ("undistilled", 0.6)):
        content["controls"][control]["accuracy"] = accuracy
    content["data"] |= {"test_digest": "ab" * 32}
    content["data"]["rows"]["test"] = 100
    content["latency_p50_us"]["student"] = {"model": 60.0, "end_to_end": 100.0}
    content["speedup"]["end_to_end"]["vs_teacher"] = 50.0
    return content


def write_card(
    folder: Path, step: str, inputs: dict[str, str], params: dict[str, Any] | None = None
) -> None:
    card = Card(
        step=step,
        port=folder.name,
        identity=f"identity of {step}",
        varying=folder.name == "report",
        params=params or {"a": 1},
        inputs=inputs,
        metrics={},
        versions={},
    )
    write_json(folder / "card.json", dataclasses.asdict(card))


@pytest.fixture
def ports(tmp_path: Path, tiny_exported: Path) -> dict[str, Path]:
    """The folders that register reads, and where it writes."""
    onnx, evaluation, report = (tmp_path / port for port in ("onnx", "evaluation", "report"))
    for role in ("teacher", "student", "undistilled"):
        shutil.copytree(tiny_exported, onnx / role)
    evaluation.mkdir()
    report.mkdir()
    write_card(onnx, "export_onnx", {"teacher": "t" * 64, "student": "s" * 64})
    write_card(evaluation, "evaluate", {"onnx": "o" * 64, "corpus": "c" * 64})
    write_card(report, "evaluate", {"onnx": "o" * 64, "corpus": "c" * 64})
    write_json(evaluation / "quality.json", {"student": {"accuracy": 0.78}})
    write_json(report / "metrics.json", known_metrics())
    pd.DataFrame({"text": ["a good film"]}).to_parquet(evaluation / "predictions.parquet")
    return {"onnx": onnx, "evaluation": evaluation, "report": report, "receipt": tmp_path / "out"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_mlflow: Path) -> str:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return uri
