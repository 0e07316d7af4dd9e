"""Memory does not grow with the corpus: from real rows to examples, at one size of shards.

tracemalloc sees every array of NumPy and every object of Python, which is where rows would pile up.
"""

import gc
import io
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from components.distill import shards as shards_module
from components.distill import soft_targets as soft_targets_module
from components.distill.augment import Augmentation
from components.distill.soft_targets import soft_targets
from components.distill.student_ids import StudentIds
from components.distill.transfer_set import transfer_set
from decant.data.tokens import TokenRows, TokensInfo, write_info
from decant.models.encoder import build_encoder
from decant.models.teacher import MEMBERS, Teacher, TeacherConfig, save_teacher
from decant.runtime.reporter import Reporter
from decant.training.examples import Examples

SHARD, ROWS, TOKENS = 128, 128, 250  # rows of a shard, real rows of the small corpus, their length
GROWTH = 16
AUGMENTATION = Augmentation(
    mask_probability=0.1,
    replace_probability=0.3,
    replace_with="neighbours",
    neighbours=3,
    splice_probability=0.2,
    span_probability=0.0,
)


@pytest.fixture
def artifacts(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """teacher/ with a member of another tokenizer, and student.json, the same."""
    monkeypatch.setattr(soft_targets_module, "TOKENS_PER_BATCH", 16 * TOKENS)
    config = json.loads((tiny_encoder / "config.json").read_text("utf-8"))
    config |= {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16}
    config |= {"num_attention_heads": 1, "max_position_embeddings": TOKENS}
    tokenizer = json.loads((tiny_encoder / "tokenizer.json").read_text("utf-8"))
    for folder in (tmp_path / "teacher", tmp_path / "teacher" / MEMBERS / "2"):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
        head = {"pooling": "mean", "dropout": 0.0}
        described = TeacherConfig(
            head="linear",
            head_options=head,
            labels=("a", "b"),
            pad_id=0,
            max_length_tokens=TOKENS,
        )
        save_teacher(Teacher(build_encoder(folder), described), folder)
        vocabulary = tokenizer["model"]["vocab"]  # of the member: two words swapped
        vocabulary["film"], vocabulary["good"] = vocabulary["good"], vocabulary["film"]
    shutil.copyfile(folder / "tokenizer.json", tmp_path / "student.json")
    return tmp_path


def write_tokens(folder: Path, tokenizer: Path, rows: int) -> None:
    folder.mkdir()
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    random = np.random.default_rng(rows)
    for split, count, label in (("train", rows // 8, 1), ("unlabelled", rows - rows // 8, -1)):
        ids = random.integers(5, 30, size=(count, TOKENS), dtype=np.int32)
        ids[:, 0], ids[:, -1] = 2, 3
        TokenRows.of(ids, [label] * count).write(folder / f"{split}.arrow")
    info = TokensInfo(
        max_length_tokens=TOKENS,
        vocabulary_size=len(json.loads(tokenizer.read_text("utf-8"))["model"]["vocab"]),
        pad_id=0,
        unk_id=1,
        cls_id=2,
        sep_id=3,
        mask_id=4,
    )
    write_info(folder, info)


def peak_bytes(root: Path, name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The largest sum at a time, while as many augmented rows are made and all are asked for."""
    monkeypatch.setenv("DECANT_CACHE", str(root / f"cache of {name}"))
    tokens, teacher, device = root / f"tokens of {name}", root / "teacher", torch.device("cpu")
    write_tokens(tokens, teacher / "tokenizer.json", rows)
    reporter = Reporter(step="distill", console=Console(file=io.StringIO()))
    gc.collect()
    tracemalloc.start()
    shards = transfer_set(
        tokens,
        teacher,
        teacher,
        rows=2 * rows,
        plan=AUGMENTATION,
        seed=0,
        device=device,
        reporter=reporter,
    )
    targets = soft_targets(
        teacher, shards, features=True, device=device, bfloat16=False, reporter=reporter
    )
    own = StudentIds(tokens / "tokenizer.json", root / "student.json", reporter).of(shards)
    examples = Examples(own, targets.logits, targets.features)
    read = sum(len(examples[row]["input_ids"]) for row in range(len(examples)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(examples) == 2 * rows
    assert read == examples.rows.lengths.sum() > 1.8 * rows * TOKENS
    assert reporter.measures["labelled_shards_computed"] == 3 * len(shards)
    return peak


@pytest.mark.slow
def test_the_peak_does_not_grow_with_the_corpus(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards_module, "SHARD_ROWS", SHARD)
    peak_bytes(artifacts, "warm-up", ROWS, monkeypatch)  # what modules keep is there from now on
    small = peak_bytes(artifacts, "small", ROWS, monkeypatch)
    large = peak_bytes(artifacts, "large", GROWTH * ROWS, monkeypatch)
    more_ids = 2 * (GROWTH - 1) * ROWS * TOKENS * 4  # bytes, of real and augmented rows
    assert large - small < more_ids / 4
    # The measure sees what it should: in one shard the same rows take more than their ids.
    monkeypatch.setattr(shards_module, "SHARD_ROWS", GROWTH * ROWS)
    assert peak_bytes(artifacts, "one shard", GROWTH * ROWS, monkeypatch) - small > more_ids / 2
