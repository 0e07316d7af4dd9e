"""Rows in another tokenizer's ids say what that tokenizer makes of the text itself."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from components.transfer_weights.student_vocabulary import (
    Pruning,
    added_ids,
    continuing_prefix,
    kept_ids,
    pruned_tokenizer,
)
from decant.data.retokenize import Retokenizer
from decant.data.tokens import TokenRows
from tests.errors import raises

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##happy", "##hap", "##py", "film", "h", "a"]
PIECES += ["p", "y", "##h", "##a", "##p", "##y", "u", "n", "##u", "##n", "##film", "é"]
TEXTS = ["unhappy film", "film unhappyfilm", "film", "happy unhappy é", "", "unhap un zz happ"]


def tokenizer_file(folder: Path, pieces: list[str], added: tuple[str, ...] = ()) -> Path:
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.add_tokens(list(added))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.enable_truncation(8)
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def encoded(file: Path, texts: list[str]) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(file))
    return [tokenizer.encode(text).ids for text in texts]


def rows_of(listed: list[list[int]]) -> TokenRows:
    return TokenRows.of([np.array(row, dtype=np.int32) for row in listed], range(len(listed)))


def pruned(tmp_path: Path, dropped: set[str]) -> tuple[Path, Path]:
    full = tokenizer_file(tmp_path / "full", PIECES)
    kept = [index for index, piece in enumerate(PIECES) if piece not in dropped]
    small = tmp_path / "small.json"
    content = pruned_tokenizer(full, np.array(kept))
    assert content is not None
    small.write_text(content, "utf-8")
    return full, small


@pytest.mark.parametrize("dropped", [set(), {"##happy"}, {"##hap", "##py"}, {"un", "##happy", "é"}])
def test_rows_are_what_the_pruned_tokenizer_makes_of_the_text(
    tmp_path: Path, dropped: set[str]
) -> None:
    full, small = pruned(tmp_path, dropped)
    got = Retokenizer(full, small).rows(rows_of(encoded(full, TEXTS)))
    assert [row.tolist() for row in got] == encoded(small, TEXTS)
    assert got.labels.tolist() == list(range(len(TEXTS)))


@given(
    texts=st.lists(st.text(alphabet="unhapyé ", max_size=24), min_size=1, max_size=4),
    dropped=st.sets(st.sampled_from(PIECES[4:])),
)
def test_whatever_is_pruned_rows_are_what_the_tokenizer_makes_of_the_text(
    texts: list[str], dropped: set[str]
) -> None:
    """Without a limit on the length: a cut source row does not say how its last word went on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full = tokenizer_file(folder, PIECES)
        full.write_text(json.dumps({**json.loads(full.read_text("utf-8")), "truncation": None}))
        content = pruned_tokenizer(
            full, np.array([i for i, piece in enumerate(PIECES) if piece not in dropped])
        )
        assert content is not None
        small = folder / "small.json"
        small.write_text(content, "utf-8")
        got = Retokenizer(full, small).rows(rows_of(encoded(full, texts)))
        assert [row.tolist() for row in got] == encoded(small, texts)


def test_the_pruned_tokenizer_numbers_its_pieces_from_zero_in_their_old_order(
    tmp_path: Path,
) -> None:
    _, small = pruned(tmp_path, {"[nothing]", "##happy", "h"})
    tokenizer = Tokenizer.from_file(str(small))
    kept = [piece for piece in PIECES if piece not in {"##happy", "h"}]
    assert [tokenizer.id_to_token(index) for index in range(len(kept))] == kept
    assert tokenizer.encode("unhappy").tokens == ["[CLS]", "un", "##hap", "##py", "[SEP]"]


def test_another_encoders_pieces_split_the_same_words(tmp_path: Path) -> None:
    one = tokenizer_file(tmp_path / "one", PIECES)
    other_pieces = ["[CLS]", "[SEP]", "[PAD]", "[UNK]", "unh", "##appy", "fi", "##lm", "unhappy"]
    other = tokenizer_file(tmp_path / "other", other_pieces)
    texts = ["unhappy film", "film é"]
    got = Retokenizer(one, other).rows(rows_of(encoded(one, texts)))
    assert [row.tolist() for row in got] == encoded(other, texts)


@pytest.mark.parametrize("pieces", [PIECES, [piece for piece in PIECES if piece != "[SEP]"]])
def test_added_tokens_that_are_no_pieces_of_the_model_stay(
    tmp_path: Path, pieces: list[str]
) -> None:
    """Also [SEP] may be such a token."""
    full = tokenizer_file(tmp_path / "full", pieces, ("<url>", "<user>"))
    tokenizer = Tokenizer.from_file(str(full))
    names = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    assert names[-1] == "<user>"
    texts = ["unhappy <url> film", "<user>film", "<url> <user> un", "é"]
    pruning = Pruning(min_count=0, max_size=2, special_ids=added_ids(full))
    kept = kept_ids(table(dict.fromkeys(names, 0)), pruning, continuing=continuing_prefix(full))
    content = pruned_tokenizer(full, kept)
    assert content is not None
    small = tmp_path / "small.json"
    small.write_text(content, "utf-8")
    # as the library numbers them when it reads the file
    fewer = Tokenizer.from_file(str(small))
    assert [fewer.id_to_token(index) for index in range(len(kept))] == [names[i] for i in kept]
    assert fewer.get_vocab_size() == len(kept) < len(names)
    assert fewer.encode("un <url>").tokens == ["[CLS]", "u", "##n", "<url>", "[SEP]"]
    got = Retokenizer(full, small).rows(rows_of(encoded(full, texts)))
    assert [row.tolist() for row in got] == encoded(small, texts)


def test_another_encoder_must_know_the_added_tokens_but_may_number_them_otherwise(
    tmp_path: Path,
) -> None:
    one = tokenizer_file(tmp_path / "one", PIECES, ("<url>", "<user>"))
    other = tokenizer_file(tmp_path / "other", PIECES, ("<user>", "<url>"))
    texts = ["film <url>", "<user>"]
    got = Retokenizer(one, other).rows(rows_of(encoded(one, texts)))
    assert [row.tolist() for row in got] == encoded(other, texts) != encoded(one, texts)
    plain = tokenizer_file(tmp_path / "plain", PIECES)
    assert Retokenizer(plain, one).same
    with raises("tokenizer-mismatch", "<url>", str(plain)):
        Retokenizer(one, plain)


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    wordpiece = tokenizer_file(tmp_path / "one", PIECES)
    other = tmp_path / "bpe.json"
    Tokenizer(models.BPE({"a": 0, "b": 1}, [])).save(str(other))
    with raises("tokenizer-mismatch", str(other), "BPE"):
        Retokenizer(wordpiece, other)
    assert Retokenizer(other, other).same
    assert pruned_tokenizer(other, np.array([0])) is None
    unigram = tmp_path / "unigram.json"
    Tokenizer(models.Unigram([("a", 0.0), ("b", -1.0)], unk_id=0)).save(str(unigram))
    assert Retokenizer(unigram, unigram).same
    with raises("tokenizer-mismatch", str(unigram), "Unigram"):
        Retokenizer(wordpiece, unigram)


def table(counts: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "token_id": range(len(counts)),
            "piece": list(counts),
            "count_train": list(counts.values()),
            "count_unlabelled": [0] * len(counts),
        }
    )


def test_letters_of_kept_pieces_stay_so_that_no_word_is_unknown() -> None:
    vocabulary = table({"[UNK]": 0, "film": 2, "fêl": 1, "x": 0, "##ê": 0, "ß": 0, "ing": 0})
    prune = Pruning(min_count=1, max_size=None, special_ids=(0,))
    assert kept_ids(vocabulary, prune, continuing="##").tolist() == [0, 1, 2, 3, 4]
    assert kept_ids(vocabulary, prune, continuing=None).tolist() == [0, 1, 2]


def test_what_begins_a_piece_within_a_word_is_the_tokenizers_own(tmp_path: Path) -> None:
    vocabulary = table({"[UNK]": 0, "fêl": 1, "@@ê": 0, "##ê": 0, "@@ßß": 0})
    model = models.WordPiece(
        {"[UNK]": 0, "@@ê": 1}, unk_token="[UNK]", continuing_subword_prefix="@@"
    )
    Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
    prune = Pruning(min_count=1, max_size=None, special_ids=(0,))
    prefix = continuing_prefix(tmp_path / "tokenizer.json")
    assert kept_ids(vocabulary, prune, continuing=prefix).tolist() == [0, 1, 2]


def test_a_largest_size_keeps_the_most_frequent_pieces() -> None:
    vocabulary = table({"[UNK]": 0, "aa": 2, "bb": 5, "cc": 2, "dd": 9})
    prune = Pruning(min_count=1, max_size=3, special_ids=(0,))
    assert kept_ids(vocabulary, prune, continuing=None).tolist() == [0, 1, 2, 4]
