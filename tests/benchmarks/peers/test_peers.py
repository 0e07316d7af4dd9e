"""The whole benchmark on a tiny run, with the entries that need no further package."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from benchmarks.peers.cold_start import cold_start
from benchmarks.peers.command import peers_command
from benchmarks.peers.entries import ENTRIES, Entry
from benchmarks.peers.peer import Run
from benchmarks.peers.results import accuracy
from benchmarks.peers.timed import in_turns, times_of
from components.evaluate.labelled_rows import read_labelled
from components.evaluate.tfidf import fit_tfidf
from decant.data.corpus import Schema, write_schema
from decant.inference.latency import Candidate
from decant.runtime.identity import canonical_json
from decant.tasks.task import Target, Task
from tests.errors import raises
from tests.tiny import corpus_rows

TASK = Task.of_classes(("negative", "positive"))
SPLITS = {"train": (0, 160), "validation": (160, 230), "test": (230, 300)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_exported: Path) -> Run:
    """One graph as teacher and student, which knows every telling word."""
    folder = tmp_path_factory.mktemp("run")
    rows = pd.DataFrame(corpus_rows(300)).assign(row_id=[str(i) for i in range(300)])
    (folder / "corpus").mkdir()
    for split, (start, end) in SPLITS.items():
        rows[start:end].to_parquet(folder / "corpus" / f"{split}.parquet", index=False)
    write_schema(folder / "corpus", Schema(task=TASK, text_column="text"))
    (folder / "onnx").mkdir()
    for role in ("teacher", "student"):
        (folder / "onnx" / role).symlink_to(tiny_exported)
    return Run(folder=folder, task=TASK, c_grid=[1.0, 100.0], seed=13, finetune={})


@pytest.mark.slow
def test_the_whole_benchmark(run: Run, tmp_path: Path, tiny_params: dict[str, Any]) -> None:
    (tmp_path / "params.yaml").write_text(canonical_json(tiny_params), "utf-8")
    options = ["--run", str(run.folder), "--params", str(tmp_path / "params.yaml")]
    options += ["--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    options += ["--texts", "20", "--batches", "2", "--starts", "1"]
    names = ("student", "student_float32", "tfidf")
    for name in names:
        options += ["--only", name]
    result = CliRunner().invoke(peers_command, options, catch_exceptions=False)
    assert result.exit_code == 0
    content = json.loads((tmp_path / "out" / "peers.json").read_text("utf-8"))
    entries = {entry["name"]: entry for entry in content["entries"]}
    assert [*entries] == ["student", "teacher", "tfidf"]
    assert list(content["skipped"]) == ["student_float32"]
    control = fit_tfidf(
        run.folder / "corpus", TASK, c_grid=[0.1, 1.0, 10.0, 100.0, 1000.0], seed=13
    )
    test = read_labelled(run.folder / "corpus", "test", TASK)
    best = control.values(test.texts)["label"].argmax(axis=1)
    assert entries["tfidf"]["accuracy"] == pytest.approx((best == test.labels).mean())
    assert entries["teacher"]["accuracy"] > 0.9
    for entry in entries.values():
        assert entry["cold_start"]["rss_bytes"] > 10e6 and entry["size_bytes"] > 1000
        for threads in ("1", "all"):
            of = entry["times"][threads]
            assert of["one"]["p50_us"] <= of["one"]["p95_us"] <= of["one"]["p99_us"]
            assert of["one"]["calls"] == 20 and of["batch"]["calls"] == 2
    assert entries["teacher"]["times"]["1"]["one"]["faster_than_teacher"] == [1.0, 1.0, 1.0]
    table = (tmp_path / "out" / "peers.md").read_text("utf-8")
    assert "| student |" in table and "not measured: student, float32: " in table
    for picture in ("accuracy_latency.png", "latency_percentiles.png"):
        assert (tmp_path / "out" / picture).stat().st_size > 10_000


def test_every_entry_is_there_or_names_its_package() -> None:
    for name, entry in ENTRIES.items():
        assert entry.missing or entry.load(), name
        assert not entry.alike or entry.alike in ENTRIES
    unknown = Entry(title="", kind="tfidf.Tfidf", packages=("no_such_package",))
    assert unknown.missing == ("no_such_package",)


def test_turns_measure_the_share_of_a_slow_entry_and_ratios_per_block() -> None:
    calls: list[tuple[int, str]] = []

    def candidate(name: str) -> Candidate[str]:
        def predict(texts: list[str]) -> None:
            calls.append((int(texts[0]) // 10, name))

        return Candidate(predict=predict, encode=None, run=None, texts=10)

    texts = [str(index) for index in range(40)]
    draw = np.random.default_rng(1)
    candidates = {name: candidate(name) for name in ("teacher", "other", "slow")}
    shares = {"teacher": 1.0, "other": 1.0, "slow": 0.2}
    us = in_turns(candidates, shares, texts, warmup=1, draw=draw)
    assert np.isfinite(us["teacher"]).all()
    assert np.isfinite(us["slow"]).reshape(4, 10).sum(axis=1).tolist() == [2] * 4
    timed = [call for call in calls[3:] if call[0] > 0]  # after the warm-up, which is of block 0
    order = list(dict.fromkeys(timed))
    assert len(order) == 9 and [block for block, _ in order] == [1] * 3 + [2] * 3 + [3] * 3
    assert len({tuple(name for _, name in order[start : start + 3]) for start in (0, 3, 6)}) > 1
    exact = {"teacher": np.array([40.0] * 20), "other": np.array([10.0] * 10 + [20.0] * 10)}
    found = times_of(exact, texts=2)["other"]
    assert found["p50_us"] == 7.5 and found["faster_than_teacher"][0] == 3.0


def test_rows_without_a_label_do_not_count() -> None:
    assert accuracy(["a", "b", "a"], ["a", None, "b"]) == 0.5


def test_a_plain_teacher_in_int8_answers(run: Run, tmp_path: Path) -> None:
    peer = ENTRIES["optimum_int8"].load()
    peer.prepare(run, tmp_path / "int8")
    answer = peer.open(tmp_path / "int8", threads=1)
    assert answer(["the film is great and funny", "an awful dull plot"]) == ["positive", "negative"]


@pytest.mark.parametrize(("name", "least"), [("tfidf_onnx", 0.9), ("tfidf_counts_onnx", 1.0)])
def test_the_converted_pipeline_answers_as_scikit_learn(
    run: Run, tmp_path: Path, name: str, least: float
) -> None:
    """That of logarithms nearly: skl2onnx writes another logarithm."""
    pytest.importorskip("skl2onnx")
    from benchmarks.peers.tfidf import TfidfOnnx

    peer = TfidfOnnx(sublinear=name == "tfidf_onnx")
    vectorizer, model = peer._fitted(run)
    texts = read_labelled(run.folder / "corpus", "test", TASK).texts
    texts += ["Été à la plage, un film Drôle", "GOOD good good, bad."]
    expected = model.predict(vectorizer.transform([text.lower() for text in texts]))
    peer.prepare(run, tmp_path / "onnx")
    found = peer.open(tmp_path / "onnx", threads=1)(texts)
    same = np.mean([TASK.outputs[one] == other for one, other in zip(expected, found, strict=True)])
    assert same >= least


def test_fasttext_learns_the_rows(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    peer = ENTRIES["fasttext"].load()
    peer.prepare(run, tmp_path / "fasttext")
    test = read_labelled(run.folder / "corpus", "test", TASK)
    found = peer.open(tmp_path / "fasttext", threads=1)(test.texts)
    right = [TASK.outputs[label] for label in test.labels]
    assert accuracy(found, right) > 0.8


def test_what_cannot_be_measured(run: Run, tmp_path: Path) -> None:
    def command(folder: Path) -> None:
        peers_command.callback(  # type: ignore[misc]
            folder, Path("params.yaml"), tmp_path / "o", tmp_path / "c", (), None, 1, 1
        )

    with raises("artifact-missing", str(tmp_path), "no corpus and no onnx"):
        command(tmp_path)
    number = Target(
        name="stars", kind="regression", column="stars", outputs=("stars",), metric="mae"
    )
    (tmp_path / "corpus").mkdir()
    (tmp_path / "onnx").mkdir()
    write_schema(tmp_path / "corpus", Schema(task=Task((number,)), text_column="text"))
    with raises("option-value", str(tmp_path), "one label per text"):
        command(tmp_path)
    with raises("benchmark-failed", "'student'", "exit code"):
        cold_start("student", tmp_path, "text", starts=1)
