"""Where words begin in the pieces of each kind of tokenizer, and which words replace each other."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from components.distill.word_pieces import NO_NEIGHBOUR, WordPieces, word_pieces
from decant.data.pieces import read_tokenizer
from tests.encoder_kinds import KINDS, tokenizer_of

TEXT = "The unhappy actors' film (good), 10! 这部电影很好。 naïve फ़िल्म"


def facts(kind: str, tmp_path: Path, **options: Any) -> tuple[Tokenizer, WordPieces]:
    tokenizer = tokenizer_of(kind)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    size = 1 + max(tokenizer.get_vocab().values())
    table = np.random.default_rng(0).normal(size=(size, 8)).astype(np.float32)
    content = read_tokenizer(tmp_path / "tokenizer.json")
    return tokenizer, word_pieces(content, table, np.ones(size, dtype=bool), **{"k": 3, **options})


def words(kind: str, text: str, tmp_path: Path) -> list[str]:
    """The words of a text as its pieces are put together, without special tokens."""
    tokenizer, pieces = facts(kind, tmp_path)
    encoding = tokenizer.encode(text)
    found: list[list[int]] = []
    starts = pieces.starts(np.array(encoding.ids))
    for index, begins in list(zip(encoding.ids, starts, strict=True))[1:-1]:
        if begins:
            found.append([])
        found[-1].append(index)
    return [spelled(tokenizer, kind, word) for word in found]


def spelled(tokenizer: Tokenizer, kind: str, ids: list[int]) -> str:
    if kind == "bert":
        return "".join(tokenizer.id_to_token(index).removeprefix("##") for index in ids)
    return tokenizer.decode(ids, skip_special_tokens=False).strip()


EXPECTED = "The unhappy actors ' film ( good ) , 10 ! {} 。 naïve फ़िल्म"


@pytest.mark.parametrize("kind", ["roberta", "modernbert", "xlm-roberta", "deberta-v2"])
def test_words_begin_after_spaces_at_punctuation_and_within_scripts_without_spaces(
    kind: str, tmp_path: Path
) -> None:
    found = words(kind, TEXT, tmp_path)
    ideographs = [word for word in found if word and "CJK UNIFIED" in unicodedata.name(word[0])]
    assert "".join(ideographs) == "这部电影很好"
    normalized = unicodedata.normalize("NFKC", EXPECTED)
    expected = normalized.format(" ".join(ideographs)).split(" ")  # a piece may hold several
    assert [unicodedata.normalize("NFKC", word) for word in found] == expected


def test_words_of_bert_are_those_of_its_pre_tokenizer(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("bert")
    normalized = tokenizer.normalizer.normalize_str(TEXT)
    expected = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized)]
    assert "电" in expected and "(" in expected
    unknown = [word if tokenizer.encode(word).ids.count(3) == 0 else "[UNK]" for word in expected]
    assert words("bert", TEXT, tmp_path) == unknown


def test_wordpiece_has_words_within_scripts_without_spaces(tmp_path: Path) -> None:
    """To BERT's pre-tokenizer a sentence of Thai is one word, as one of Hiragana is."""
    pieces = ["[PAD]", "[UNK]", "good", "##s", "หนัง", "##ดี", "##มาก", "##ี", "ひ", "##ら", "##'"]
    tokenizer = Tokenizer(
        models.WordPiece({one: n for n, one in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    table = np.random.default_rng(0).normal(size=(len(pieces), 8)).astype(np.float32)
    used = np.ones(len(pieces), dtype=bool)
    found = word_pieces(read_tokenizer(tmp_path / "tokenizer.json"), table, used, k=1)
    ids = np.array(tokenizer.encode("goods หนังดีมากี ひら").ids)
    assert [pieces[index] for index in ids] == [
        *("good", "##s", "หนัง", "##ดี", "##มาก", "##ี", "ひ", "##ら"),
    ]
    assert found.starts(ids).tolist() == [True, False, True, True, True, False, True, True]
    assert found.whole_words(ids).tolist() == [False, False, True, True, *[False] * 4]
    assert not found.begins[pieces.index("##'")]
    # A word within a sentence is replaced by another such, one that begins it by one that does.
    within = {pieces.index("##ดี"), pieces.index("##มาก")}
    assert set(found.neighbours[sorted(within)].ravel()) == within


def test_a_letter_of_a_byte_level_vocabulary_is_one_word_of_its_bytes(tmp_path: Path) -> None:
    """These letters do not occur in what the vocabulary was trained on."""
    tokenizer, _ = facts("roberta", tmp_path)
    assert len(tokenizer.encode("猫狗").ids) >= 2 + 4
    assert words("roberta", "猫狗 ok", tmp_path) == ["猫", "狗", "ok"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_is_replaced_by_words_that_stand_in_a_sentence_as_it_does(
    kind: str, tmp_path: Path
) -> None:
    tokenizer, pieces = facts(kind, tmp_path, k=5)
    kinds = {}
    for index in np.flatnonzero(pieces.words).tolist():
        token = tokenizer.id_to_token(index)
        text = spelled(tokenizer, kind, [index])
        mark = not token.startswith("##") if kind == "bert" else token.startswith(("▁", "Ġ"))
        kinds[index] = (mark, len(text) == 1)
        assert all(unicodedata.category(letter)[0] in "LM" for letter in text), text
        if len(text) == 1:
            assert "CJK" in unicodedata.name(text)
        assert not token.startswith("##") or "CJK" in unicodedata.name(text[0])
    assert len(set(kinds.values())) > 1  # ideographs and words
    for index, kind_of_word in kinds.items():
        others = set(pieces.neighbours[index].tolist()) - {NO_NEIGHBOUR}
        same = [other for other, found in kinds.items() if found == kind_of_word]
        assert len(others) == min(5, len(same) - 1)
        assert index not in others
        assert {kinds[other] for other in others} <= {kind_of_word}
    assert (pieces.neighbours[~pieces.words] == NO_NEIGHBOUR).all()


def test_the_beginning_of_a_word_of_several_pieces_is_no_whole_word(tmp_path: Path) -> None:
    tokenizer, pieces = facts("xlm-roberta", tmp_path)
    ids = np.array([tokenizer.encode("film filmy film").ids])
    spelled_out = [tokenizer.id_to_token(index) for index in ids[0]]
    assert spelled_out == ["<s>", "▁film", "▁film", "y", "▁film", "</s>"]
    assert pieces.whole_words(ids).tolist() == [[False, True, False, False, True, False]]


def test_neighbours_are_the_nearest_whole_words_by_cosine(tiny_encoder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_encoder / "tokenizer.json"))
    size = tokenizer.get_vocab_size()
    table = np.random.default_rng(0).normal(size=(size, 8)).astype(np.float32)
    good, bad, part = (tokenizer.token_to_id(piece) for piece in ("good", "bad", "##ing"))
    used = np.zeros(size, dtype=bool)
    words = [tokenizer.token_to_id(word) for word in ("great", "dull", "film", "story", "lovely")]
    used[[good, part, *words]] = True
    pieces = word_pieces(read_tokenizer(tiny_encoder / "tokenizer.json"), table, used, k=3)
    assert pieces.begins[good] and not pieces.begins[part]
    assert (pieces.neighbours[part] == NO_NEIGHBOUR).all()
    assert (pieces.neighbours[bad] == NO_NEIGHBOUR).all()  # does not occur
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    nearest = sorted(words, key=lambda index: -float(unit[index] @ unit[good]))[:3]
    assert sorted(nearest) == pieces.neighbours[good].tolist()
