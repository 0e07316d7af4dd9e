"""What is known of texts, on tokenizers and texts small enough to count by hand."""

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from components.tokenize.text_knowledge import knowledge
from tests.tiny import tiny_tokenizer

UNK = 1  # of tiny_tokenizer


def test_share_of_unknown_letters() -> None:
    found = knowledge(["good 中文, 中 10/10 !!! ☃ fine"], tiny_tokenizer(), UNK)
    assert (found.letters, found.unknown_letters) == (11, 3 / 11)  # 4 + 2 + 1 + 4
    assert (found.words, found.unknown, found.spelled) == (("中", "文"), 1.0, 0.0)
    assert (found.unknown_symbols, found.symbols) == (1.0, ("☃",))


def test_an_unknown_phrase_without_blanks_counts_with_all_its_letters() -> None:
    found = knowledge(["ภาษาไทย 10/10 !!!"], tiny_tokenizer(), UNK)
    assert found.unknown_letters == 1.0  # one of seven pieces: signs and digits do not count
    assert (found.words, found.word_limit) == (("ภาษาไทย",), None)
    assert knowledge(["ภาษาไทย" * 20], tiny_tokenizer(), UNK).word_limit == 100


def test_a_symbol_that_touches_a_word_does_not_make_its_letters_unknown() -> None:
    found = knowledge(["good☃☃ fine 1\ufe0f\u20e3"], tiny_tokenizer(), UNK)
    assert (found.letters, found.unknown_letters, found.symbols) == (8, 0.0, ("☃",))


def test_each_text_is_judged_and_short_ones_together() -> None:
    long = "the good film was lovely and the story clever"
    texts = [f"{long} 中中中", long, long, *["中"] * 30, "good"]
    found = knowledge(texts, tiny_tokenizer(), UNK)
    assert found.unknown == 2 / 4  # what is left over says nothing
    assert knowledge(["中", "中"], tiny_tokenizer(), UNK).unknown == 1.0


def test_what_is_cut_off_does_not_count() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.enable_truncation(4)  # [CLS] good film [SEP]
    assert knowledge(["good film 中文"], tokenizer, UNK).unknown_letters == 0.0


@pytest.mark.parametrize("texts", [["10 10", "!"], []])
def test_texts_without_letters(texts: list[str]) -> None:
    found = knowledge(texts, tiny_tokenizer(), UNK)
    assert (found.letters, found.unknown_letters, found.unknown, found.spelled) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("good film", 0.0),
        ("gut zwei xyz", 1.0),  # of letters alone: 10 pieces for 10 letters, and 7 are allowed
        ("gut zwei xyz 1234567890 20.30.40", 1.0),  # digits allow no pieces
        ("g\u0301u\u0301t\u0301 z\u0301w\u0301e\u0301i\u0301", 1.0),  # nor do accents taken off
    ],
)
def test_words_that_fall_apart_into_letters(text: str, spelled: float) -> None:
    assert knowledge([text], tiny_tokenizer(), UNK).spelled == spelled


def test_vowel_signs_that_the_normalizer_keeps_are_letters() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    assert knowledge(["ที่"], tokenizer, UNK).letters == 3


def test_characters_that_fall_apart_into_bytes() -> None:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE({byte: n for n, byte in enumerate(sorted(alphabet))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert knowledge(["很好"], tokenizer, UNK).spelled == 1.0  # 6 bytes
    characters = Tokenizer(models.WordPiece({"[UNK]": 0, "很": 1, "好": 2}, unk_token="[UNK]"))
    characters.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert knowledge(["很好"], characters, 0).spelled == 0.0  # a piece each, as a Chinese BERT has


def test_a_mark_of_a_space_is_no_piece_of_a_letter() -> None:
    pieces = [("<unk>", 0.0), ("▁", -1.0), ("很", -1.0), ("好", -1.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    assert tokenizer.encode("很好 很").tokens == ["▁", "很", "好", "▁", "很"]
    assert knowledge(["很好 很"], tokenizer, 0).spelled == 0.0
