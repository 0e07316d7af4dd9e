"""Lengths in tokens and scripts, counted by hand."""

from pathlib import Path

import pytest

from pipelines.onboarding.text_facts import text_facts
from tests.errors import raises

NOWHERE = "hf://nobody/nothing@" + "0" * 40  # is not in the cache, and is not fetched


def test_tokens_of_the_encoder(tiny_encoder: Path) -> None:
    # "good" is a piece, "goods" is good and ##s; [CLS] and [SEP] come on top.
    found = text_facts(["good", "goods good", "the ☂"], encoder_uri=str(tiny_encoder), limit=3)
    assert found.exact
    assert found.tokens == (4, 5, 5)  # 3, 5 and 4; the 95th percentile, 4.9, rounded up
    assert found.cut == pytest.approx(2 / 3)
    assert found.proposal == 32
    assert found.unknown == pytest.approx(1 / 6)


def test_the_limit_stays_where_few_texts_are_cut(tiny_encoder: Path) -> None:
    texts = ["good"] * 99 + ["good " * 80]
    found = text_facts(texts, encoder_uri=str(tiny_encoder), limit=16)
    assert found.cut == pytest.approx(0.01)
    assert found.proposal is None
    assert found.unknown == 0


@pytest.mark.parametrize(("words", "proposal"), [(100, 160), (1000, 256)])
def test_an_estimate_without_the_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: int, proposal: int
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path))
    found = text_facts([" ".join(["word"] * words)], encoder_uri=NOWHERE, limit=64)
    assert not found.exact and found.unknown is None
    assert found.tokens[0] == pytest.approx(2 + 1.35 * words, abs=1)
    assert found.proposal == proposal
    assert found.tokens_per_text.startswith("about ")


def test_without_spaces_letters_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path))
    found = text_facts(["好" * 40 + "。"], encoder_uri=NOWHERE, limit=64)
    assert found.tokens[0] == 42


def test_scripts(tiny_encoder: Path) -> None:
    found = text_facts(["ab好 я! 12", "かカ한"], encoder_uri=str(tiny_encoder), limit=64)
    assert found.scripts == pytest.approx(
        {"Latin": 2 / 7, "Han": 1 / 7, "Cyrillic": 1 / 7, "Hiragana": 1 / 7, "Katakana": 1 / 7}
        | {"Hangul": 1 / 7}
    )
    assert next(iter(found.scripts)) == "Latin"


def test_an_encoder_that_is_not_there(tmp_path: Path) -> None:
    with raises("file-missing", "none"):
        text_facts(["good"], encoder_uri=str(tmp_path / "none"), limit=64)
