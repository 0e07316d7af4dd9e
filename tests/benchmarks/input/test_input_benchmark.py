"""The benchmark of the input on a few hundred rows, and the rows that it makes."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

from benchmarks.input.command import input_command
from benchmarks.input.made_rows import made_rows, write_rows
from benchmarks.input.measured_job import measure
from decant.runtime.identity import canonical_json
from tests.errors import raises
from tests.tiny import corpus_rows

BASE = pd.DataFrame(corpus_rows(200))


def made(rows: int, seed: int = 1) -> pd.DataFrame:
    chunks = made_rows(BASE, text="text", group="film", rows=rows, seed=seed)
    return pa.concat_tables(chunks).to_pandas()


def test_rows_depend_on_the_seed_alone() -> None:
    rows = made(12_000)
    assert rows.equals(made(12_000))
    assert rows[:10_000].equals(made(10_000))
    assert not rows["text"].equals(made(12_000, seed=2)["text"])


def test_rows_have_words_lengths_labels_and_more_groups() -> None:
    rows = made(20_000)
    assert set(" ".join(rows["text"]).split()) == set(" ".join(BASE["text"]).split())
    assert set(rows["text"].str.split().str.len()) <= set(BASE["text"].str.split().str.len())
    assert rows["label"].value_counts(normalize=True)["positive"] == pytest.approx(0.5, abs=0.02)
    assert rows["film"].nunique() == 2 * BASE["film"].nunique()
    words = pd.Series(" ".join(BASE["text"]).split()).value_counts(normalize=True)
    found = pd.Series(" ".join(rows["text"]).split()).value_counts(normalize=True)
    assert found["film"] == pytest.approx(words["film"], abs=0.01)


def test_both_files_have_the_same_rows(tmp_path: Path) -> None:
    files = [tmp_path / "rows.csv", tmp_path / "rows.parquet"]
    chunks = made_rows(BASE, text="text", group=None, rows=150, seed=1)
    write_rows(chunks, files)
    assert pd.read_csv(files[0], dtype=str).equals(pd.read_parquet(files[1]))
    assert len(pd.read_parquet(files[1])) == 150


@pytest.mark.slow
def test_the_whole_benchmark(tmp_path: Path, tiny_params: dict[str, Any]) -> None:
    (tmp_path / "params.yaml").write_text(canonical_json(tiny_params), "utf-8")
    options = ["--rows", "300", "--params", str(tmp_path / "params.yaml"), "--without-engine"]
    options += ["--output", str(tmp_path / "input.json"), "--repeats", "2"]
    result = CliRunner().invoke(input_command, options, catch_exceptions=False)
    assert result.exit_code == 0
    content = json.loads((tmp_path / "input.json").read_text("utf-8"))
    found = [(entry["job"], entry["format"]) for entry in content["entries"]]
    assert found == [
        ("ingest", "parquet"),
        ("ingest", "csv"),
        ("tokenize", ""),
        ("tokenizers alone", ""),
    ]
    for entry in content["entries"]:
        assert entry["rows"] == 300 and entry["measured"]["rows"] <= 300
        assert entry["measured"]["seconds"] > 0
        assert entry["measured"]["peak_bytes"] > 20e6  # Python alone takes more
        assert f"│ {entry['job']} " in result.output
    tokenized = [e["measured"]["rows"] for e in content["entries"] if not e["format"]]
    assert all(one == other for one, other in pairwise(tokenized))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_engine_alone_reads_every_row(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("duckdb")
    file = tmp_path / f"rows.{suffix}"
    write_rows(made_rows(BASE, text="text", group="film", rows=150, seed=1), [file])
    assert measure("engine", {"file": str(file)}).rows == 150


def test_a_job_that_fails(tmp_path: Path) -> None:
    with raises("benchmark-failed", "'tokenizers'", "exit code 2", "tokenizer-invalid"):
        missing = {"corpus": str(tmp_path), "encoder": str(tmp_path)}
        measure("tokenizers", {**missing, "max_length_tokens": 8, "batch_size_rows": 8})
