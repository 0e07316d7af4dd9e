"""Ids from a dictionary of words: those of `tokenizers`, text by text, or left to it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece as HfWordPiece

from decant.inference import wordpiece
from decant.inference.wordpiece import WordPiece, read_wordpiece
from tests.odd_texts import KINDS

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "##s", "##like", "un", "good"]
VOCABULARY += ["Film", "it", "'", ",", "!", "\u2019", "a", "##a", "1", "##2", "\u4e00", "##\u00e9"]


def tokenizer(*, lowercase: bool = True, max_length: int | None = 8) -> Tokenizer:
    made = Tokenizer(
        HfWordPiece({piece: index for index, piece in enumerate(VOCABULARY)}, unk_token="[UNK]")
    )
    made.add_special_tokens(VOCABULARY[:5])
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    if max_length:
        made.enable_truncation(max_length)
    return made


def read(made: Tokenizer, folder: Path) -> WordPiece:
    file = folder / "tokenizer.json"
    made.save(str(file))
    found = read_wordpiece(file)
    assert found is not None
    return found


def test_ids_by_hand(tmp_path: Path) -> None:
    words = read(tokenizer(), tmp_path)
    assert words.ids("Films, unlike it!") == [2, 5, 6, 13, 8, 7, 11, 3]  # cut before "!"
    assert words.ids("Good\u2019s") == [2, 9, 15, 1, 3]  # no piece "s" at the start of a word
    assert words.ids("filmx 12") == [2, 1, 18, 19, 3]
    assert words.ids(" \t\r\n ") == words.ids("") == [2, 3]
    assert words.ids("a" * 100) == [2, 16, *[17] * 5, 3]
    assert words.ids("a" * 101) == [2, 1, 3]
    assert words.ids("a [MASK] b") is words.ids("caf\u00e9") is words.ids("\u4e00") is None
    assert words.ids("a [mask] a") is not None  # the added token has capitals


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("max_length", [2, 7, None])
def test_every_text_has_the_ids_of_tokenizers(
    tmp_path: Path, lowercase: bool, max_length: int | None
) -> None:
    made = tokenizer(lowercase=lowercase, max_length=max_length)
    words = read(made, tmp_path)

    @given(st.text("filmsunkegood Film it',!\u2019a12\t\n-", max_size=40))
    def plain(text: str) -> None:
        assert words.ids(text) == made.encode(text).ids

    @given(st.one_of(*KINDS.values()))
    def odd(text: str) -> None:
        ids = words.ids(text)
        assert ids is None or ids == made.encode(text).ids

    plain()
    odd()


def without_strip(content: dict[str, Any]) -> None:
    content["normalizer"]["strip_accents"] = True


def from_the_left(content: dict[str, Any]) -> None:
    content["truncation"]["direction"] = "Left"


def other_words(content: dict[str, Any]) -> None:
    content["pre_tokenizer"] = {"type": "Whitespace"}


def normalised_token(content: dict[str, Any]) -> None:
    content["added_tokens"][0]["normalized"] = True


def no_normalizer(content: dict[str, Any]) -> None:
    content["normalizer"] = None


def other_processor(content: dict[str, Any]) -> None:
    content["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2]}


@pytest.mark.parametrize(
    "change",
    [
        without_strip,
        from_the_left,
        other_words,
        normalised_token,
        no_normalizer,
        other_processor,
    ],
)
def test_other_tokenizers_are_not_read(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    content = json.loads(tokenizer().to_str())
    change(content)
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(content), "utf-8")
    assert read_wordpiece(file) is None


def test_words_are_forgotten_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wordpiece, "_MOST_LEARNT", 3)
    words = read(tokenizer(max_length=None), tmp_path)
    at_first = len(words._words)
    text = "films goods its as 1s 2s uns films film"
    expected = tokenizer(max_length=None).encode(text).ids
    assert words.ids(text) == words.ids(text) == expected
    assert at_first < len(words._words) <= at_first + 3
