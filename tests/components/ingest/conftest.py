"""Runs ingest through the runner, on small local files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from decant.data.corpus import read_schema, read_split
from decant.runner.run_step import run_step
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file


@dataclass(frozen=True)
class Result:
    """What a run left behind."""

    corpus: Path
    encoder: Path
    metrics: dict[str, float]

    def split(self, name: str) -> pd.DataFrame:
        return read_split(self.corpus, name)

    def ids(self, name: str) -> list[str]:
        return list(self.split(name)["row_id"])

    @property
    def reasons(self) -> dict[str, str]:
        rejected = pd.read_parquet(self.corpus / "rejected.parquet")
        keys = rejected["source"] + ":" + rejected["row"].astype("str")
        return dict(zip(keys, rejected["reason"], strict=True))

    @property
    def labels(self) -> tuple[str, ...]:
        return read_schema(self.corpus).task.outputs


Ingest = Callable[..., Result]


@pytest.fixture
def ingest(tmp_path: Path, tiny_encoder: Path) -> Ingest:
    """Call with parameters that differ from: label column `label`, all labels found and kept.

    `source` and other files may be given as a list of tuples (text, label[, group]).
    """

    def run(name: str = "out", **changes: Any) -> Result:
        section = read_params_file(PROJECT / "params.yaml")["ingest"]
        section |= {
            "label_column": "label",
            "group_by": None,
            "labels": None,
            "unlabelled_labels": [],
            "label_budget": None,
            "local_corpus": str(tmp_path),
            "encoder": str(tiny_encoder),
            "local_encoder": str(tiny_encoder),
        }
        for role in ("source", "validation", "test"):
            if isinstance(rows := changes.get(role), list):
                changes[role] = str(write_rows(tmp_path / f"{role}.csv", rows))
        ports = {"corpus": tmp_path / name / "corpus", "encoder": tmp_path / name / "encoder"}
        reporter = run_step("ingest", section | changes, ports)
        return Result(ports["corpus"], ports["encoder"], reporter.metrics)

    return run


def write_rows(file: Path, rows: list[tuple[str, ...]]) -> Path:
    columns = ["text", "label", "film"][: max(map(len, rows))]
    pd.DataFrame(rows, columns=columns).to_csv(file, index=False)
    return file
