"""decant.models.encoder: what is accepted, copied and loaded."""

import json
import shutil
from pathlib import Path

import pytest
import torch
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
from tests.errors import raises


@pytest.fixture
def encoder(tiny_encoder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))


def set_config(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


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
    encoder = load_encoder(tmp_path).eval()
    length = min(12, position_limit(tmp_path))
    ids = torch.full((2, length), 5)
    states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    assert states.shape == (2, length, encoder.config.hidden_size)
    assert encoder.dtype == torch.float32
