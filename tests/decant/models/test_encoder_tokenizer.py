"""decant.models.encoder_tokenizer: what is read, made and refused."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from decant.models._vocabulary_file import keeps_accents, lower_cases
from decant.models.encoder import copy_encoder, load_tokenizer, special_ids
from tests.encoder_folders import copied, set_tokenizer_config, with_vocabulary
from tests.encoder_kinds import TEXTS, write_encoder
from tests.errors import raises


def test_tokenizer_is_made_from_a_vocabulary(encoder: Path, tmp_path: Path) -> None:
    vocabulary = load_tokenizer(encoder).get_vocab()
    (encoder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    expected = load_tokenizer(encoder).encode("good films").ids
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (encoder / name).unlink()
    target = tmp_path / "copy"
    target.mkdir()
    copy_encoder(encoder, target)
    assert load_tokenizer(target).encode("good films").ids == expected
    assert special_ids(target).mask_id == 4


WORDS = ["the", "in", "us", "may", "jose"]
CAPITALS = ["US", "May", "José"]


@pytest.mark.parametrize(
    ("pieces", "config", "expected", "reason"),
    [
        ([*WORDS, *CAPITALS], None, "the US in May José", "capital letters, such as José"),
        ([*WORDS, *CAPITALS], {"model_max_length": 64}, "the US in May José", "capital letters"),
        (WORDS, None, "the us in may jose", "no piece has a capital letter"),
        ([*WORDS, *CAPITALS], {"do_lower_case": True}, "the us in may jose", "tokenizer_config"),
        (WORDS, {"do_lower_case": False}, "the [UNK] in [UNK] [UNK]", "tokenizer_config.json"),
    ],
)
def test_the_case_of_a_vocabulary_is_kept_unless_the_folder_says(
    pieces: list[str], config: object, expected: str, reason: str, encoder: Path
) -> None:
    files = {"tokenizer_config": config} if config else {}
    target, facts = copied(with_vocabulary(encoder, pieces, **files))
    assert load_tokenizer(target).encode("the US in May José").tokens[1:-1] == expected.split()
    assert len(facts) == 1 and "vocab.txt" in facts[0] and reason in facts[0]


@pytest.mark.parametrize(
    ("pieces", "text", "expected"),
    [
        (["schön", "schon", "der", "über"], "Der schön schon Über", "der schön schon über"),
        (["यह", "फिल्म", "अच्छी", "थी"], "यह फिल्म अच्छी थी", "यह फिल्म अच्छी थी"),
        (["หนัง", "นี้", "##ดี", "##นี้"], "หนังนี้ดี", "หนัง ##นี้ ##ดี"),
        (["영화", "좋다", "이"], "이 영화 좋다", "이 영화 좋다"),
    ],
)
@pytest.mark.parametrize("config", [None, {"do_lower_case": True, "strip_accents": None}])
def test_accents_and_vowel_signs_of_the_pieces_are_kept(
    config: object, pieces: list[str], text: str, expected: str, encoder: Path
) -> None:
    files = {"tokenizer_config": config} if config else {}
    target, facts = copied(with_vocabulary(encoder, pieces, **files))
    assert load_tokenizer(target).encode(text).tokens[1:-1] == expected.split()
    assert "accents and vowel signs are kept" in facts[0]


def test_accents_are_dropped_where_the_folder_says_so(encoder: Path) -> None:
    pieces = ["schön", "schon", "über"]
    with_vocabulary(encoder, pieces, tokenizer_config={"strip_accents": True})
    target, facts = copied(encoder)
    assert load_tokenizer(target).encode("schön").tokens[1:-1] == ["schon"]
    assert "accents" not in facts[0]


def test_a_single_odd_piece_is_no_habit_of_a_vocabulary(encoder: Path) -> None:
    """Somebody's own token over an [unused] slot."""
    target, facts = copied(with_vocabulary(encoder, [*WORDS, "URL", "naïve"]))
    tokens = load_tokenizer(target).encode("The US in May José").tokens[1:-1]
    assert tokens == ["the", "us", "in", "may", "jose"]
    assert "in 1 of 7 pieces: URL" in facts[0] and "not kept" in facts[0]


def test_fewer_than_one_per_cent_of_pieces_are_no_habit() -> None:
    words = [f"{first}{second}" for first in "abcdefghijkl" for second in "mnopqrstuvwxyz"]
    assert lower_cases([*words, "URL"])[0]
    assert lower_cases([*words[:100], "URL"])[0]
    assert not lower_cases([*words, "URL", "USER"])[0]  # 2 of 170
    assert lower_cases([*words, *(f"{word}a" for word in words), "URL", "USER"])[0]  # 2 of 338
    assert keeps_accents([*words, "é", "è"])[0]
    assert not keeps_accents([*words, *(f"{word}a" for word in words), "é", "è"])[0]
    han = [chr(0x4E00 + number) for number in range(3000)]
    assert keeps_accents([*han, "é", "è"])[0]  # Han characters say nothing of accents


@pytest.mark.skipif(find_spec("sentencepiece") is None, reason="sentencepiece is not installed")
def test_vowel_signs_of_a_sentencepiece_vocabulary_are_kept(tmp_path: Path) -> None:
    """ALBERT, whose class drops them unless it is told; the reference is SentencePiece itself."""
    import io

    import sentencepiece

    folder = write_encoder("albert", tmp_path / "encoder", vocab_size=400)
    for file in folder.glob("*token*.json"):
        file.unlink()
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["यह फिल्म बहुत अच्छी थी", "यह कहानी नीरस थी", "बढ़िया फिल्म"] * 5),
        model_writer=trained,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        bos_id=-1,
        eos_id=-1,
        pad_id=0,
        unk_id=1,
        pad_piece="<pad>",
        user_defined_symbols="[CLS],[SEP],[MASK]",
    )
    (folder / "spiece.model").write_bytes(trained.getvalue())
    target, facts = copied(folder)
    reference = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    text = "यह फिल्म बहुत अच्छी थी"
    assert load_tokenizer(target).encode(text).tokens[1:-1] == reference.encode(text, out_type=str)
    assert "vowel signs are kept" in facts[0]


def test_nothing_is_decided_where_there_is_a_tokenizer(encoder: Path) -> None:
    target, facts = copied(encoder)
    assert facts == []
    name = "tokenizer.json"
    assert (target / name).read_bytes() == (encoder / name).read_bytes()


@pytest.mark.parametrize("has_tokenizer", [True, False])
def test_added_tokens_stay_whole(has_tokenizer: bool, encoder: Path, tmp_path: Path) -> None:
    with_vocabulary(encoder, WORDS)
    if has_tokenizer:
        made, _ = copied(encoder)
        (made / "tokenizer.json").rename(encoder / "tokenizer.json")
        shutil.rmtree(made)
    size = len((encoder / "vocab.txt").read_text().splitlines())  # one less than embeddings
    (encoder / "added_tokens.json").write_text(json.dumps({"<user>": size}))
    target, facts = copied(encoder)
    assert load_tokenizer(target).encode("the <user> may").tokens[1:-1] == ["the", "<user>", "may"]
    assert load_tokenizer(target).token_to_id("<user>") == size
    assert ("<user>" in facts[0]) == has_tokenizer


def test_added_tokens_under_other_ids_are_refused(encoder: Path) -> None:
    with_vocabulary(encoder, WORDS, added_tokens={"<user>": 3000})
    with raises("tokenizer-mismatch", "<user>", "3000", "added_tokens.json"):
        copied(encoder)


def test_tokens_without_an_embedding_are_named(encoder: Path) -> None:
    tokenizer = load_tokenizer(encoder)
    rows = tokenizer.get_vocab_size()
    tokenizer.add_tokens([f"<{name}>" for name in ("user", "url", "a", "b", "c", "d")])
    tokenizer.save(str(encoder / "tokenizer.json"))
    with raises(
        "tokenizer-mismatch",
        f"up to {rows + 5}",
        f"embeddings for {rows} tokens",
        f"<user> ({rows}), <url> ({rows + 1}),",
        "and 1 more",
    ):
        copied(encoder)


@pytest.mark.skipif(find_spec("sentencepiece") is not None, reason="sentencepiece is installed")
@pytest.mark.parametrize("name", ["spiece.model", "sentencepiece.bpe.model", "spm.model"])
def test_a_sentencepiece_vocabulary_needs_its_package(name: str, encoder: Path) -> None:
    for tokenizer in encoder.glob("*token*.json"):
        tokenizer.unlink()
    (encoder / name).write_bytes(b"pieces")
    with raises("package-missing", name, "pip install"):
        copied(encoder)


@pytest.mark.skipif(find_spec("sentencepiece") is None, reason="sentencepiece is not installed")
@pytest.mark.parametrize(
    ("kind", "name"), [("xlm-roberta", "sentencepiece.bpe.model"), ("deberta-v2", "spm.model")]
)
def test_a_tokenizer_is_made_from_a_sentencepiece_vocabulary(
    kind: str, name: str, tmp_path: Path
) -> None:
    """The reference is SentencePiece itself; XLM-R numbers its pieces one higher."""
    import io

    import sentencepiece

    folder = write_encoder(kind, tmp_path / "encoder", vocab_size=400)
    for file in folder.glob("*token*.json"):
        file.unlink()
    trained = io.BytesIO()
    names = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]"}
    names |= {"bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=trained,
        vocab_size=200,
        hard_vocab_limit=False,
        minloglevel=2,
        **(names if kind == "deberta-v2" else {}),
    )
    (folder / name).write_bytes(trained.getvalue())
    target, facts = copied(folder)
    assert name in facts[0]
    reference = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    for text in TEXTS[:6]:
        pieces = reference.encode(text, out_type=str)
        assert load_tokenizer(target).encode(text).tokens[1:-1] == pieces


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("tokenizer.json", '{"version": "1.0"', "tokenizer-invalid"),
        ("tokenizer.json", "{}", "tokenizer-invalid"),
        ("tokenizer_config.json", "{", "file-invalid"),
        ("special_tokens_map.json", "\n", "file-invalid"),
        ("special_tokens_map.json", "[]", "file-invalid"),
    ],
)
def test_copy_refuses(encoder: Path, tmp_path: Path, name: str, content: str, code: str) -> None:
    (encoder / name).write_text(content)
    target = tmp_path / "copy"
    target.mkdir()
    with raises(code, name):
        copy_encoder(encoder, target)


def test_refuses_a_tokenizer_that_adds_no_special_tokens(encoder: Path) -> None:
    file = encoder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"post_processor": None}))
    with raises("tokenizer-unsuitable", "[CLS]", "[SEP]"):
        special_ids(encoder)


@pytest.mark.parametrize(
    ("content", "code", "values"),
    [
        ("\ufeff[PAD]\n[UNK]\n".encode(), "file-invalid", ["vocab.txt", "BOM"]),
        ("[PAD]\nschön\n".encode("latin-1"), "encoding-not-utf8", ["vocab.txt", "line 2", "0xF6"]),
    ],
)
def test_a_vocabulary_that_is_no_plain_utf8(
    content: bytes, code: str, values: list[str], encoder: Path
) -> None:
    with_vocabulary(encoder, WORDS)
    (encoder / "vocab.txt").write_bytes(content)
    with raises(code, *values):
        copied(encoder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_tokenizer_that_is_python_only_is_named(file: str, encoder: Path) -> None:
    """Its packages, such as fugashi, would not help."""
    with_vocabulary(encoder, WORDS, tokenizer_config={"word_tokenizer_type": "mecab"})
    content = json.loads((encoder / file).read_text())
    (encoder / file).write_text(json.dumps(content | {"tokenizer_class": "BertJapaneseTokenizer"}))
    with raises("tokenizer-unsuitable", "BertJapaneseTokenizer", file, "Python only"):
        copied(encoder)


def test_a_special_token_that_is_not_there_is_named_with_its_source(encoder: Path) -> None:
    set_tokenizer_config(encoder, unk_token="<unk>")
    with raises("tokenizer-unsuitable", str(encoder), "<unk>", "unk_token") as caught:
        copied(encoder)
    assert "copied" not in str(caught.value)
