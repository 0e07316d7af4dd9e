"""decant.models.encoder: what is accepted, copied and loaded."""

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoTokenizer

from decant.models.encoder import (
    SUPPORTED,
    check_encoder,
    copy_encoder,
    load_encoder,
    load_tokenizer,
    position_limit,
    special_ids,
)
from decant.models.encoder_weights import check_filled
from tests.encoder_kinds import TEXTS, write_encoder
from tests.errors import raises


@pytest.fixture
def encoder(tiny_encoder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))


def set_config(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def change_weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def copied(encoder: Path) -> tuple[Path, list[str]]:
    """The copy, and what was decided."""
    target = encoder.parent / "copied"
    target.mkdir()
    return target, copy_encoder(encoder, target)


def with_vocabulary(encoder: Path, pieces: list[str], **files: object) -> Path:
    """A folder of an older form: vocab.txt, and JSON files of the names given."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (encoder / name).unlink(missing_ok=True)
    listed = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]", *pieces]
    listed += [f"[unused{number}]" for number in range(2, 101)]
    size = len(load_file(encoder / "model.safetensors")["embeddings.word_embeddings.weight"])
    (encoder / "vocab.txt").write_text("\n".join(listed[: size - 1]), "utf-8")
    for name, content in files.items():
        (encoder / f"{name}.json").write_text(json.dumps(content))
    return encoder


def use_index(folder: Path, content: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content)


def test_copies_only_what_is_needed(encoder: Path, tmp_path: Path) -> None:
    (encoder / "README.md").write_text("x")
    (encoder / "pytorch_model.bin").write_bytes(b"x")
    (encoder / "modeling_custom.py").write_text("raise SystemExit")
    target = tmp_path / "copy"
    target.mkdir()
    copy_encoder(encoder, target)
    assert {file.name for file in target.iterdir()} == {
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_loaded_encoder_computes_what_the_saved_one_did(tiny_encoder: Path) -> None:
    ids = torch.tensor([[2, 5, 6, 3]])
    reference = AutoModel.from_pretrained(tiny_encoder).eval()
    loaded = load_encoder(tiny_encoder).eval()
    with torch.no_grad():
        expected = reference(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        found = loaded(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    assert torch.equal(found, expected)
    assert not [name for name, _ in loaded.named_parameters() if "pooler" in name]


def test_special_ids_and_tokenizer(tiny_encoder: Path) -> None:
    ids = special_ids(tiny_encoder)
    assert (ids.pad_id, ids.unk_id, ids.cls_id, ids.sep_id, ids.mask_id) == (0, 1, 2, 3, 4)
    reference = AutoTokenizer.from_pretrained(tiny_encoder)
    text = "The film is superb, and unfunny."
    assert load_tokenizer(tiny_encoder).encode(text).ids == reference(text)["input_ids"]


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


def test_more_embeddings_than_tokens_are_padding(encoder: Path) -> None:
    table = "embeddings.word_embeddings.weight"
    change_weights(encoder, lambda tensors: {**tensors, table: torch.zeros(128, 32)})
    set_config(encoder, vocab_size=128)
    target, _ = copied(encoder)
    assert load_encoder(target).get_input_embeddings().weight.shape[0] == 128


@pytest.mark.parametrize(("table_rows", "vocab_size"), [(90, None), (None, 90), (None, 200)])
def test_a_table_of_another_size_than_the_config_says(
    table_rows: int | None, vocab_size: int | None, encoder: Path
) -> None:
    table = "embeddings.word_embeddings.weight"
    rows = len(load_file(encoder / "model.safetensors")[table])
    if table_rows:
        change_weights(encoder, lambda all_: {**all_, table: all_[table][:table_rows].clone()})
    if vocab_size:
        set_config(encoder, vocab_size=vocab_size)
    found = f"embeddings for {table_rows or rows} tokens"
    with raises("encoder-weights-invalid", found, f"is {vocab_size or rows}"):
        copied(encoder)


@pytest.mark.parametrize("prefix", ["roberta.", "module.", "model.", "module.bert."])
def test_weights_under_a_wrong_prefix_are_found_before_training(prefix: str, encoder: Path) -> None:
    change_weights(encoder, lambda tensors: {prefix + name: one for name, one in tensors.items()})
    with raises("encoder-weights-invalid", f"'{prefix}'", "'bert'", "37 tensors", "model_type"):
        copied(encoder)


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_weights_as_they_are_saved_are_accepted(prefix: str, encoder: Path) -> None:
    """With and without the model's own prefix, a head, and the old names of norms."""
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

    def renamed(name: str) -> str:
        for new, before in old.items():
            name = name.replace(new, before)
        return prefix + name

    expected = load_encoder(encoder).state_dict()
    change_weights(
        encoder,
        lambda tensors: {
            **{renamed(name): one for name, one in tensors.items() if "pooler" not in name},
            "cls.predictions.bias": torch.zeros(3),
        },
    )
    target, _ = copied(encoder)
    loaded = load_encoder(target).state_dict()
    assert all(torch.equal(loaded[name], one) for name, one in expected.items())


def test_missing_weights_are_found_before_training(encoder: Path) -> None:
    set_config(encoder, num_hidden_layers=3)
    with raises("encoder-weights-missing", "16 tensors", "encoder.layer.2."):
        copied(encoder)


def test_weights_of_another_shape_are_found_before_training(encoder: Path) -> None:
    set_config(encoder, intermediate_size=48)
    with raises("encoder-weights-invalid", "intermediate.dense", "[64", "[48"):
        copied(encoder)


@pytest.mark.parametrize("values", [{"hidden_size": "wide"}, {"num_attention_heads": 5}])
def test_a_config_that_describes_no_model(values: dict[str, Any], encoder: Path) -> None:
    set_config(encoder, **values)
    with raises("file-invalid" if "hidden_size" in values else "encoder-weights-invalid"):
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
    ("damage", "code", "values"),
    [
        (
            lambda folder: (folder / "config.json").unlink(),
            "encoder-config-missing",
            ["config.json"],
        ),
        (lambda folder: (folder / "config.json").write_text("{"), "file-invalid", ["config.json"]),
        (
            lambda folder: set_config(folder, model_type="gpt2"),
            "encoder-type-unsupported",
            ["'gpt2'"],
        ),
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            "tokenizer-missing",
            ["tokenizer.json"],
        ),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "encoder-weights-missing",
            ["pytorch_model.bin", "pickle"],
        ),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            "encoder-weights-missing",
            ["none"],
        ),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"garbage, no weights"),
            "encoder-weights-invalid",
            ["model.safetensors"],
        ),
        (
            lambda folder: cut(folder / "model.safetensors"),
            "encoder-weights-invalid",
            ["model.safetensors"],
        ),
        (lambda folder: use_index(folder, "{}"), "encoder-weights-invalid", ["weight_map"]),
        (lambda folder: use_index(folder, "{"), "file-invalid", ["index.json"]),
        (
            lambda folder: use_index(folder, '{"weight_map": {"a": 1}}'),
            "encoder-weights-missing",
            [": 1"],
        ),
    ],
)
def test_refuses(encoder: Path, damage: object, code: str, values: list[str]) -> None:
    damage(encoder)  # type: ignore[operator]
    with raises(code, *values):
        check_encoder(encoder)


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


def test_refuses_weights_of_another_shape(encoder: Path) -> None:
    set_config(encoder, hidden_size=16)
    with raises("encoder-weights-invalid", str(encoder), "size"):
        load_encoder(encoder)


def test_refuses_weights_that_do_not_fill_the_model(encoder: Path) -> None:
    set_config(encoder, num_hidden_layers=3)
    with raises("encoder-weights-missing", "16 tensors"):
        load_encoder(encoder)


def test_sharded_weights(tiny_encoder: Path, encoder: Path, tmp_path: Path) -> None:
    (encoder / "model.safetensors").unlink()
    AutoModel.from_pretrained(tiny_encoder).save_pretrained(encoder, max_shard_size="20KB")
    shards = sorted(file.name for file in encoder.glob("model-*.safetensors"))
    assert len(shards) > 1
    target = tmp_path / "copy"
    target.mkdir()
    copy_encoder(encoder, target)
    assert load_encoder(target).num_parameters() == load_encoder(tiny_encoder).num_parameters()
    (encoder / shards[0]).unlink()
    with raises("encoder-weights-missing", shards[0]):
        check_encoder(encoder)


def test_position_limit(encoder: Path) -> None:
    assert position_limit(encoder) == 64
    set_config(encoder, model_type="roberta", max_position_embeddings=514, pad_token_id=1)
    assert position_limit(encoder) == 512


@pytest.mark.slow
@pytest.mark.parametrize("model_type", SUPPORTED)
def test_every_supported_type_loads_and_runs(
    model_type: str, tiny_encoder: Path, tmp_path: Path
) -> None:
    sizes = {
        "vocab_size": 120,
        "hidden_size": 32,
        "dim": 32,
        "hidden_dim": 64,
        "n_layers": 1,
        "n_heads": 4,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "embedding_size": 32,
        "input_embedding_size": 32,
        "output_embedding_size": 32,
        "max_position_embeddings": 40,
        "pad_token_id": 1,
    }
    if model_type == "mobilebert":
        sizes |= {"intra_bottleneck_size": 32, "true_hidden_size": 32}
    defaults = AutoConfig.for_model(model_type)
    known = {key: value for key, value in sizes.items() if hasattr(defaults, key)}
    AutoModel.from_config(AutoConfig.for_model(model_type, **known)).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny_encoder / name, tmp_path / name)
    assert check_filled(tmp_path) == (120, [])
    encoder = load_encoder(tmp_path).eval()
    length = min(12, position_limit(tmp_path))
    ids = torch.full((2, length), 5)
    states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    assert states.shape == (2, length, encoder.config.hidden_size)
    assert encoder.dtype == torch.float32


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "config.json", "vocab.txt", "spiece.model"]
)
def test_a_git_lfs_pointer_is_named(name: str, encoder: Path) -> None:
    """A clone without git-lfs has pointers in place of the large files."""
    (encoder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d\n")
    with raises("file-placeholder", name, "Git LFS pointer", "git lfs pull"):
        check_encoder(encoder)
