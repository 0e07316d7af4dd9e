"""The tokenize step, against the encoder's tokenizer called one text at a time."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer

from decant.data.corpus import SPLITS, read_split
from decant.data.tokens import TokenRows, read_info
from decant.runner.run_step import run_step
from decant.runtime.identity import PROJECT, content_digest
from decant.runtime.params_file import read_params_file
from tests.changed_artifacts import seal
from tests.errors import raises

MAX_LENGTH = 8


@pytest.fixture(scope="module")
def ingested(
    tmp_path_factory: pytest.TempPathFactory, tiny_csv: Path, tiny_encoder: Path
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("ingested")
    section = read_params_file(PROJECT / "params.yaml")["ingest"] | {
        "source": str(tiny_csv),
        "local_corpus": str(tiny_csv),
        "label_column": "label",
        "group_by": None,
        "labels": None,
        "unlabelled_labels": [],
        "label_budget": 100,
        "encoder": str(tiny_encoder),
        "local_encoder": str(tiny_encoder),
    }
    ports = {"corpus": folder / "corpus", "encoder": folder / "encoder"}
    run_step("ingest", section, ports)
    return ports


def tokenize(
    ingested: dict[str, Path], target: Path, length: int = MAX_LENGTH, batch: int = 7
) -> dict[str, float]:
    section: dict[str, Any] = {"max_length_tokens": length, "batch_size_rows": batch}
    for port in ingested.values():
        seal(port)  # tests change rows and settings
    return run_step("tokenize", section, {**ingested, "tokens": target}).metrics


def test_ids_labels_and_counts(ingested: dict[str, Path], tmp_path: Path) -> None:
    metrics = tokenize(ingested, tmp_path / "tokens")
    reference = Tokenizer.from_file(str(ingested["encoder"] / "tokenizer.json"))
    info = read_info(tmp_path / "tokens")
    assert info.special_ids == (0, 1, 2, 3, 4)
    assert info.vocabulary_size == reference.get_vocab_size()
    counted: dict[str, Counter[int]] = {}
    for split in SPLITS:
        frame = read_split(ingested["corpus"], split)
        rows = TokenRows.open(tmp_path / "tokens", split)
        full = [reference.encode(text).ids for text in frame["text"]]
        cut = [[*ids[: MAX_LENGTH - 1], 3] if len(ids) > MAX_LENGTH else ids for ids in full]
        assert [row.tolist() for row in rows] == cut
        labels = ["negative", "positive"]
        expected = [labels.index(label) for label in frame["label"]] if "label" in frame else -1
        assert np.array_equal(rows.labels, np.broadcast_to(expected, len(frame)))
        truncated = np.mean([len(ids) > MAX_LENGTH for ids in full])
        assert 0 < truncated < 1
        assert metrics[f"{split}_truncated_share"] == pytest.approx(truncated)
        assert metrics[f"{split}_mean_tokens"] == pytest.approx(np.mean([len(ids) for ids in cut]))
        counted[split] = Counter(token for ids in cut for token in ids)
    vocabulary = pd.read_parquet(tmp_path / "tokens" / "vocabulary.parquet")
    assert vocabulary["token_id"].tolist() == list(range(info.vocabulary_size))
    assert vocabulary["piece"][2] == "[CLS]"
    for split in ("train", "unlabelled"):
        found = vocabulary[f"count_{split}"]
        assert {int(i): int(n) for i, n in found[found > 0].items()} == dict(counted[split])


def test_batch_size_changes_nothing_that_is_read(ingested: dict[str, Path], tmp_path: Path) -> None:
    tokenize(ingested, tmp_path / "small", batch=3)
    tokenize(ingested, tmp_path / "large", batch=100_000)
    for split in SPLITS:
        small, large = (TokenRows.open(tmp_path / name, split) for name in ("small", "large"))
        assert [row.tolist() for row in small] == [row.tolist() for row in large]
        assert np.array_equal(small.labels, large.labels)


def test_two_runs_give_the_same_content(ingested: dict[str, Path], tmp_path: Path) -> None:
    tokenize(ingested, tmp_path / "one")
    tokenize(ingested, tmp_path / "two")
    assert content_digest(tmp_path / "one") == content_digest(tmp_path / "two")


def test_saved_tokenizer_truncates_and_does_not_pad(
    ingested: dict[str, Path], tmp_path: Path
) -> None:
    tokenize(ingested, tmp_path / "tokens")
    saved = Tokenizer.from_file(str(tmp_path / "tokens" / "tokenizer.json"))
    assert saved.truncation["max_length"] == MAX_LENGTH and saved.padding is None
    assert len(saved.encode("good " * 50).ids) == MAX_LENGTH


def test_unknown_pieces_are_counted(ingested: dict[str, Path], tmp_path: Path) -> None:
    corpus = Path(shutil.copytree(ingested["corpus"], tmp_path / "corpus"))
    frame = read_split(corpus, "validation").head(1)
    frame["text"] = "good ☃ film ☃"  # two of four pieces are not in the vocabulary
    frame.to_parquet(corpus / "validation.parquet", index=False)
    metrics = tokenize({**ingested, "corpus": corpus}, tmp_path / "tokens", length=16)
    assert metrics["validation_unk_share"] == 0.5
    assert metrics["validation_mean_tokens"] == 6


def test_empty_unlabelled_split(ingested: dict[str, Path], tmp_path: Path) -> None:
    corpus = Path(shutil.copytree(ingested["corpus"], tmp_path / "corpus"))
    read_split(corpus, "unlabelled").head(0).to_parquet(corpus / "unlabelled.parquet", index=False)
    metrics = tokenize({**ingested, "corpus": corpus}, tmp_path / "tokens")
    assert len(TokenRows.open(tmp_path / "tokens", "unlabelled")) == 0
    assert metrics["unlabelled_mean_tokens"] == 0


def test_more_tokens_than_positions(ingested: dict[str, Path], tmp_path: Path) -> None:
    with raises("parameter-value", "tokenize.max_length_tokens", "65", "64"):
        tokenize(ingested, tmp_path / "tokens", length=65)
    assert not (tmp_path / "tokens").exists()


def test_tokenizer_of_another_encoder(ingested: dict[str, Path], tmp_path: Path) -> None:
    encoder = Path(shutil.copytree(ingested["encoder"], tmp_path / "encoder"))
    config = json.loads((encoder / "config.json").read_text()) | {"vocab_size": 10}
    (encoder / "config.json").write_text(json.dumps(config))
    with raises("tokenizer-mismatch", "config.json", "10"):
        tokenize({**ingested, "encoder": encoder}, tmp_path / "tokens")


def test_length_out_of_range(ingested: dict[str, Path], tmp_path: Path) -> None:
    with raises("parameter-value", "tokenize.max_length_tokens"):
        tokenize(ingested, tmp_path / "tokens", length=2)


def test_a_language_that_the_encoder_does_not_know(
    ingested: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = Path(shutil.copytree(ingested["corpus"], tmp_path / "corpus"))
    frame = read_split(corpus, "unlabelled")
    frame.assign(text="good 很好的电影").to_parquet(corpus / "unlabelled.parquet", index=False)
    tokenize({**ingested, "corpus": corpus}, tmp_path / "tokens", length=16)
    assert "in 100% of the unlabelled texts more than 5%" in capsys.readouterr().out
    frame = read_split(corpus, "train")
    frame.assign(text="很好的电影").to_parquet(corpus / "train.parquet", index=False)
    with raises("language-unknown", "train", "100%", "ingest.encoder"):
        tokenize({**ingested, "corpus": corpus}, tmp_path / "failed")
    assert not (tmp_path / "failed").exists()
