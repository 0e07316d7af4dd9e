"""The dictionary of words is used only where it was found to be exact."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from components.export_onnx import wordpiece_check
from components.export_onnx.wordpiece_check import texts_read_alike
from decant.data.tokens import TokenRows
from decant.inference.classifier import OnnxClassifier
from decant.inference.wordpiece import WordPiece, read_wordpiece
from decant.runtime.reporter import Reporter
from tests.word_models import write_manifest


@pytest.fixture
def rows(tiny_exported: Path) -> TokenRows:
    tokenizer = Tokenizer.from_file(str(tiny_exported / "tokenizer.json"))
    texts = ["a good film", "dull, it was!"]
    return TokenRows.of([np.array(tokenizer.encode(text).ids) for text in texts], [0, 1])


def test_the_texts_are_counted(tiny_exported: Path, rows: TokenRows) -> None:
    read = texts_read_alike(tiny_exported, rows, Reporter(step="export_onnx"))
    assert read is not None
    assert read > 1000


def test_one_difference_is_enough(
    tiny_exported: Path,
    rows: TokenRows,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def other(file: Path) -> WordPiece:
        found = read_wordpiece(file)
        assert found is not None
        found._longest = 99
        return found

    monkeypatch.setattr(wordpiece_check, "read_wordpiece", other)
    assert texts_read_alike(tiny_exported, rows, Reporter(step="export_onnx")) is None
    assert "aaaa" in capsys.readouterr().out


def test_another_tokenizer_is_not_read(
    tmp_path: Path, tiny_exported: Path, rows: TokenRows
) -> None:
    content = json.loads((tiny_exported / "tokenizer.json").read_text("utf-8"))
    content["normalizer"] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    assert texts_read_alike(tmp_path, rows, Reporter(step="export_onnx")) is None


def exported(folder: Path, source: Path, entries: Mapping[str, Any]) -> OnnxClassifier:
    folder.mkdir()
    for name in ("model.onnx", "tokenizer.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    manifest = json.loads((source / "manifest.json").read_text("utf-8"))
    write_manifest(folder, manifest | dict(entries))
    return OnnxClassifier(folder)


def test_a_model_uses_it_where_its_manifest_says_so(tmp_path: Path, tiny_exported: Path) -> None:
    texts = ["a good film", "caf\u00e9", "", "It was [MASK], and dull!", "good " * 50]
    former = exported(tmp_path / "former", tiny_exported, {})
    checked = exported(tmp_path / "checked", tiny_exported, {"wordpiece_texts": 9})
    np.testing.assert_array_equal(checked.encode(texts), former.encode(texts))
    for text in texts:
        np.testing.assert_array_equal(checked.encode([text]), former.encode([text]))
    assert checked.predict(texts) == former.predict(texts)
    assert checked.encode([]).shape == (0, 0)

    class NoTokenizer:
        def encode_batch_fast(self, texts: list[str]) -> None:
            raise AssertionError(texts)

    checked.tokenizer = NoTokenizer()  # type: ignore[assignment]
    assert checked.encode(["a good film"]).shape == (1, 5)
    with pytest.raises(AssertionError, match="caf"):
        checked.encode(["a good film", "caf\u00e9"])
