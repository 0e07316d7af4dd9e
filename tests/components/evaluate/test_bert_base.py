"""The BERT-base graph: exported once, any batch and length."""

from pathlib import Path

import numpy as np
import pytest

from components.evaluate import bert_base
from components.evaluate.bert_base import BertBase, cached_graph
from decant.inference.classifier import OnnxClassifier
from tests.damages import DAMAGES


@pytest.mark.slow
def test_exported_once_and_runs_on_any_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_exported: Path
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path))
    graph = cached_graph()
    assert 400e6 < graph.stat().st_size < 500e6  # 109.5 million float32
    monkeypatch.setattr(bert_base, "_export", lambda file: pytest.fail("exported again"))
    assert cached_graph() == graph
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".lock", ".onnx", ".sha256"]
    model = BertBase(OnnxClassifier(tiny_exported, threads=1), threads=1)
    for texts in (["a good film"], ["a film", "the plot is dull and sad"], ["good " * 40]):
        logits = model.run(model.encode(texts))
        assert logits.shape == (len(texts), 2)
        assert np.isfinite(logits).all()
        assert len(model.predict(texts)) == len(texts)
    # Padding is masked: a padded text gets the answer that it gets alone.
    alone = model.run(model.encode(["a film"]))[0]
    padded = model.run(model.encode(["a film", "the plot is dull and sad"]))[0]
    assert alone == pytest.approx(padded, abs=1e-4)


def test_a_damaged_graph_is_exported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_exported: Path
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path))
    whole = (tiny_exported / "model.onnx").read_bytes()
    monkeypatch.setattr(bert_base, "_export", lambda file: file.write_bytes(whole))
    for damage in DAMAGES:
        damage(cached_graph())
        assert cached_graph().read_bytes() == whole
