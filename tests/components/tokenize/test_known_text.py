"""What is said of the encoder's knowledge of the texts, on a tiny tokenizer."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.tokenize.known_text import sample_texts, warnings_on
from tests.errors import raises
from tests.tiny import tiny_tokenizer

UNK = 1  # of tiny_tokenizer
ENGLISH = "the good film was lovely and the story clever"
LETTERS_ALONE = "gut zwei xyz und qualm wo ox by vox jumpy"


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
    known, half = [ENGLISH] * 19, [ENGLISH, f"{ENGLISH} 中文中文"]
    _write(tmp_path, train=known, validation=half, unlabelled=half)
    (sentence,) = _warnings(tmp_path)
    assert "in 50% of the validation texts, 50% of the unlabelled texts more than 5%" in sentence
    assert "such as '中', '文'; set ingest.encoder" in sentence
    assert "train" not in sentence and "hf://FacebookAI/xlm-roberta-base" in sentence
    _write(tmp_path, train=known, validation=known, unlabelled=[])
    assert _warnings(tmp_path) == []


def test_a_mixture_of_languages_is_judged_text_by_text(tmp_path: Path) -> None:
    """On average there would be too few pieces to warn."""
    texts = [LETTERS_ALONE] * 6 + [ENGLISH] * 94
    _write(tmp_path, train=texts, validation=texts[2:], unlabelled=[])
    (sentence,) = _warnings(tmp_path)
    assert "spells 6% of the train texts letter by letter" in sentence
    assert "validation" not in sentence, "4 of 98 are not many"


def test_symbols_are_warned_of_without_advice_on_the_language(tmp_path: Path) -> None:
    texts = [f"{ENGLISH}☃", ENGLISH, ENGLISH]  # the word before it is unknown with it
    _write(tmp_path, train=texts, validation=[ENGLISH], unlabelled=["🎉"])
    (sentence,) = _warnings(tmp_path)
    assert "symbols in 33% of the train texts, 100% of the unlabelled texts, such as" in sentence
    assert "ingest.encoder" not in sentence


def test_training_texts_of_which_nothing_is_known(tmp_path: Path) -> None:
    _write(tmp_path, train=["很好", "不好 10/10"] * 50, validation=["good"], unlabelled=["good"])
    with raises("language-unknown", "train", "100%", "'好'", "很"):
        _warnings(tmp_path)


def test_only_training_texts_with_enough_letters_end_the_run(tmp_path: Path) -> None:
    _write(tmp_path, train=["很好", "不好"], validation=["很好"] * 100, unlabelled=["很好"])
    (sentence,) = _warnings(tmp_path)
    assert "100% of the train texts, 100% of the validation texts" in sentence
    _write(tmp_path, train=["☃☃ ✓"] * 100, validation=["good"], unlabelled=["good"])
    (sentence,) = _warnings(tmp_path)
    assert "such as '☃', '✓'" in sentence


def test_a_sentence_without_blanks_that_is_too_long_for_a_word(tmp_path: Path) -> None:
    _write(tmp_path, train=["ภาษาไทย" * 20], validation=["good"], unlabelled=["good"])
    with raises("language-unknown", "a word of more than 100 characters is unknown whole"):
        _warnings(tmp_path)


def _write(corpus: Path, **splits: list[str]) -> None:
    for split, texts in splits.items():
        frame = pd.DataFrame({"text": pd.Series(texts, dtype="str")})
        frame.to_parquet(corpus / f"{split}.parquet", index=False)


def _warnings(corpus: Path) -> list[str]:
    return warnings_on(corpus, ("train", "validation", "unlabelled"), tiny_tokenizer(), UNK)
