"""The student's ids, shard by shard: what its tokenizer makes of the text, made once."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from components.distill import shards
from components.distill.shards import cut
from components.distill.student_ids import StudentIds
from components.transfer_weights.student_vocabulary import pruned_tokenizer
from decant.data.pieces import read_tokenizer
from decant.data.retokenize import Retokenizer
from decant.data.tokens import TokenRows
from decant.runtime.reporter import Reporter

TEXTS = ["a good film", "the plots are dull", "a sad story", "boring", "an actor is acting", "it"]
REPORTER = Reporter(step="distill")
LABELS = [1, 0, 0, -1, -1, -1]


@pytest.fixture(autouse=True)
def small_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shards, "SHARD_ROWS", 4)


@pytest.fixture
def source(tiny_encoder: Path) -> Path:
    return tiny_encoder / "tokenizer.json"


@pytest.fixture
def target(tmp_path: Path, source: Path) -> Path:
    """Without the pieces `film`, `story` and `##s`."""
    vocabulary: dict[str, int] = json.loads(source.read_text("utf-8"))["model"]["vocab"]
    kept = [index for piece, index in vocabulary.items() if piece not in {"film", "story", "##s"}]
    content = pruned_tokenizer(read_tokenizer(source), np.array(sorted(kept)))
    assert content is not None
    file = tmp_path / "student.json"
    file.write_text(content, "utf-8")
    return file


def encoded(file: Path) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(file))
    return [tokenizer.encode(text).ids for text in TEXTS]


def rows(source: Path, labels: list[int]) -> TokenRows:
    return TokenRows.of((np.array(row, dtype=np.int32) for row in encoded(source)), labels)


def test_rows_of_all_shards_are_what_the_students_tokenizer_makes(
    source: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = StudentIds(source, target, REPORTER).of(cut(rows(source, LABELS)))
    assert [row.tolist() for row in own] == encoded(target) != encoded(source)
    assert own.labels.tolist() == LABELS
    assert len(list((tmp_path / "cache" / "rows").glob("*.arrow"))) == 2

    def refuse(*_: object) -> TokenRows:
        raise AssertionError("retokenised a second time")

    monkeypatch.setattr(Retokenizer, "rows", refuse)
    again = StudentIds(source, target, REPORTER).of(cut(rows(source, LABELS[::-1])))
    assert [row.tolist() for row in again] == encoded(target)
    assert again.labels.tolist() == LABELS[::-1]  # of these rows, not of those in the cache


def test_one_tokenizer_needs_no_files(source: Path, tmp_path: Path) -> None:
    made = cut(rows(source, LABELS))
    own = StudentIds(source, source, REPORTER).of(made)
    assert [row.tolist() for row in own] == encoded(source)
    assert own.labels.tolist() == LABELS
    assert np.shares_memory(own[5], made[1][1])
    assert not (tmp_path / "cache").exists()
