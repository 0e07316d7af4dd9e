"""decant.models: what stands beside tokenizer.json, read as transformers reads it."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from decant.models.encoder import copy_encoder, load_tokenizer
from tests.encoder_folders import (
    change_weights,
    copied,
    set_config,
    set_tokenizer_config,
    with_vocabulary,
)
from tests.encoder_kinds import write_encoder
from tests.errors import raises


@pytest.mark.parametrize(
    "values",
    [
        {"do_lower_case": False},
        {"strip_accents": False},
        {"tokenize_chinese_chars": False},
        {"do_lower_case": False, "strip_accents": True},
    ],
)
def test_tokenizer_config_counts_beside_a_tokenizer(values: dict[str, bool], encoder: Path) -> None:
    """The reference is AutoTokenizer, with which encoders are trained."""
    text = "The film isn't gööd. 好电影 café"
    before = load_tokenizer(encoder).encode(text).ids
    set_tokenizer_config(encoder, **values)
    target, facts = copied(encoder)
    assert (
        load_tokenizer(target).encode(text).ids
        == AutoTokenizer.from_pretrained(encoder)(text)["input_ids"]
    )
    assert [fact.split()[0] for fact in facts] == list(values)
    if "do_lower_case" in values:
        assert load_tokenizer(target).encode(text).ids != before


def test_what_tokenizer_config_leaves_open_is_as_in_the_tokenizer(encoder: Path) -> None:
    """AutoTokenizer would lower-case by the default of its class."""
    content = json.loads((encoder / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    (encoder / "tokenizer.json").write_text(json.dumps(content))
    (encoder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    target, facts = copied(encoder)
    assert facts == []
    assert (target / "tokenizer.json").read_bytes() == (encoder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("kind", ["roberta", "modernbert"])
def test_a_blank_before_the_text_as_transformers_reads_it(kind: str, tmp_path: Path) -> None:
    """RoBERTa's class follows the key, ModernBERT's does not."""
    folder = write_encoder(kind, tmp_path / "encoder")
    (folder / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    target, facts = copied(folder)
    found = load_tokenizer(target).encode("film").ids
    assert found == AutoTokenizer.from_pretrained(folder)("film")["input_ids"]
    assert len(facts) == (kind == "roberta")


@pytest.mark.parametrize("lower_cases_text", [True, False])
def test_case_that_the_folder_contradicts_in_a_unigram_tokenizer(
    lower_cases_text: bool, tmp_path: Path
) -> None:
    folder = write_encoder("albert", tmp_path / "encoder")
    config = {"tokenizer_class": "AlbertTokenizer", "do_lower_case": lower_cases_text}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if lower_cases_text:
        assert copied(folder)[1] == []
    else:
        with raises("tokenizer-mismatch", "do_lower_case false", "'Ab'", "'ab'"):
            copied(folder)


def test_a_key_that_transformers_does_not_heed_is_not_heeded(tmp_path: Path) -> None:
    """Multilingual sentence encoders say do_lower_case, and keep the case."""
    folder = write_encoder("xlm-roberta", tmp_path / "encoder")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert copied(folder)[1] == []


FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("key", ["additional_special_tokens", "extra_special_tokens"])
def test_special_tokens_beside_a_tokenizer_stay_whole(key: str, name: str, encoder: Path) -> None:
    before = load_tokenizer(encoder).encode("films").tokens
    file = encoder / name
    content = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(content | {key: ["film"]}))
    target, facts = copied(encoder)
    ids = load_tokenizer(target).encode("the films").ids
    assert ids == AutoTokenizer.from_pretrained(encoder)("the films")["input_ids"]
    assert load_tokenizer(target).encode("films").tokens == ["[CLS]", "film", "s", "[SEP]"]
    assert before != ["[CLS]", "film", "s", "[SEP]"]
    assert facts == [f"taken whole, as {name} says: film"]


def test_tokens_of_added_tokens_decoder_stay_whole(encoder: Path) -> None:
    """With an embedding of their own behind the pieces; the reference is AutoTokenizer."""
    table = "embeddings.word_embeddings.weight"
    size = load_tokenizer(encoder).get_vocab_size()
    change_weights(encoder, lambda tensors: {**tensors, table: torch.zeros(size + 3, 32)})
    set_config(encoder, vocab_size=size + 3)
    listed = {
        str(index): {"content": token.content, "special": True, **FLAGS}
        for index, token in load_tokenizer(encoder).get_added_tokens_decoder().items()
    }
    user = {"content": "<user>", "special": False, **FLAGS, "lstrip": True}
    set_tokenizer_config(encoder, added_tokens_decoder=listed | {str(size): user})
    target, facts = copied(encoder)
    text = "the  <user> film"
    tokenizer = load_tokenizer(target)
    assert tokenizer.encode(text).ids == AutoTokenizer.from_pretrained(encoder)(text)["input_ids"]
    assert tokenizer.token_to_id("<user>") == size
    assert facts == ["taken whole, as tokenizer_config.json says: <user>"]
    set_tokenizer_config(encoder, added_tokens_decoder={str(size + 1): user})
    with raises("tokenizer-mismatch", "<user>", str(size + 1), str(size)):
        copy_encoder(encoder, target)


@pytest.mark.parametrize(
    ("name", "content", "values"),
    [
        ("added_tokens", {"<user>": "58"}, ["added_tokens.json", "<user>", '"58"']),
        ("added_tokens", {"<user>": None}, ["added_tokens.json", "<user>", "null"]),
        ("added_tokens", ["<user>"], ["added_tokens.json"]),
        ("tokenizer_config", {"do_lower_case": "false"}, ["do_lower_case", '"false"']),
        ("tokenizer_config", {"added_tokens_decoder": ["<user>"]}, ["added_tokens_decoder"]),
        ("tokenizer_config", {"added_tokens_decoder": {"5": "a"}}, ["added_tokens_decoder"]),
        ("tokenizer_config", {"extra_special_tokens": "<user>"}, ["extra_special_tokens"]),
        ("tokenizer_config", {"extra_special_tokens": [7]}, ["extra_special_tokens"]),
    ],
)
@pytest.mark.parametrize("has_tokenizer", [True, False])
def test_what_is_written_wrongly_is_named(
    has_tokenizer: bool, name: str, content: object, values: list[str], encoder: Path
) -> None:
    if not has_tokenizer:
        with_vocabulary(encoder, ["the", "film"])
    (encoder / f"{name}.json").write_text(json.dumps(content))
    with raises("file-invalid", f"{name}.json", *values):
        copied(encoder)
