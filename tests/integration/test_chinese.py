"""Chinese reviews through every step that makes and measures a student."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tokenizers import Tokenizer

from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json, write_json
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step, steps_behind
from tests.tiny import LETTERS, corpus_rows

# A character per letter and no blanks: what is a telling word in English is a telling run here.
CHINESE = {ord(letter): chr(0x4E00 + number) for number, letter in enumerate(LETTERS)}
LABELS = {"positive": "好评", "negative": "差评"}


@pytest.mark.slow
def test_chinese_from_the_file_to_the_report(
    tmp_path: Path,
    tiny_params: dict[str, Any],
    tiny_encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    rows = pd.DataFrame(corpus_rows(400))
    rows["text"] = [text.translate(CHINESE | {ord(" "): ""}) for text in rows["text"]]
    rows["label"] = rows["label"].map(LABELS)
    rows.to_csv(tmp_path / "reviews.csv", index=False)
    write_chinese_encoder(tmp_path / "encoder", tiny_encoder)
    params = json.loads(json.dumps(tiny_params))
    params["ingest"] |= {
        "source": str(tmp_path / "reviews.csv"),
        "local_corpus": str(tmp_path / "reviews.csv"),
        "encoder": str(tmp_path / "encoder"),
        "local_encoder": str(tmp_path / "encoder"),
    }
    params["tokenize"]["max_length_tokens"] = 64
    root = tmp_path / "root"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        for name in (*steps_behind("evaluate"), "evaluate"):
            step = load_step(name)
            ports = {port: root / port for port in (*step.input_ports, *step.output_ports)}
            run_step(name, section_of(params, name, step.params), ports)
    tfidf = read_json(root / "evaluation" / "quality.json")["controls"]["tfidf"]
    assert tfidf["accuracy"] > 0.9  # words 1 to 2 know no test text: 0.5
    assert tfidf["unspaced_share"] == 1.0
    report = (root / "report" / "report.md").read_text("utf-8")
    assert "好评 | " in report and "差评 | " in report


def write_chinese_encoder(folder: Path, tiny_encoder: Path) -> None:
    """The tiny encoder, whose pieces are the characters in place of the letters."""
    shutil.copytree(tiny_encoder, folder)
    content = read_json(folder / "tokenizer.json")
    vocabulary: dict[str, int] = content["model"]["vocab"]
    content["model"]["vocab"] = {
        CHINESE.get(ord(piece), piece) if len(piece) == 1 else piece: index
        for piece, index in vocabulary.items()
    }
    write_json(folder / "tokenizer.json", content)
    known = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("一丁").tokens
    assert known == ["[CLS]", "一", "丁", "[SEP]"]
