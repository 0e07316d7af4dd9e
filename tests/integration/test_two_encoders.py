"""Two encoders of different vocabularies: two teachers, whose answers are averaged."""

import io
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from components.distill.soft_targets import soft_targets
from decant.data.corpus import read_split
from decant.data.tokens import TokenRows
from decant.models.teacher import load_teacher, member_folders
from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_card, write_json
from decant.runtime.params_file import section_of
from decant.runtime.reporter import Reporter
from decant.runtime.steps import load_step
from tests.encoder_kinds import write_encoder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tiny", "other pieces"),
        ("tiny", "roberta"),
        ("tiny", "xlm-roberta"),
        ("modernbert", "tiny"),
        ("albert", "deberta-v2"),
    ],
)
def test_a_teacher_of_another_vocabulary_labels_in_its_own_tokens(
    first: str,
    second: str,
    tmp_path: Path,
    tiny_params: dict[str, Any],
    tiny_encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    encoders, root = tmp_path / "encoders", tmp_path / "root"
    for kind, folder in ((first, encoders / "one"), (second, encoders / "two")):
        if kind == "tiny":
            shutil.copytree(tiny_encoder, folder)
        elif kind == "other pieces":
            write_other_encoder(folder, tiny_encoder)
        else:
            write_encoder(kind, folder)
    params = json.loads(json.dumps(tiny_params))
    params["ingest"] |= {
        "encoder": str(encoders / "one"),
        "more_encoders": [str(encoders / "two")],
        "local_encoder": str(encoders),
    }
    params["tokenize"]["max_length_tokens"] = 60  # no row is cut, so each spells its whole text
    params["finetune"]["training"]["epochs"] = 2
    params["distill"] |= {"transfer_rows": 0, "epoch_rows": 1, "allow_weak_teacher": True}
    for name in ("ingest", "tokenize", "finetune", "transfer_weights", "distill"):
        step = load_step(name)
        ports = {port: root / port for port in (*step.input_ports, *step.output_ports)}
        run_step(name, section_of(params, name, step.params), ports)
    teachers = member_folders(root / "teacher")
    assert len(teachers) == 2
    for split in ("train", "validation"):
        texts = read_split(root / "corpus", split)["text"]
        rows = TokenRows.open(root / "tokens", split)
        each = [answers(folder, texts) for folder in teachers]
        assert np.abs(each[0] - each[1]).max() > 0.1
        targets = soft_targets(
            root / "teacher",
            [rows],
            features=False,
            device=torch.device("cpu"),
            bfloat16=False,
            reporter=Reporter(step="test", console=Console(file=io.StringIO())),
        )
        np.testing.assert_allclose(targets.logits[0], (each[0] + each[1]) / 2, atol=1e-4)
    right = [
        float((logits.argmax(1) == rows.labels).mean()) for logits in (*each, targets.logits[0])
    ]
    metrics = read_card(root / "teacher").metrics | read_card(root / "student").metrics
    for name, share in zip(
        (
            "validation_accuracy",
            "member_2_validation_accuracy",
            "soft_targets_validation_accuracy",
        ),
        right,
        strict=True,
    ):
        assert metrics[name] == pytest.approx(share)


def answers(teacher: Path, texts: Iterable[str]) -> Any:
    """Logits (texts, classes), one text at a time, by the teacher's own tokenizer."""
    tokenizer, model = Tokenizer.from_file(str(teacher / "tokenizer.json")), load_teacher(teacher)
    rows = [torch.tensor([tokenizer.encode(text).ids]) for text in texts]
    with torch.inference_mode():
        return torch.cat([model(row) for row in rows]).numpy()


def write_other_encoder(folder: Path, like: Path) -> None:
    """1 layer, 24 wide; the pieces in another order, some words only as their letters."""
    from transformers import BertConfig, BertModel

    content = json.loads((like / "tokenizer.json").read_text("utf-8"))
    lacking = {"film", "good", "dull", "##ing"}
    pieces = [piece for piece in reversed(content["model"]["vocab"]) if piece not in lacking]
    ids = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    specials = [f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")]
    tokenizer.add_special_tokens(specials)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, ids[name]) for name in ("[CLS]", "[SEP]")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{name[1:-1].lower()}_token": name for name in specials}
    write_json(folder / "special_tokens_map.json", names)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(ids),
        hidden_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        pad_token_id=ids["[PAD]"],
    )
    BertModel(config).save_pretrained(folder)
