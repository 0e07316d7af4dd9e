"""What is known of texts, on tokenizers and texts small enough to count by hand."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from components.tokenize.known_text import knowledge, sample_texts, warnings_on
from tests.conftest import tiny_tokenizer
from tests.errors import raises

UNK = 1  # of tiny_tokenizer


def test_share_of_letters_and_symbols() -> None:
    texts = ["good 中文, 中 10/10 !!!", "☃ fine"]  # letters and symbols: 4 + 3, 1 + 4
    found = knowledge(texts, tiny_tokenizer(), UNK)
    assert found.unknown_share == pytest.approx(4 / 12)
    assert found.examples == ("中", "文", "☃")
    assert not found.spelled


def test_an_unknown_phrase_without_blanks_counts_with_all_its_letters() -> None:
    found = knowledge(["ภาษาไทย 10/10 !!!"], tiny_tokenizer(), UNK)
    assert found.unknown_share == 1.0  # one of seven pieces: signs and digits do not count
    assert found.examples[0] == "ภาษาไทย"


def test_what_is_cut_off_does_not_count() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.enable_truncation(4)  # [CLS] good film [SEP]
    assert knowledge(["good film 中文"], tokenizer, UNK).unknown_share == 0.0


def test_texts_without_letters() -> None:
    found = knowledge(["10 10", "!"], tiny_tokenizer(), UNK)
    assert found.unknown_share == 0.0
    assert knowledge([], tiny_tokenizer(), UNK).unknown_share == 0.0


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("good film", False),
        ("gut zwei xyz", True),  # of letters alone: 10 pieces for 10 letters, and 8 are allowed
    ],
)
def test_words_that_fall_apart_into_letters(text: str, spelled: bool) -> None:
    assert knowledge([text], tiny_tokenizer(), UNK).spelled is spelled


def test_characters_that_fall_apart_into_bytes() -> None:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE({byte: n for n, byte in enumerate(sorted(alphabet))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert knowledge(["很好"], tokenizer, UNK).spelled  # 6 bytes
    characters = Tokenizer(models.WordPiece({"[UNK]": 0, "很": 1, "好": 2}, unk_token="[UNK]"))
    characters.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert not knowledge(["很好"], characters, 0).spelled  # a piece each, as a Chinese BERT has


def test_the_sample_is_spread_over_the_file(tmp_path: Path) -> None:
    texts = [str(number) for number in range(30_000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "one.parquet")
    pq.write_table(pa.table({"text": texts}), tmp_path / "many.parquet", row_group_size=500)
    assert sample_texts(tmp_path / "one.parquet") == texts[::60]
    many = [int(text) for text in sample_texts(tmp_path / "many.parquet")]
    assert len(many) == 500 and len({number // 500 for number in many}) == 10
    assert (many[0], many[-1]) == (0, 29_990)
    pq.write_table(pa.table({"text": texts[:3]}), tmp_path / "few.parquet")
    assert sample_texts(tmp_path / "few.parquet") == ["0", "1", "2"]
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "none.parquet")
    assert sample_texts(tmp_path / "none.parquet") == []


def test_warnings_name_splits_shares_and_examples(tmp_path: Path) -> None:
    known, half = ["good film"] * 19, ["good 中文中文"]  # 4 of 8 letters of one text
    _write(tmp_path, train=known, validation=half, unlabelled=half)
    (sentence,) = _warnings(tmp_path)
    assert "50% of validation, 50% of unlabelled, such as '中', '文';" in sentence
    assert "train" not in sentence and "hf://" in sentence
    _write(tmp_path, train=known, validation=known, unlabelled=["gut zwei xyz"])
    (sentence,) = _warnings(tmp_path)
    assert "spells the texts of unlabelled letter by letter" in sentence
    _write(tmp_path, train=known, validation=known, unlabelled=[])
    assert _warnings(tmp_path) == []


def test_a_split_of_which_nothing_is_known(tmp_path: Path) -> None:
    _write(tmp_path, train=["很好", "不好 10/10"], validation=["good"], unlabelled=["good"])
    with raises("language-unknown", "train", "100%", "'好'", "很"):
        _warnings(tmp_path)


def _write(corpus: Path, **splits: list[str]) -> None:
    for split, texts in splits.items():
        frame = pd.DataFrame({"text": pd.Series(texts, dtype="str")})
        frame.to_parquet(corpus / f"{split}.parquet", index=False)


def _warnings(corpus: Path) -> list[str]:
    return warnings_on(corpus, ("train", "validation", "unlabelled"), tiny_tokenizer(), UNK)
