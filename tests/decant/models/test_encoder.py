"""decant.models.encoder: what is accepted, copied and loaded."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
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
from decant.runtime.errors import UserError
from tests.encoder_folders import change_weights, copied, set_config
from tests.errors import raises


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def use_index(folder: Path, content: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content)


def test_weights_in_other_formats_are_told_apart(encoder: Path) -> None:
    (encoder / "model.safetensors").rename(encoder / "weights.bin")
    (encoder / "training_args.bin").write_bytes(b"x")
    with raises("encoder-weights-missing", "weights.bin, which is pickle") as caught:
        check_encoder(encoder)
    assert str(caught.value).count("training_args.bin") == 1


def use_adapter(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "config.json").rename(folder / "adapter_config.json")


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


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize(("layers", "left_out"), [(1, ["1"]), (0, ["0", "1"]), (2, [])])
def test_layers_that_the_model_lacks_are_told(
    prefix: str, layers: int, left_out: list[str], encoder: Path
) -> None:
    """Heads and poolers are left out without a word."""
    change_weights(
        encoder,
        lambda tensors: {
            **{prefix + name: one for name, one in tensors.items()},
            "cls.predictions.bias": torch.zeros(3),
        },
    )
    set_config(encoder, num_hidden_layers=layers)
    _, facts = copied(encoder)
    assert len(facts) == bool(left_out)
    for fact in facts:
        assert ", ".join(f"{prefix}encoder.layer.{number}" for number in left_out) in fact
        assert "num_hidden_layers" in fact and "cls" not in fact


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("encoder.layer.1.output.dense.bias", lambda one: one / 0, "not finite"),
        ("embeddings.word_embeddings.weight", lambda one: one * float("nan"), "not finite"),
        ("encoder.layer.0.output.dense.weight", lambda one: one.to(torch.int8), "torch.int8"),
    ],
)
def test_weights_that_are_no_numbers_are_found_before_training(
    name: str, change: Any, said: str, encoder: Path
) -> None:
    change_weights(encoder, lambda tensors: tensors | {name: change(tensors[name])})
    with raises("encoder-weights-invalid", "model.safetensors", name, said):
        copied(encoder)


@pytest.mark.parametrize("lost", ["all", "[UNK]"])
def test_a_tokenizer_that_cannot_encode_every_text_is_refused(lost: str, encoder: Path) -> None:
    file = encoder / "tokenizer.json"
    content = json.loads(file.read_text())
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {
        piece: index for piece, index in vocabulary.items() if lost not in ("all", piece)
    }
    file.write_text(json.dumps(content))
    with raises("tokenizer-unsuitable", str(encoder), "[UNK]"):
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
            lambda folder: (folder / "model.safetensors").rename(folder / "tf_model.h5"),
            "encoder-weights-missing",
            ["tf_model.h5", "TensorFlow"],
        ),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "training_args.bin"),
            "encoder-weights-missing",
            ["training_args.bin", "not weights"],
        ),
        (use_adapter, "encoder-weights-missing", ["adapter_config.json", "merge_and_unload"]),
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", "abc"),
        ("hidden_size", -1),
        ("num_hidden_layers", 10**9),
        ("num_attention_heads", 0),
        ("vocab_size", 1.5),
        ("vocab_size", True),
        ("max_position_embeddings", 10**12),
        ("max_position_embeddings", [64]),
        ("pad_token_id", -1),
        ("intermediate_size", {}),
        ("num_labels", 10**12),
    ],
)
def test_odd_numbers_of_a_config_are_refused(encoder: Path, name: str, value: object) -> None:
    set_config(encoder, **{name: value})
    with raises("file-invalid", name, str(value), "config.json"):
        check_encoder(encoder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_attention_heads", 5),
        ("hidden_act", "no such one"),
        ("hidden_act", 5),
        ("layer_norm_eps", "small"),
        ("hidden_dropout_prob", []),
        ("type_vocab_size", "two"),
    ],
)
def test_settings_of_which_no_model_can_be_made_are_one_message(
    encoder: Path, name: str, value: object
) -> None:
    set_config(encoder, **{name: value})
    with pytest.raises(UserError) as caught:
        check_filled(encoder)
    assert caught.value.code in ("file-invalid", "encoder-weights-invalid")
    assert str(encoder) in str(caught.value)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"a": ' * 50_000 + "1" + "}" * 50_000, '{"a": ' + "1" * 5000 + "}"]
)
def test_deep_and_endless_json_is_refused(encoder: Path, content: str) -> None:
    (encoder / "config.json").write_text(content)
    with raises("file-invalid", "config.json"):
        check_encoder(encoder)


def test_a_pipe_in_the_folder_is_not_waited_for(encoder: Path) -> None:
    os.mkfifo(encoder / "notes.json")
    check_encoder(encoder)
    (encoder / "config.json").unlink()
    os.mkfifo(encoder / "config.json")
    with raises("encoder-config-missing", "config.json"):
        check_encoder(encoder)
