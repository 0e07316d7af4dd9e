"""The parameter files of examples/ on a few rows of the form that they name."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import merged, read_sections, section_of
from decant.runtime.steps import load_step
from tests.tiny import corpus_rows

pytestmark = pytest.mark.slow

EXAMPLES = sorted((PROJECT / "examples").glob("*.yaml"))
STEPS = (
    "ingest",
    "tokenize",
    "finetune",
    "transfer_weights",
    "distill",
    "export_onnx",
    "evaluate",
)


def emotions(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Columns text and emotions: none to two labels in a cell."""
    return [
        {
            "text": row["text"],
            "emotions": ", ".join(
                name
                for name, word in (("joy", "film"), ("surprise", "plot"), ("neutral", "it"))
                if word in row["text"].split()
            )
            or "neutral",
        }
        for row in rows
    ]


def relatedness(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Columns text, of two joined sentences, and relatedness."""
    return [
        {
            "text": f"{row['text']} | {row['text'].split()[0]}",
            "relatedness": f"{1 + 4 * (row['label'] == 'positive') * 0.9:.1f}",
        }
        for row in rows
    ]


def several(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Columns text, verdict and question, one of them empty."""
    found = []
    for number, row in enumerate(rows):
        if number % 3:
            found.append({"text": row["text"], "verdict": row["label"], "question": ""})
        else:
            kind = "place" if "scene" in row["text"].split() else "thing"
            found.append({"text": f"{row['text']} ?", "verdict": "", "question": kind})
    return found


MAKERS: dict[str, Callable[[list[dict[str, str]]], list[dict[str, str]]]] = {
    "several-labels": emotions,
    "ratings": relatedness,
    "several-targets": several,
}


def test_every_example_has_its_rows_here_and_is_listed() -> None:
    assert {file.stem for file in EXAMPLES} == set(MAKERS)
    listed = (PROJECT / "examples" / "README.md").read_text("utf-8")
    assert all(f"`{file.name}`" in listed for file in EXAMPLES)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_it_runs(
    file: Path, tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    example = read_sections(file)
    params = merged(json.loads(json.dumps(tiny_params)), example)
    for seed, role in enumerate(("source", "validation", "test")):
        if not example["ingest"].get(role):
            continue
        rows = MAKERS[file.stem](corpus_rows(240 if role == "source" else 60, seed))
        place = tmp_path / "data" / f"{role}.csv"
        place.parent.mkdir(exist_ok=True)
        with place.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        params["ingest"][role] = str(place)
    params["ingest"]["local_corpus"] = str(tmp_path / "data")
    for name in STEPS:
        step = load_step(name)
        ports = {port: tmp_path / port for port in (*step.input_ports, *step.output_ports)}
        run_step(name, section_of(params, name, step.params), ports)
    figures = read_json(tmp_path / "report" / "metrics.json")
    assert figures["data"]["task"] == example["ingest"].get("task", "several")
    assert (tmp_path / "report" / "report.html").is_file()
