"""The amount of rows to distil on: real ones first, then copies block by block, made once."""

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from rich.console import Console

from components.distill import shards as shards_module
from components.distill import transfer_set as transfer_set_module
from components.distill.augment import Augmentation, augmented_copy
from components.distill.transfer_set import transfer_set
from decant.data.tokens import TokenRows, TokensInfo, write_info
from decant.models.encoder import load_encoder, load_tokenizer
from decant.models.teacher import Teacher, TeacherConfig, save_teacher
from decant.runtime.log_lines import logged_by
from decant.runtime.reporter import Reporter
from tests.damages import DAMAGES, Damage
from tests.errors import raises

TRAIN = ["a good film", "the plot is dull", "a sad story"]
UNLABELLED = ["the actor is great and funny", "it is a boring scene"]
REAL = len(TRAIN) + len(UNLABELLED)
By = Literal["neighbours", "masked_lm"]


@pytest.fixture
def artifacts(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tokens/, teacher/ and encoder/; the encoder has a masked-LM head."""
    from transformers import BertConfig, BertForMaskedLM

    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    tokenizer = load_tokenizer(tiny_encoder)
    tokens, teacher, encoder = (tmp_path / name for name in ("tokens", "teacher", "encoder"))
    for folder in (tokens, teacher, encoder):
        folder.mkdir()
        shutil.copyfile(tiny_encoder / "tokenizer.json", folder / "tokenizer.json")
    for name, texts, label in (("train", TRAIN, 1), ("unlabelled", UNLABELLED, -1)):
        rows = [np.array(tokenizer.encode(text).ids, dtype=np.int32) for text in texts]
        TokenRows.of(rows, [label] * len(rows)).write(tokens / f"{name}.arrow")
    info = TokensInfo(
        max_length_tokens=16,
        vocabulary_size=tokenizer.get_vocab_size(),
        pad_id=0,
        unk_id=1,
        cls_id=2,
        sep_id=3,
        mask_id=4,
    )
    write_info(tokens, info)
    config = TeacherConfig(
        head="linear",
        head_options={"pooling": "mean", "dropout": 0.0},
        labels=("a", "b"),
        pad_id=0,
        max_length_tokens=16,
    )
    shutil.copyfile(tiny_encoder / "config.json", teacher / "config.json")
    save_teacher(Teacher(load_encoder(tiny_encoder), config), teacher)
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig.from_pretrained(tiny_encoder)).save_pretrained(encoder)
    return tmp_path


def shards_of(
    root: Path, rows: int, seed: int = 0, by: By = "neighbours", plan: Augmentation | None = None
) -> tuple[list[TokenRows], dict[str, float]]:
    reporter = Reporter(step="distill", console=Console(file=io.StringIO()))
    plan = plan or Augmentation(
        mask_probability=0.2,
        replace_probability=0.4,
        replace_with=by,
        neighbours=3,
        splice_probability=0.3,
        span_probability=0.3,
    )
    shards = transfer_set(
        root / "tokens",
        root / "encoder",
        root / "teacher",
        rows=rows,
        plan=plan,
        seed=seed,
        device=torch.device("cpu"),
        reporter=reporter,
    )
    return shards, reporter.metrics


def ids(rows: TokenRows) -> list[list[int]]:
    return [row.tolist() for row in rows]


def cached(root: Path) -> dict[str, int]:
    return {
        file.name: file.stat().st_mtime_ns for file in (root / "cache" / "rows").glob("*.arrow")
    }


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [(0, [5]), (3, [5]), (5, [5]), (6, [5, 1]), (10, [5, 5]), (17, [5, 5, 5, 2])],
)
def test_the_amount_counts_real_rows_first(artifacts: Path, rows: int, sizes: list[int]) -> None:
    shards, metrics = shards_of(artifacts, rows)
    assert [len(shard) for shard in shards] == sizes
    assert shards[0].labels.tolist() == [1, 1, 1, -1, -1]
    assert all(set(shard.labels.tolist()) == {-1} for shard in shards[1:])
    assert metrics == {
        "labelled_rows": 3,
        "unlabelled_rows": 2,
        "augmented_rows": sum(sizes) - REAL,
    }


@pytest.mark.parametrize("by", ["neighbours", "masked_lm"])
def test_a_larger_amount_begins_with_the_shards_of_the_smaller(artifacts: Path, by: By) -> None:
    few, _ = shards_of(artifacts, 13, by=by)
    before = cached(artifacts)
    assert len(before) == 2
    many, _ = shards_of(artifacts, 20, by=by)
    assert cached(artifacts).items() > before.items()  # nothing is written a second time
    assert [ids(shard) for shard in few[:2]] == [ids(shard) for shard in many[:2]]
    assert ids(few[2]) == ids(many[2])[:3]  # cut to the amount
    assert ids(many[1]) != ids(many[2])


def test_another_seed_or_plan_is_another_file(artifacts: Path) -> None:
    one, _ = shards_of(artifacts, 10)
    other, _ = shards_of(artifacts, 10, seed=1)
    assert ids(one[1]) != ids(other[1])
    shards_of(artifacts, 10, by="masked_lm")
    assert len(cached(artifacts)) == 3


@pytest.mark.parametrize("by", ["neighbours", "masked_lm"])
def test_copies_hold_no_piece_that_the_real_rows_lack(artifacts: Path, by: By) -> None:
    shards, _ = shards_of(artifacts, 200, by=by)
    known = {piece for row in ids(shards[0]) for piece in row} | {4}  # [MASK]
    assert {piece for shard in shards[1:] for row in ids(shard) for piece in row} <= known
    assert max(max(shard.lengths) for shard in shards) <= 16


@pytest.fixture
def blocks_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five real rows in shards of 2, 2, 1; a copy in blocks of rows 0 and 3, 1 and 4, 2."""
    monkeypatch.setattr(shards_module, "SHARD_ROWS", 2)


UNCHANGED = Augmentation(
    mask_probability=0,
    replace_probability=0,
    replace_with="neighbours",
    neighbours=3,
    splice_probability=0,
    span_probability=0,
)


@pytest.mark.usefixtures("blocks_of_two")
@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        (0, [2, 2, 1]),
        (5, [2, 2, 1]),
        (6, [2, 2, 1, 1]),
        (8, [2, 2, 1, 2, 1]),
        (9, [2, 2, 1, 2, 2]),
        (10, [2, 2, 1, 2, 2, 1]),
        (16, [2, 2, 1, 2, 2, 1, 2, 2, 1, 1]),
    ],
)
def test_blocks_hold_every_real_row_once_a_copy_until_the_amount(
    artifacts: Path, rows: int, sizes: list[int]
) -> None:
    shards, metrics = shards_of(artifacts, rows, plan=UNCHANGED)
    assert [len(shard) for shard in shards] == sizes
    assert metrics["augmented_rows"] == max(rows - REAL, 0)
    whole = TokenRows.joined(shards)
    tokenizer = load_tokenizer(artifacts / "encoder")
    real = [tokenizer.encode(text).ids for text in TRAIN + UNLABELLED]
    copies = [real[row] for row in (0, 3, 1, 4, 2)] * 3
    assert ids(whole) == real + copies[: max(rows - REAL, 0)]
    assert whole.labels.tolist() == [1, 1, 1, -1, -1] + [-1] * (len(whole) - REAL)


@pytest.mark.usefixtures("blocks_of_two")
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_are_reported_and_made_again(artifacts: Path, damage: Damage) -> None:
    shards, _ = shards_of(artifacts, 12)
    expected = ids(TokenRows.joined(shards))
    files = sorted((artifacts / "cache" / "rows").glob("*.arrow"))
    for file in files[1:]:
        damage(file)
    before, lines = cached(artifacts), list[str]()
    with logged_by(lines.append):
        shards, _ = shards_of(artifacts, 12)
    assert ids(TokenRows.joined(shards)) == expected
    kept = [name for name, time in cached(artifacts).items() if before.get(name) == time]
    assert kept == [files[0].name]
    if damage is not Path.unlink:
        assert sorted(line.split()[0] for line in lines) == [str(file) for file in files[1:]]


@pytest.mark.usefixtures("blocks_of_two")
@pytest.mark.parametrize("by", ["neighbours", "masked_lm"])
def test_a_block_made_alone_is_the_same(
    artifacts: Path, by: By, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_of_them, _ = shards_of(artifacts, 20, by=by)
    monkeypatch.setenv("DECANT_CACHE", str(artifacts / "other cache"))

    def only_the_third(files: Sequence[Path], compute: Callable[[list[int]], None]) -> int:
        assert len(files) == 9
        compute([3])
        return 1

    monkeypatch.setattr(transfer_set_module, "fill", only_the_third)
    with raises("artifact-damaged", "No such file"):  # as the other blocks are not there
        shards_of(artifacts, 20, by=by)
    (alone,) = (artifacts / "other cache" / "rows").glob("*.arrow")
    assert alone.read_bytes() == (artifacts / "cache" / "rows" / alone.name).read_bytes()
    assert ids(TokenRows.map(alone)) == ids(all_of_them[3 + 3])  # behind three real shards


@pytest.mark.usefixtures("blocks_of_two")
def test_each_block_of_each_copy_draws_by_its_own_seed(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[list[int]] = []

    def noted(*arguments: Any, seed: list[int]) -> TokenRows:
        seeds.append(seed)
        return augmented_copy(*arguments, seed=seed)

    monkeypatch.setattr(transfer_set_module, "augmented_copy", noted)
    shards_of(artifacts, 14, seed=7)
    assert seeds == [[7, 0, 0], [7, 0, 1], [7, 0, 2], [7, 1, 0], [7, 1, 1]]
