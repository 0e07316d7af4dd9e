"""finetune → transfer_weights → distill → export_onnx through the runner, on the tiny corpus."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from decant.inference.classifier import OnnxClassifier
from decant.models.teacher import Teacher, load_teacher
from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_card
from decant.runtime.identity import content_digest, file_digest
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from decant.students._student import Student, load_student
from tests.errors import raises
from tests.exported_graphs import ExportedGraphs

# Parts of params.yaml that a variant gives whole.
BFLOAT16 = {
    "epochs": 2,
    "batch_size": 32,
    "learning_rate": 0.001,
    "schedule": "cosine",
    "warmup_share": 0.05,
    "weight_decay": 0.0,
    "max_gradient_norm": 1.0,
    "patience_epochs": 3,
    "precision": "bfloat16",
}
CHAIN = ("ingest", "tokenize", "finetune", "transfer_weights", "distill", "export_onnx")


TEXTS = ["a superb story and funny", "the film is dull", "unclever actings !", "it"]


def run_chain(root: Path, params: dict[str, Any], steps: tuple[str, ...] = CHAIN) -> None:
    for name in steps:
        step = load_step(name)
        ports = {port: root / port for port in (*step.input_ports, *step.output_ports)}
        run_step(name, section_of(params, name, step.params), ports)


def link(artifacts: Path, root: Path, *, before: str) -> tuple[str, ...]:
    """Takes over what the steps before one have made; returns the steps that remain."""
    first = CHAIN.index(before)
    for name in CHAIN[:first]:
        for port in load_step(name).output_ports:
            (root / port).symlink_to(artifacts / port)
    return CHAIN[first:]


def changed(params: dict[str, Any], **sections: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(params))
    for name, values in sections.items():
        copy[name] |= values
    return copy


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(cache))


@pytest.fixture(scope="module")
def graphs() -> ExportedGraphs:
    return ExportedGraphs()


@pytest.fixture
def known_graphs(monkeypatch: pytest.MonkeyPatch, graphs: ExportedGraphs) -> None:
    """A variant exports the models that it changes; the others' graphs are there."""
    monkeypatch.setattr("components.export_onnx.step.export_graph", graphs.export_graph)


@pytest.fixture(scope="module")
def artifacts(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_params: dict[str, Any],
    cache: Path,
    graphs: ExportedGraphs,
) -> Path:
    root = tmp_path_factory.mktemp("artifacts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECANT_CACHE", str(cache))
        patch.setattr("components.export_onnx.step.export_graph", graphs.export_graph)
        run_chain(root, tiny_params)
    return root


def test_the_teacher_learns_and_its_curves_are_kept(artifacts: Path) -> None:
    curves = pd.read_csv(artifacts / "teacher" / "curves.csv")
    assert curves["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[0]
    best = read_card(artifacts / "teacher").metrics["validation_accuracy"]
    assert best == pytest.approx(curves["validation_accuracy"].max(), abs=1e-5)
    assert best > 0.8


def test_student_and_control_start_from_the_same_weights(artifacts: Path) -> None:
    start = load_file(artifacts / "initial_student" / "model.safetensors")
    for port in ("student", "undistilled"):
        trained = load_file(artifacts / port / "model.safetensors")
        assert trained.keys() == start.keys()
        assert not np.array_equal(trained["embedding.weight"], start["embedding.weight"])
    rows, columns = start["embedding.weight"].shape
    assert columns == 16
    assert rows == read_card(artifacts / "initial_student").metrics["vocabulary"]


def test_exported_folders_classify_text(artifacts: Path) -> None:
    texts = [
        "a superb story and funny",
        "the film is dull",
        "",
        "moving " * 500,
        "🙂 \uff37\uff29\uff24\uff25",
    ]
    for role in ("teacher", "student", "undistilled"):
        classifier = OnnxClassifier(artifacts / "onnx" / role)
        together = classifier.logits(texts)
        alone = np.concatenate([classifier.logits([text]) for text in texts])
        np.testing.assert_allclose(together, alone, atol=1e-4)
    labels = [
        prediction.label
        for prediction in OnnxClassifier(artifacts / "onnx" / "teacher").predict(texts[:2])
    ]
    assert labels == ["positive", "negative"]


def test_two_runs_give_the_same_digests(
    artifacts: Path, tmp_path: Path, tiny_params: dict[str, Any]
) -> None:
    run_chain(tmp_path, tiny_params)
    ports = [port for name in CHAIN for port in load_step(name).output_ports]
    first = {port: content_digest(artifacts / port) for port in ports}
    assert {port: content_digest(tmp_path / port) for port in ports} == first


def names(variant: dict[str, dict[str, Any]]) -> str:
    return "-".join(key for section in variant.values() for key in section)


@pytest.mark.parametrize(
    "variant",
    [
        {"finetune": {"head": "cnn", "class_weights": "balanced", "frozen": "encoder"}},
        {"finetune": {"head": "fusion"}},
        {"transfer_weights": {"width": 48}},
        {"transfer_weights": {"embeddings": "both", "token_weighting": "sif", "width": 48}},
        {"distill": {"embedding_weight": [2.0, 0.0]}, "transfer_weights": {"min_count": 3}},
    ],
    ids=names,
)
@pytest.mark.slow
@pytest.mark.usefixtures("known_graphs")
def test_a_choice_that_changes_a_graph_goes_through_all_steps(
    variant: dict[str, dict[str, Any]],
    artifacts: Path,
    tmp_path: Path,
    tiny_params: dict[str, Any],
) -> None:
    steps = link(artifacts, tmp_path, before=next(name for name in CHAIN if name in variant))
    run_chain(tmp_path, changed(tiny_params, **variant), steps)
    assert_graphs_answer_as_their_models(tmp_path)


@pytest.mark.parametrize(
    "variant",
    [
        {"finetune": {"consistency_weight": 0.0, "label_smoothing": 0.1}},
        {"transfer_weights": {"embeddings": "input", "encoder": "pretrained", "min_count": 3}},
        {"transfer_weights": {"embeddings": "random"}},
        {"transfer_weights": {"projection": "truncate", "min_count": 0}},
        {
            "distill": {
                "loss": "mse",
                "hard_label_weight": [0.0, 0.5],
                "transfer_rows": 0,
                "epoch_rows": 1,
            }
        },
        {"distill": {"temperature": [4.0, 1.0], "hidden_weight": [1.0, 0.0]}},
        {"distill": {"hidden_weight": 1.0, "embedding_weight": 1.0, "training": BFLOAT16}},
    ],
    ids=names,
)
@pytest.mark.slow
def test_a_choice_that_changes_weights_trains_another_student(
    variant: dict[str, dict[str, Any]],
    artifacts: Path,
    tmp_path: Path,
    tiny_params: dict[str, Any],
) -> None:
    steps = link(artifacts, tmp_path, before=next(name for name in CHAIN if name in variant))
    run_chain(tmp_path, changed(tiny_params, **variant), steps[:-1])  # the graphs are the same
    weights, others = (
        load_file(root / "student" / "model.safetensors") for root in (tmp_path, artifacts)
    )
    assert weights.keys() == others.keys()
    assert not np.array_equal(weights["output.weight"], others["output.weight"])  # it took effect
    assert all(np.isfinite(weight).all() for weight in weights.values())


def assert_graphs_answer_as_their_models(root: Path) -> None:
    """Float32 graphs of teacher and student on text, against PyTorch one text at a time."""
    onnx = root / "onnx"
    smaller_won = (onnx / "student_float32").exists()
    for port, role in (
        ("teacher", "teacher"),
        ("student", "student_float32" if smaller_won else "student"),
    ):
        model = load_teacher(root / port) if port == "teacher" else load_student(root / port)
        expected = answers(model, root / port, TEXTS)
        np.testing.assert_allclose(OnnxClassifier(onnx / role).logits(TEXTS), expected, atol=1e-4)


def answers(model: Teacher | Student, folder: Path, texts: Sequence[str]) -> Any:
    """Logits (texts, classes), one text at a time, by the tokenizer in the model's folder."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [torch.tensor([tokenizer.encode(text).ids]) for text in texts]
    with torch.inference_mode():
        return torch.cat([model(row) for row in rows]).numpy()


def same_bits(one: Path, other: Path, prefix: str = "") -> set[str]:
    """Names of the tensors that are equal in two folders; in the second they have a prefix."""
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    return {name for name in first if np.array_equal(first[name], second.get(prefix + name))}


@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["none", "embeddings", "encoder"])
def test_a_teacher_keeps_the_frozen_part_of_its_encoder_and_nothing_else(
    frozen: str, artifacts: Path, tmp_path: Path, tiny_params: dict[str, Any]
) -> None:
    link(artifacts, tmp_path, before="finetune")
    plan = tiny_params["finetune"]["training"] | {"epochs": 1}
    params = changed(tiny_params, finetune={"frozen": frozen, "training": plan})
    run_chain(tmp_path, params, ("finetune",))
    taught = load_file(tmp_path / "teacher" / "model.safetensors")
    encoder = {name.removeprefix("encoder.") for name in taught if name.startswith("encoder.")}
    expected = {
        "none": set(),
        "embeddings": {name for name in encoder if name.startswith("embeddings.")},
        "encoder": encoder,
    }
    assert same_bits(tmp_path / "encoder", tmp_path / "teacher", "encoder.") == expected[frozen]
    assert len(expected["embeddings"]) == 5  # words, positions, types, the norm's two
    assert taught["output.bias"].all()  # it starts at 0


@pytest.mark.slow
@pytest.mark.usefixtures("known_graphs")
def test_a_student_keeps_its_frozen_embeddings_and_layers_and_nothing_else(
    artifacts: Path, tmp_path: Path, tiny_params: dict[str, Any]
) -> None:
    transfer = {"freeze_embeddings": True, "freeze_layers": True, "layer_matrix": "intermediate"}
    params = changed(
        tiny_params,
        transfer_weights=transfer | {"vocabulary_size": 30},
        distill={"transfer_rows": 0, "epoch_rows": 1},
    )
    run_chain(tmp_path, params, link(artifacts, tmp_path, before="transfer_weights"))
    for port in ("student", "undistilled"):
        assert same_bits(tmp_path / "initial_student", tmp_path / port) == {
            "embedding.weight",
            *(
                f"body.convolutions.convolutions.{i}.{w}"
                for i in (0, 1)
                for w in ("weight", "bias")
            ),
        }
    assert_graphs_answer_as_their_models(tmp_path)


def bilstm_candidate(student: Student, teacher: Teacher) -> tuple[Tensor, Tensor]:
    """The last of the four gates' blocks of the forward direction."""
    candidate = student.get_parameter("body.layers.0.input_weights")[0, 24:]
    return candidate, value_matrix(teacher)[:8]


def gated_candidate(student: Student, teacher: Teacher) -> tuple[Tensor, Tensor]:
    """The tap that meets the token itself, of the forward direction."""
    return student.get_parameter("body.candidates.weight")[:8, :, 1], value_matrix(teacher)[:8]


def static_layer(student: Student, teacher: Teacher) -> tuple[Tensor, Tensor]:
    return student.get_parameter("body.hidden.weight"), value_matrix(teacher)[:12]


def value_matrix(teacher: Teacher) -> nn.Parameter:
    return teacher.encoder.get_parameter("encoder.layer.0.attention.self.value.weight")


def mean_states(student: Student, teacher: Teacher) -> tuple[Tensor, Tensor]:
    ids = torch.tensor([[2, 9, 14, 30, 3, 0, 0], [2, 8, 21, 22, 17, 40, 3]])
    return student.features(ids), teacher.features(ids)


# Of a student as wide as its teacher: what must be equal in the two.
ARCHITECTURES: dict[str, tuple[dict[str, Any], Callable[..., tuple[Tensor, Tensor]]]] = {
    "bilstm": ({"units": 8}, bilstm_candidate),
    "gated": ({"units": 8}, gated_candidate),
    "static": ({"hidden": 12}, static_layer),
    "transformer": (
        {"layers": 2, "heads": 4, "head_size": 8, "intermediate": 64},
        mean_states,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.usefixtures("known_graphs")
def test_an_architecture_starts_from_its_teacher_and_goes_through_all_steps(
    name: str, artifacts: Path, tmp_path: Path, tiny_params: dict[str, Any]
) -> None:
    options, parts = ARCHITECTURES[name]
    once = {"epochs": 1}
    params = changed(
        tiny_params,
        transfer_weights={
            "architecture": name,
            "layer_matrix": "none" if name == "transformer" else "value",
            "embeddings": "input",
            "projection": "truncate",
            "embedding_std": None,
            "width": 32,
            "vocabulary_size": None,
        },
        distill={
            "transfer_rows": 0,
            "epoch_rows": 1,
            "training": tiny_params["distill"]["training"] | once,
            "undistilled_training": tiny_params["distill"]["undistilled_training"] | once,
        },
    )
    params["transfer_weights"]["students"][name] |= options
    run_chain(tmp_path, params, link(artifacts, tmp_path, before="transfer_weights"))
    with torch.inference_mode():
        of_student, of_teacher = parts(
            load_student(tmp_path / "initial_student"), load_teacher(tmp_path / "teacher")
        )
    torch.testing.assert_close(of_student, of_teacher, atol=1e-5, rtol=1e-4)
    for port in ("student", "undistilled"):
        assert "output.weight" not in same_bits(tmp_path / "initial_student", tmp_path / port)
    assert_graphs_answer_as_their_models(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("known_graphs")
def test_a_second_member_leaves_the_main_teacher_as_it_is(
    artifacts: Path, tmp_path: Path, tiny_params: dict[str, Any]
) -> None:
    for port in ("corpus", "encoder", "tokens"):
        (tmp_path / port).symlink_to(artifacts / port)
    run_chain(tmp_path, changed(tiny_params, finetune={"members": 2}), CHAIN[2:])
    alone, main = artifacts / "teacher", tmp_path / "teacher"
    second = main / "members" / "2"
    for file in ("model.safetensors", "teacher.json", "tokenizer.json", "curves.csv"):
        assert (main / file).read_bytes() == (alone / file).read_bytes()
    assert file_digest(second / "model.safetensors") != file_digest(main / "model.safetensors")
    tuned = read_card(main).metrics
    assert tuned["validation_accuracy"] == read_card(alone).metrics["validation_accuracy"]
    assert tuned["member_2_validation_accuracy"] > 0.8
    student = load_file(tmp_path / "student" / "model.safetensors")["output.weight"]
    assert not np.array_equal(
        student, load_file(artifacts / "student" / "model.safetensors")["output.weight"]
    )
    OnnxClassifier(tmp_path / "onnx" / "student").predict(["a lovely film"])


@pytest.mark.slow
def test_a_masked_lm_head_replaces_words(
    tmp_path: Path, tiny_encoder: Path, tiny_params: dict[str, Any]
) -> None:
    from transformers import BertConfig, BertForMaskedLM

    encoder = shutil.copytree(tiny_encoder, tmp_path / "with_head")
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig.from_pretrained(encoder)).save_pretrained(encoder)
    augmentation = tiny_params["distill"]["augmentation"] | {"replace_with": "masked_lm"}
    source = {"encoder": str(encoder), "local_encoder": str(encoder)}
    params = changed(tiny_params, ingest=source, distill={"augmentation": augmentation})
    run_chain(tmp_path / "root", params)
    OnnxClassifier(tmp_path / "root" / "onnx" / "student").predict(["a lovely film"])


@pytest.mark.usefixtures("known_graphs")
def test_a_failed_step_leaves_no_output(
    artifacts: Path, tmp_path: Path, tiny_params: dict[str, Any]
) -> None:
    for port in ("tokens", "teacher", "student", "undistilled"):
        (tmp_path / port).symlink_to(artifacts / port)
    bad = changed(tiny_params, export_onnx={"max_logit_difference": 1e-12})
    with raises("export-parity", "teacher", "1e-12"):
        run_chain(tmp_path, bad, ("export_onnx",))
    assert not (tmp_path / "onnx").exists()
    assert not list(tmp_path.glob(".*partial*"))
