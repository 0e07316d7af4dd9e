"""The control's terms: by hand, and against scikit-learn's words and characters."""

from unicodedata import normalize

import pytest
from sklearn.feature_extraction.text import CountVectorizer

from decant.tasks.ngrams import ngrams, unspaced_share


def test_words_signs_and_pairs() -> None:
    assert ngrams("Don't, OK?") == [
        *("don", "'", "t", ",", "ok", "?"),
        *("don '", "' t", "t ,", ", ok", "ok ?"),
    ]


def test_characters_pairs_and_triples_where_words_have_no_blanks() -> None:
    assert ngrams("DELL很好!") == [
        *("dell", "很", "好", "!"),
        *("dell 很", "很 好", "好 !"),
        *("dell 很 好", "很 好 !"),
    ]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("データを見た", ["デ", "ー", "タ", "を", "見", "た"]),  # the long vowel mark, no sign
        ("ดีมาก", ["ด", "ี", "ม", "า", "ก"]),  # a vowel sign is a character of its own
        ("한국어 영화", ["한국어", "영화"]),  # Korean has blanks
        ("हिन्दी फ़िल्म", ["हिन्दी", normalize("NFKC", "फ़िल्म")]),  # vowel signs do not break a word
        ("e\u0301te\u0301", ["été"]),  # nor do accents
        ("x\u0301", ["x\u0301"]),  # there is no such letter in one
        ("naïve_bayes 2²", ["naïve_bayes", "2²"]),
        ("❤️ 😂", ["❤", "\ufe0f", "😂"]),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert ngrams(text)[: len(tokens)] == tokens
    assert len(ngrams(text)) >= 2 * len(tokens) - 1  # all of them: the pairs follow


def test_a_text_has_the_same_terms_however_it_is_composed() -> None:
    text = "Tôi rất thích bộ phim này, カッコイイ!"
    decomposed = normalize("NFD", text)
    assert decomposed != text
    assert ngrams(decomposed) == ngrams(normalize("NFC", text))
    assert ngrams("\uff27\uff2f\uff2f\uff24 ｶﾞﾝﾊﾞﾙ") == ngrams("good ガンバル")


def test_signs_and_numbers_keep_their_form() -> None:
    assert ngrams("2² … ½ ok™")[:5] == ["2²", "…", "½", "ok", "™"]


def test_english_is_scikit_learns_words_1_to_2() -> None:
    text = "The film isn't bad; it's 90 minutes of *pure* joy..."
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]")
    assert sorted(ngrams(text)) == sorted(vectorizer.build_analyzer()(text))


def test_chinese_is_scikit_learns_characters_1_to_3() -> None:
    text = "用起来不错系统并没说的那么垃圾"
    characters = CountVectorizer(analyzer="char", ngram_range=(1, 3)).build_analyzer()
    assert sorted(term.replace(" ", "") for term in ngrams(text)) == sorted(characters(text))


@pytest.mark.parametrize(
    ("texts", "share"),
    [(["a film!", "5 €"], 0.0), (["很好 ok"], 0.5), (["很好", "ok", "ดี 1"], 0.6), (["123"], 0.0)],
)
def test_share_of_letters(texts: list[str], share: float) -> None:
    assert unspaced_share(texts) == share
