"""The exported graph answers as PyTorch does, and one that does not stops the run."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from components.export_onnx.graph import export_graph
from components.export_onnx.parity import ParityLimits, check_parity
from decant.data.tokens import TokenRows
from decant.tasks.task import Task
from tests.errors import raises

TASK = Task.of_classes(["one", "two", "three"])
LIMITS = ParityLimits(rows=40, max_logit_difference=1e-3, min_label_agreement=1.0)


class BagOfTokens(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(30, 3)
        self.scale = scale

    def forward(self, ids: Tensor) -> Tensor:
        keep = (ids != 0).unsqueeze(2).float()
        logits: Tensor = self.scale * (self.table(ids) * keep).sum(1) / keep.sum(1)
        return logits


@pytest.fixture(scope="module")
def rows() -> TokenRows:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, size=50)
    return TokenRows.of(
        (random.integers(1, 30, size=length).astype(np.int32) for length in lengths), [0] * 50
    )


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_graph(BagOfTokens(), file, pad_id=0, opset=20)
    return file


def test_parity_over_batches_and_single_rows(graph: Path, rows: TokenRows) -> None:
    parity = check_parity(BagOfTokens(), TASK, graph, rows, pad_id=0, limits=LIMITS, role="student")
    assert parity.rows == 40
    assert parity.max_logit_difference < 1e-5
    assert parity.label_agreement == 1.0


def test_a_graph_that_answers_otherwise_stops_the_run(graph: Path, rows: TokenRows) -> None:
    with raises("export-parity", "student", "1e-03"):
        check_parity(BagOfTokens(1.1), TASK, graph, rows, pad_id=0, limits=LIMITS, role="student")
    with raises("export-parity", "student", "0.00%"):
        check_parity(BagOfTokens(-1.0), TASK, graph, rows, pad_id=0, limits=LIMITS, role="student")


def test_a_graph_of_nan_stops_the_run(graph: Path, rows: TokenRows) -> None:
    with raises("export-parity", "student", "25.00%"):
        check_parity(
            BagOfTokens(float("nan")), TASK, graph, rows, pad_id=0, limits=LIMITS, role="student"
        )


def test_the_same_weights_give_the_same_bytes_without_this_machines_paths(
    graph: Path, tmp_path: Path
) -> None:
    export_graph(BagOfTokens(), tmp_path / "again.onnx", pad_id=0, opset=20)
    content = graph.read_bytes()
    assert (tmp_path / "again.onnx").read_bytes() == content
    assert str(Path(__file__).parent).encode() not in content
    assert b"site-packages" not in content


def test_batch_and_length_are_free(graph: Path) -> None:
    shape = onnx.load(graph).graph.input[0].type.tensor_type.shape
    assert [dimension.dim_param for dimension in shape.dim] == ["batch", "length"]
