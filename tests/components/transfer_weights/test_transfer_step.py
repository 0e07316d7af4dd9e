"""The whole step: what stands in the student's table and layers, against the encoder's own."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tokenizers import Tokenizer
from torch import nn

from components.tokenize.vocabulary_statistics import vocabulary_table, write_vocabulary
from components.transfer_weights.contract import Inputs, Outputs, Params
from components.transfer_weights.step import run
from decant.data.corpus import Schema, write_schema
from decant.data.tokens import TokenRows, TokensInfo, write_info
from decant.models.encoder import load_encoder
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse
from decant.students._student import Student, load_student
from decant.tasks.task import Task
from decant.training.examples import Examples
from decant.training.fit import TrainingPlan, default_groups, fit
from decant.training.losses import label_loss
from tests.errors import raises

Transfer = Callable[..., Student]


@pytest.fixture
def transfer(tmp_path: Path, tiny_encoder: Path) -> Transfer:
    """The student that the step makes: all pieces, nothing drawn by chance, some values changed."""
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    tokenizer = Tokenizer.from_file(str(tiny_encoder / "tokenizer.json"))
    tokenizer.save(str(tokens / "tokenizer.json"))
    size = tokenizer.get_vocab_size()
    counts = np.random.default_rng(0).integers(1, 99, size=(2, size))
    write_vocabulary(tokens, vocabulary_table(tokenizer, *counts))
    write_info(
        tokens,
        TokensInfo(
            max_length_tokens=16,
            vocabulary_size=size,
            pad_id=0,
            unk_id=1,
            cls_id=2,
            sep_id=3,
            mask_id=4,
        ),
    )
    write_schema(tokens, Schema(task=Task.of_classes(("a", "b")), text_column="text"))

    def make(encoder: Path, options: dict[str, Any] | None = None, **changes: Any) -> Student:
        section = section_of(read_params_file(PROJECT / "params.yaml"), "transfer_weights", Params)
        section |= {"encoder": "pretrained", "precision": "float32", "vocabulary_size": None}
        section |= changes
        section["students"][section["architecture"]] |= options or {}
        target = tmp_path / "initial_student"
        target.mkdir(exist_ok=True)
        torch.manual_seed(0)
        run(
            parse(Params, section, "transfer_weights"),
            Inputs(tokens=tokens, encoder=encoder, teacher=tmp_path / "no teacher"),
            Outputs(initial_student=target),
            Reporter(step="transfer_weights", console=Console(file=io.StringIO())),
        )
        return load_student(target)

    return make


@pytest.fixture
def narrow_embeddings(tmp_path: Path, tiny_encoder: Path) -> Path:
    """An ELECTRA whose embeddings are 4 wide and its layers 6."""
    from transformers import ElectraConfig, ElectraModel

    folder = tmp_path / "electra"
    torch.manual_seed(0)
    config = ElectraConfig(
        vocab_size=len(load_encoder(tiny_encoder).get_input_embeddings().weight),
        embedding_size=4,
        hidden_size=6,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    ElectraModel(config).save_pretrained(folder)
    for file in tiny_encoder.glob("*token*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def first_matrix(encoder: nn.Module) -> nn.Linear:
    dense = encoder.get_submodule("encoder.layer.0.intermediate.dense")
    assert isinstance(dense, nn.Linear)
    return dense


def test_beside_contextual_embeddings_a_matrix_reads_the_input_embeddings(
    transfer: Transfer, tiny_encoder: Path
) -> None:
    student = transfer(
        tiny_encoder,
        {"hidden": 64},
        architecture="static",
        embeddings="both",
        width=64,  # twice the encoder's: nothing is lost
        layer_matrix="intermediate",
    )
    encoder = load_encoder(tiny_encoder)
    with torch.no_grad():
        got = student.body.hidden(student.embedding.weight)  # type: ignore[operator]
        expected = first_matrix(encoder)(encoder.get_input_embeddings().weight)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_truncation_takes_as_much_of_both_tables(transfer: Transfer, tiny_encoder: Path) -> None:
    settings = {"projection": "truncate", "embedding_std": None}
    both, *alone = (
        transfer(tiny_encoder, embeddings=name, width=width, **settings).embedding.weight.detach()
        for name, width in (("both", 17), ("input", 9), ("contextual", 8))
    )
    for columns, table in zip((both[:, :9], both[:, 9:]), alone, strict=True):
        factor = columns[9, 0] / table[9, 0]
        torch.testing.assert_close(columns, table * factor, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("embeddings", ["input", "both"])
def test_layers_of_another_width_than_the_input_embeddings_are_refused(
    embeddings: str, transfer: Transfer, narrow_embeddings: Path
) -> None:
    with raises("transfer-mismatch", "6", "4", "contextual"):
        transfer(narrow_embeddings, embeddings=embeddings, width=8, layer_matrix="intermediate")


def test_such_layers_read_contextual_embeddings(
    transfer: Transfer, narrow_embeddings: Path
) -> None:
    student = transfer(
        narrow_embeddings,
        {"hidden": 8},
        architecture="static",
        embeddings="contextual",
        width=6,
        embedding_std=None,
        layer_matrix="intermediate",
    )
    dense = first_matrix(load_encoder(narrow_embeddings))
    torch.testing.assert_close(student.body.hidden.weight, dense.weight)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("embeddings", "values"),
    [
        ("input", ["layers", "6", "4"]),
        ("contextual", ["positions", "4", "6"]),
        ("both", ["layers", "6", "4"]),
    ],
)
def test_a_transformer_cannot_copy_layers_of_another_width_than_the_positions(
    embeddings: str, values: list[str], transfer: Transfer, narrow_embeddings: Path
) -> None:
    settings = {"architecture": "transformer", "embeddings": embeddings, "width": 6}
    with raises("transfer-mismatch", *values, "copied_layers"):
        transfer(narrow_embeddings, {"head_size": 3}, **settings)
    student = transfer(narrow_embeddings, {"copied_layers": "none"}, **settings)
    assert student.body.output_size == 6


@pytest.mark.parametrize(
    ("architecture", "matrix", "options"),
    [
        ("cnn", "intermediate", {}),
        ("bilstm", "value", {}),
        ("gated", "value", {}),
        ("transformer", "none", {"copied_layers": "even"}),
    ],
)
def test_random_embeddings_take_no_layer(
    architecture: str,
    matrix: str,
    options: dict[str, Any],
    transfer: Transfer,
    tiny_encoder: Path,
) -> None:
    settings = {"architecture": architecture, "embeddings": "random", "width": 200}
    with raises("parameter-conflict", "random", "copied_layers"):
        transfer(tiny_encoder, options, layer_matrix=matrix, **settings)
    options = {"copied_layers": "none"} if options else {}
    student = transfer(tiny_encoder, options, embedding_std=2.0, **settings)
    assert student.embedding.weight.std().item() == pytest.approx(2.0, rel=0.03)


KERNELS = "body.convolutions.convolutions"
# What BERT's 64 rows, 2 layers, 4 heads fill whole.
FILLED: list[tuple[str, dict[str, Any], set[str]]] = [
    (
        "cnn",
        {"filters": 32, "kernel_widths": [1, 2, 3]},
        {f"{KERNELS}.{kernel}.{part}" for kernel in (0, 1) for part in ("weight", "bias")},
    ),
    (
        "bilstm",
        {"units": 32, "layers": 2},
        {f"body.layers.0.{name}" for name in ("input_weights", "recurrent_weights", "biases")},
    ),
    ("gated", {"units": 32}, {"body.candidates.weight", "body.candidates.bias"}),
    ("static", {"hidden": 64}, {"body.hidden.weight", "body.hidden.bias"}),
]


@pytest.mark.parametrize(("architecture", "options", "frozen"), FILLED)
def test_training_leaves_frozen_layers_bit_by_bit(
    architecture: str,
    options: dict[str, Any],
    frozen: set[str],
    transfer: Transfer,
    tiny_encoder: Path,
) -> None:
    settings = {"architecture": architecture, "layer_matrix": "intermediate", "width": 16}
    student = transfer(tiny_encoder, options, freeze_layers=True, **settings)
    assert trained(student) == frozen
    free = transfer(tiny_encoder, options, **settings)
    assert trained(free) == set()


def test_training_leaves_a_frozen_transformer_and_its_table(
    transfer: Transfer, tiny_encoder: Path
) -> None:
    options = {"heads": 4, "head_size": 8, "intermediate": 64}
    settings = {"architecture": "transformer", "freeze_layers": True, "width": 16}
    student = transfer(tiny_encoder, options, **settings)
    encoder = {name for name, _ in student.named_parameters() if name.startswith("body.")}
    assert trained(student) == encoder
    assert len(encoder) == 15  # positions, a norm, and 6 parts of a layer, each two tensors
    still = transfer(tiny_encoder, options, freeze_embeddings=True, **settings)
    assert trained(still) == encoder | {"embedding.weight"}


def trained(student: Student) -> set[str]:
    """Trains on random rows, with weight decay; the parameters that have kept all their bits."""
    draw = np.random.default_rng(0)
    rows = [draw.integers(5, 90, size=6).astype(np.int32) for _ in range(32)]
    examples = Examples(TokenRows.of(rows, draw.integers(0, 2, size=32)))
    plan = TrainingPlan(
        epochs=1,
        batch_size=8,
        learning_rate=0.01,
        schedule="constant_with_warmup",
        warmup_share=0.0,
        weight_decay=0.1,
        max_gradient_norm=1.0,
        patience_epochs=1,
        precision="float32",
    )
    task = Task.of_classes(("a", "b"))
    before = {name: one.detach().clone() for name, one in student.named_parameters()}
    fit(
        student,
        task,
        examples,
        examples,
        loss=label_loss(task),
        plan=plan,
        device="cpu",
        pad_id=student.config.pad_id,
        seed=0,
        name="student",
        reporter=Reporter(step="test", console=Console(file=io.StringIO())),
        parameter_groups=default_groups(student, plan, slower=student.embedding, share=0.5),
    )
    return {name for name, one in student.named_parameters() if torch.equal(one, before[name])}


@pytest.mark.parametrize(
    ("architecture", "options", "partial"),
    [
        ("cnn", {"filters": 40, "kernel_widths": [1, 2, 3]}, "convolutions.convolutions.1"),
        ("bilstm", {"units": 33}, "layers.0.input_weights"),
        ("gated", {"units": 33}, "candidates.weight, candidates.bias"),
        ("static", {"hidden": 65}, "hidden.weight, hidden.bias"),
        (
            "transformer",
            {"heads": 5, "head_size": 8},
            "encoder.layers.0.attention_in.weight, encoder.layers.0.attention_in.bias, "
            "encoder.layers.0.intermediate.weight, encoder.layers.0.intermediate.bias",
        ),
    ],
)
def test_what_is_filled_in_part_cannot_be_frozen(
    architecture: str,
    options: dict[str, Any],
    partial: str,
    transfer: Transfer,
    tiny_encoder: Path,
) -> None:
    matrix = "none" if architecture == "transformer" else "intermediate"
    with raises("parameter-conflict", "freeze_layers", partial):
        transfer(
            tiny_encoder,
            options,
            architecture=architecture,
            layer_matrix=matrix,
            freeze_layers=True,
        )


@pytest.mark.parametrize("embeddings", ["both", "random"])
def test_where_nothing_is_transferred_nothing_can_be_frozen(
    embeddings: str, transfer: Transfer, tiny_encoder: Path
) -> None:
    with raises("parameter-conflict", "freeze_layers", "layer_matrix"):
        transfer(tiny_encoder, embeddings=embeddings, freeze_layers=True)
