"""Rows in another tokenizer's ids say what that tokenizer makes of the text itself."""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from components.transfer_weights.student_vocabulary import (
    Pruning,
    added_ids,
    kept_ids,
    pruned_tokenizer,
)
from decant.data.pieces import read_tokenizer
from decant.data.retokenize import Retokenizer
from decant.data.tokens import TokenRows
from tests.encoder_kinds import KINDS
from tests.encoder_kinds import TEXTS as TEXTS_OF_KINDS
from tests.encoder_kinds import tokenizer_of as tokenizer_of_kind
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
    content = pruned_tokenizer(read_tokenizer(full), np.array(kept))
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
            read_tokenizer(full),
            np.array([i for i, piece in enumerate(PIECES) if piece not in dropped]),
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
    pruning = Pruning(min_count=0, max_size=2, special_ids=added_ids(read_tokenizer(full)))
    kept = kept_ids(table(dict.fromkeys(names, 0)), pruning, read_tokenizer(full))
    content = pruned_tokenizer(read_tokenizer(full), kept)
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


def test_another_encoder_may_number_the_added_tokens_otherwise_or_read_them_as_text(
    tmp_path: Path,
) -> None:
    one = tokenizer_file(tmp_path / "one", PIECES, ("<url>", "<user>"))
    other = tokenizer_file(tmp_path / "other", PIECES, ("<user>", "<url>"))
    plain = tokenizer_file(tmp_path / "plain", PIECES)
    texts = ["film <url>", "<user>"]
    for target in (other, plain):
        got = Retokenizer(one, target).rows(rows_of(encoded(one, texts)))
        assert [row.tolist() for row in got] == encoded(target, texts) != encoded(one, texts)
    assert Retokenizer(plain, one).same


def test_an_encoder_without_a_token_for_masked_words_is_refused(tmp_path: Path) -> None:
    one = tokenizer_file(tmp_path / "one", PIECES, ("[MASK]",))
    other = tokenizer_file(tmp_path / "other", [*PIECES[:4], "un"])
    with raises("tokenizer-mismatch", "[MASK]", str(one), str(other)):
        Retokenizer(one, other)


def test_one_vocabulary_with_another_normalizer_is_another_tokenizer(tmp_path: Path) -> None:
    one, other = (tokenizer_file(tmp_path / name, PIECES) for name in ("one", "other"))
    tokenizer = Tokenizer.from_file(str(other))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.save(str(other))
    got = Retokenizer(one, other).rows(rows_of(encoded(one, ["FILM unhappy"])))
    assert [row.tolist() for row in got] == encoded(other, ["[UNK] unhappy"])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_of_every_kind_rows_are_what_the_pruned_tokenizer_makes_of_the_text(
    kind: str, data: st.DataObject
) -> None:
    full = tokenizer_of_kind(kind)
    text = data.draw(st.sampled_from(TEXTS_OF_KINDS) | st.text("goodfilms' .电影1☃", max_size=16))
    pieces = sorted(set(full.get_vocab().values()))
    kept = keeping(full, data.draw(st.sets(st.sampled_from(pieces))))
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / "full.json", Path(name) / "small.json"]
        full.save(str(files[0]))
        content = pruned_tokenizer(read_tokenizer(files[0]), kept)
        assert content is not None
        files[1].write_text(content, "utf-8")
        got = Retokenizer(*files).rows(rows_of(encoded(files[0], [text])))
        assert [row.tolist() for row in got] == encoded(files[1], [text])


def test_a_row_is_cut_where_the_pruned_tokenizer_cuts(tmp_path: Path) -> None:
    full = tokenizer_of_kind("xlm-roberta")
    full.enable_truncation(12)
    full.save(str(tmp_path / "full.json"))
    kept = keeping(full, [])
    content = pruned_tokenizer(read_tokenizer(tmp_path / "full.json"), kept)
    (tmp_path / "small.json").write_text(content or "", "utf-8")
    rows = rows_of(encoded(tmp_path / "full.json", TEXTS_OF_KINDS[:3]))
    got = Retokenizer(tmp_path / "full.json", tmp_path / "small.json").rows(rows)
    assert [row.tolist() for row in got] == encoded(tmp_path / "small.json", TEXTS_OF_KINDS[:3])
    assert max(got.lengths) == 12


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", ["roberta", "modernbert"])
def test_another_tokenizer_reads_the_text_that_the_row_spells(
    source: str, target: str, tmp_path: Path
) -> None:
    """Bytes lose nothing of a text."""
    files = [tmp_path / "source.json", tmp_path / "target.json"]
    for kind, file in zip((source, target), files, strict=True):
        tokenizer_of_kind(kind).save(str(file))
    texts = [*TEXTS_OF_KINDS, "", "a <user> said <url>"]
    got = Retokenizer(*files).rows(rows_of(encoded(files[0], texts)))
    assert [row.tolist() for row in got] == encoded(files[1], texts)


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", ["xlm-roberta", "albert", "deberta-v2"])
def test_of_sentencepiece_the_normalized_text_is_read(
    source: str, target: str, tmp_path: Path
) -> None:
    files = [tmp_path / "source.json", tmp_path / "target.json"]
    for kind, file in zip((source, target), files, strict=True):
        tokenizer_of_kind(kind).save(str(file))
    texts = [*TEXTS_OF_KINDS[:4], "", "a <user> film"]
    normalize = tokenizer_of_kind(source).normalizer.normalize_str
    expected = encoded(files[1], [normalize(text) for text in texts])
    got = Retokenizer(*files).rows(rows_of(encoded(files[0], texts)))
    assert [row.tolist() for row in got] == expected


def test_of_wordpiece_the_words_are_read_and_masks_and_unknown_words_stay(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"{kind}.json" for kind in ("bert", "xlm-roberta", "roberta")}
    for kind, file in files.items():
        tokenizer_of_kind(kind).save(str(file))
    rows = rows_of(encoded(files["bert"], ["The ACTORS aren't [MASK] \u2603, Überraschend."]))
    spelled = "the actors aren ' t {mask} {unknown}, uberraschend."
    for kind, unknown in (("xlm-roberta", "<unk>"), ("roberta", "<unk>")):
        got = Retokenizer(files["bert"], files[kind]).rows(rows)
        text = spelled.format(mask="<mask>", unknown=unknown if kind == "xlm-roberta" else "")
        assert [row.tolist() for row in got] == encoded(files[kind], [text])


def keeping(tokenizer: Tokenizer, chosen: Iterable[int]) -> np.ndarray:
    """The kept ids when only these pieces occur."""
    names = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    occurring = {names[index] for index in chosen}
    content = json.loads(tokenizer.to_str())
    pruning = Pruning(min_count=1, max_size=None, special_ids=added_ids(content))
    return kept_ids(table({name: int(name in occurring) for name in names}), pruning, content)


def table(counts: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "token_id": range(len(counts)),
            "piece": list(counts),
            "count_train": list(counts.values()),
            "count_unlabelled": [0] * len(counts),
        }
    )
