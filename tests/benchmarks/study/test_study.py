"""`decant study` end to end, with the real steps on the tiny corpus."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from benchmarks.study.command import study_command
from decant.inference.classifier import OnnxClassifier
from decant.runtime.artifacts import read_card
from decant.runtime.identity import canonical_json
from tests.errors import raises

STUDY = {
    "seeds": [1, 2],
    "latency_bounds": [0.9],
    "model2vec": {"dimensions": 16, "sif_coefficient": 0.0001},
    "data": {"tiny": {}},
    "variants": [
        {"name": "hard", "factor": "distillation", "set": {"distill.hard_label_weight": 1.0}},
    ],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_params: dict[str, Any]) -> Path:
    """A folder with params.yaml and study.yaml (JSON is YAML)."""
    root = tmp_path_factory.mktemp("study")
    params = json.loads(json.dumps(tiny_params))
    params["finetune"]["training"]["epochs"] = 2
    for role in ("student", "teacher"):  # smaller forms have tests of their own
        params["export_onnx"]["quantisation"][role]["forms"] = []
    (root / "params.yaml").write_text(canonical_json(params), "utf-8")
    (root / "study.yaml").write_text(json.dumps(STUDY), "utf-8")
    return root


def options(root: Path, *more: str) -> list[str]:
    files = ["--params", str(root / "params.yaml"), "--study", str(root / "study.yaml")]
    return [*files, "--output", str(root / "out"), *more]


def study(root: Path, *more: str) -> Result:
    return CliRunner().invoke(study_command, options(root, *more), catch_exceptions=False)


def made(root: Path) -> dict[str, int]:
    """When the card of every artifact was written, in nanoseconds."""
    return {
        str(card.relative_to(root)): card.stat().st_mtime_ns
        for card in (root / "out" / "store").glob("*/*/*/card.json")
    }


def wait_for(condition: Any, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def finished(
    files: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, int], str]:
    """The study, interrupted once and finished; what the interrupted call had made; dry run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        code = "from benchmarks.study.command import study_command; study_command()"
        first = subprocess.Popen(
            [sys.executable, "-c", code, *options(files, "--jobs", "2")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        wait_for(lambda: any(name.startswith("out/store/finetune") for name in made(files)))
        first.send_signal(signal.SIGINT)
        _, errors = first.communicate(timeout=600)
        assert first.returncode == 130
        assert b"the same command continues from here" in errors
        before = made(files)
        dry = study(files, "--dry-run").output
        assert study(files, "--jobs", "2").exit_code == 0
    return files, before, dry


@pytest.mark.slow
def test_an_interrupted_study_goes_on_and_does_nothing_twice(
    finished: tuple[Path, dict[str, int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, before, _ = finished
    after = made(root)
    assert before.items() <= after.items()
    assert len(before) < len(after)
    # 2 runs on each of 2 seeds share ingest, tokenize, and per seed teacher and initial_student.
    steps = [name.split("/")[2] for name in {str(Path(path).parent.parent) for path in after}]
    assert {step: steps.count(step) for step in set(steps)} == {
        "ingest": 1,
        "tokenize": 1,
        "finetune": 2,
        "transfer_weights": 2,
        "distill": 4,
        "export_onnx": 4,
    }
    logits = {p: p.stat().st_mtime_ns for p in (root / "out" / "logits").iterdir()}
    latency = (root / "out" / "latency" / "tiny.json").read_bytes()
    monkeypatch.setattr("subprocess.Popen", None)  # no process may be started any more
    assert study(root).exit_code == 0
    assert made(root) == after
    assert logits == {p: p.stat().st_mtime_ns for p in (root / "out" / "logits").iterdir()}
    assert latency == (root / "out" / "latency" / "tiny.json").read_bytes()


@pytest.mark.slow
def test_a_dry_run_shows_what_remains_and_starts_nothing(
    finished: tuple[Path, dict[str, int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _, before = finished
    assert "finetune" in before or "transfer_weights" in before
    monkeypatch.setattr("subprocess.Popen", None)
    output = study(root, "--dry-run").output
    assert "next" not in output
    assert output.count("done") >= 4


@pytest.mark.slow
def test_the_table_holds_every_model_with_what_an_own_count_gives(
    finished: tuple[Path, dict[str, int], str],
) -> None:
    root, _, _ = finished
    rows = pd.read_csv(root / "out" / "study.csv")
    models = rows.groupby(["variant", "model"], dropna=False).size()
    for variant in ("default", "hard"):
        for model in ("student", "undistilled", "teacher"):
            assert models[variant, model] == 2
    alone = rows[rows["variant"].isna()]
    assert sorted(alone["model"]) == ["majority", "model2vec", "tfidf"]
    assert alone["seed"].isna().all()

    picked = rows.query("variant == 'hard' and model == 'student' and seed == 2").iloc[0]
    corpus = next((root / "out" / "store" / "ingest").glob("*/corpus"))
    for split in ("validation", "test"):
        truth = pd.read_parquet(corpus / f"{split}.parquet")
        predictions = OnnxClassifier(picked["folder"]).predict(truth["text"].tolist())
        right = np.mean(
            [p.label == label for p, label in zip(predictions, truth["label"], strict=True)]
        )
        assert picked[f"{split}_accuracy"] == pytest.approx(right, abs=1e-5)
    teacher = rows.query("variant == 'default' and model == 'teacher' and seed == 2").iloc[0]
    assert picked["retention"] == pytest.approx(
        picked["test_accuracy"] / teacher["test_accuracy"], abs=1e-4
    )
    assert (rows.query("model in ('student', 'teacher')")["model_latency_us"] > 0).all()
    assert teacher["times_faster_than_teacher"] == 1
    correct = pd.read_parquet(root / "out" / "rows-tiny.parquet")
    assert correct["hard/student/2"].mean() == pytest.approx(picked["test_accuracy"], abs=1e-5)


@pytest.mark.slow
def test_the_same_teacher_lies_on_the_disk_once_and_every_card_fits_its_folder(
    finished: tuple[Path, dict[str, int], str],
) -> None:
    root, _, _ = finished
    store = root / "out" / "store"
    for card in store.glob("*/*/*/card.json"):
        assert read_card(card.parent).identity.startswith(card.parents[1].name)
    large = [f for f in store.rglob("*") if f.is_file() and f.stat().st_size >= 1 << 20]
    assert all(file.stat().st_nlink > 1 for file in large)


@pytest.mark.slow
def test_the_page_says_what_was_measured(finished: tuple[Path, dict[str, int], str]) -> None:
    root, _, _ = finished
    page = (root / "out" / "study.md").read_text("utf-8")
    assert "Not complete" not in page
    for name in ("hard", "undistilled", "TF-IDF", "Model2Vec", "commonest class", "teacher"):
        assert f"| {name}" in page or f"| **{name}**" in page
    assert (root / "out" / "accuracy_latency.png").stat().st_size > 10_000
    assert "fine-tuning the teacher, s" in page


@pytest.mark.slow
def test_a_part_of_a_study_is_reported_as_a_part(
    finished: tuple[Path, dict[str, int], str], tmp_path: Path
) -> None:
    root, _, _ = finished
    out = tmp_path / "out"
    (out / "store").mkdir(parents=True)
    for step in ("ingest", "tokenize", "finetune", "transfer_weights", "distill", "export_onnx"):
        (out / "store" / step).symlink_to(root / "out" / "store" / step)
    more = ["--output", str(out), "--seeds", "1,2,3", "--report-only"]
    assert study(root, *more).exit_code == 0
    page = (out / "study.md").read_text("utf-8")
    assert "**Not complete**: 2 of 6 runs are missing, the first: tiny, default, seed 3." in page
    assert "(2 of 3 seeds)" in page


def test_nothing_there_is_a_clear_error(files: Path, tmp_path: Path) -> None:
    with raises("study-unfinished"):
        study(files, "--report-only", "--output", str(tmp_path / "none"))


def test_two_studies_do_not_write_into_one_folder(files: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    with (
        FileLock(tmp_path / ".lock"),
        raises("folder-busy", str(tmp_path)),
    ):
        study(files, "--report-only", "--output", str(tmp_path))


@pytest.mark.parametrize(
    ("option", "code", "values"),
    [
        (["--data", "other"], "study-name-unknown", ["data set 'other'", "tiny"]),
        (["--variant", "other"], "study-name-unknown", ["variant 'other'", "default, hard"]),
        (["--seeds", "1,x"], "option-value", ["--seeds 1,x"]),
        (["--seeds", "1,1"], "option-value", ["--seeds 1,1"]),
        (["--max-share-of-teacher-latency", "2"], "option-value", ["latency 2"]),
        (["--max-share-of-teacher-latency", "1/0"], "option-value", ["latency 1/0"]),
    ],
)
def test_a_wrong_option_is_named(
    files: Path, option: list[str], code: str, values: list[str]
) -> None:
    with raises(code, *values):
        study(files, "--dry-run", *option)
