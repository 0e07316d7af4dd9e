"""Encoders of several families through ingest, tokenize and transfer_weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer

from components.distill.student_ids import StudentIds
from decant.data.corpus import read_split
from decant.data.tokens import TokenRows
from decant.models.encoder import load_encoder, special_ids
from decant.runner.run_step import run_step
from decant.runtime.params_file import section_of
from decant.runtime.reporter import Reporter
from decant.runtime.steps import load_step
from decant.students._student import load_student
from tests.changed_artifacts import seal
from tests.encoder_kinds import KINDS, TEXTS, write_encoder, xlm_r_tokenizer

PIECES = 60


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def through(names: tuple[str, ...], params: dict[str, Any], root: Path) -> None:
    for name in names:
        step = load_step(name)
        ports = {port: root / port for port in (*step.input_ports, *step.output_ports)}
        if name == "transfer_weights":  # reads the pretrained encoder, but wants an artifact
            shutil.copytree(root / "encoder", root / "teacher")
        run_step(name, section_of(params, name, step.params), ports)


@pytest.fixture(scope="module")
def write_xlm_r() -> Callable[[Path], None]:
    """Writes an encoder with XLM-R's own tokenizer, which is fetched into the user's cache."""
    tokenizer = xlm_r_tokenizer()

    def write(folder: Path) -> None:
        write_encoder("xlm-roberta", folder, vocab_size=250_002)
        shutil.copyfile(tokenizer, folder / "tokenizer.json")

    return write


@pytest.mark.slow
def test_xlm_r_itself(
    write_xlm_r: Callable[[Path], None], root: Path, tiny_params: dict[str, Any]
) -> None:
    write_xlm_r(root / "mine")
    check_student(root, tiny_params)


@pytest.mark.parametrize("kind", KINDS)
def test_the_student_has_a_tokenizer_of_its_own_and_the_rows_of_its_pieces(
    kind: str, root: Path, tiny_params: dict[str, Any]
) -> None:
    write_encoder(kind, root / "mine")
    check_student(root, tiny_params)


def test_a_vocabulary_that_stays_whole_is_told(
    root: Path, tiny_params: dict[str, Any], tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = json.loads(json.dumps(tiny_params))
    params["transfer_weights"] |= {"encoder": "pretrained", "vocabulary_size": 20}
    through(("ingest", "tokenize"), params, root)
    file = root / "tokens" / "tokenizer.json"
    content = json.loads(file.read_text("utf-8"))
    content["model"] = {
        "type": "WordLevel",
        "vocab": content["model"]["vocab"],
        "unk_token": "[UNK]",
    }
    file.write_text(json.dumps(content), "utf-8")
    seal(root / "tokens")
    capsys.readouterr()
    through(("transfer_weights",), params, root)
    assert "no piece can be dropped from a WordLevel tokenizer" in capsys.readouterr().out
    student = load_student(root / "initial_student")
    assert student.row_of_id is not None
    assert 20 <= len(student.embedding.weight) < len(content["model"]["vocab"])


def check_student(root: Path, tiny_params: dict[str, Any]) -> None:
    texts = [f"{text} {number}" for number in range(60) for text in TEXTS]
    frame = pd.DataFrame({"text": texts, "label": [str(row % 2) for row in range(len(texts))]})
    frame.to_csv(root / "texts.csv", index=False)
    params = json.loads(json.dumps(tiny_params))
    files = {"source": str(root / "texts.csv"), "local_corpus": str(root / "texts.csv")}
    folders = {"encoder": str(root / "mine"), "local_encoder": str(root / "mine")}
    params["ingest"] |= {**files, **folders, "group_by": None}
    params["transfer_weights"] |= {
        "encoder": "pretrained",
        "embeddings": "input",
        "projection": "truncate",
        "embedding_std": None,
        "width": 12,
        "vocabulary_size": PIECES,
    }
    through(("ingest", "tokenize", "transfer_weights"), params, root)

    source, target = (root / name / "tokenizer.json" for name in ("tokens", "initial_student"))
    full, small = (Tokenizer.from_file(str(file)) for file in (source, target))
    student, encoder = load_student(root / "initial_student"), load_encoder(root / "encoder")
    pieces = [small.id_to_token(index) for index in range(small.get_vocab_size())]
    assert PIECES < len(pieces) < full.get_vocab_size()
    assert student.row_of_id is None and len(student.embedding.weight) == len(pieces)
    rows = [full.token_to_id(piece) for piece in pieces]
    table = encoder.get_input_embeddings().weight.detach()[rows, :12]
    torch.testing.assert_close(student.embedding.weight.detach(), table)
    pad = special_ids(root / "encoder").pad_id
    assert pieces[student.config.pad_id] == full.id_to_token(pad)

    tokens = TokenRows.open(root / "tokens", "unlabelled")
    own = StudentIds(source, target, Reporter(step="test")).of([tokens])
    texts = read_split(root / "corpus", "unlabelled")["text"]
    assert len(texts) > 50
    for text, was, row in zip(texts, tokens, own, strict=True):
        if len(was) < 16:  # a row that was cut does not say how its last word went on
            assert row.tolist() == small.encode(text).ids
    with torch.inference_mode():
        assert student(torch.from_numpy(own[0][None].astype(np.int64))).isfinite().all()
