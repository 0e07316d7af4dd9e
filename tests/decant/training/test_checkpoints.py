"""A training that was cut off ends as if it had not been."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from decant.data.tokens import TokenRows
from decant.runtime.reporter import Reporter
from decant.tasks.task import Task
from decant.training import checkpoints
from decant.training.examples import Examples, LengthBuckets
from decant.training.fit import FitResult, TrainingPlan, fit
from decant.training.losses import label_loss
from tests.errors import raises

PLAN = TrainingPlan(
    epochs=4,
    batch_size=4,
    learning_rate=0.05,
    schedule="cosine",
    warmup_share=0.1,
    weight_decay=0.01,
    max_gradient_norm=1.0,
    patience_epochs=4,
    precision="float32",
)


class Model(nn.Module):
    """With dropout, so that the state of the random numbers counts."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(12, 6)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(6, 2)

    def features(self, input_ids: Tensor) -> Tensor:
        return self.dropout(self.embedding(input_ids).mean(dim=1))


def rows() -> Examples:
    ids = [np.array([1 + row % 2, 3 + row % 7, 5 + row % 5], dtype=np.int32) for row in range(30)]
    return Examples(TokenRows.of(ids, [row % 2 for row in range(30)]))


class CutOff(Exception):
    pass


def train(identity: str = "step", *, cut_off_after: int | None = None) -> tuple[Model, FitResult]:
    def on_point(curve: str, epoch: int, value: float) -> None:
        if curve == "model_train_loss" and epoch == (cut_off_after or 0) + 1 and cut_off_after:
            raise CutOff

    reporter = Reporter(
        step="test",
        console=Console(file=io.StringIO()),
        on_point=on_point,
        identity=identity,
    )
    model = Model()
    result = fit(
        model,
        Task.of_classes(["bad", "good"]),
        rows(),
        rows(),
        loss=label_loss(Task.of_classes(["bad", "good"])),
        plan=PLAN,
        device="cpu",
        pad_id=0,
        seed=0,
        name="model",
        reporter=reporter,
    )
    return model, result


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_it_goes_on_and_ends_with_the_same_weights_and_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, whole = train()
    monkeypatch.setenv(checkpoints.VARIABLE, str(tmp_path))
    with pytest.raises(CutOff):
        train(cut_off_after=2)
    (folder,) = tmp_path.iterdir()
    assert any(folder.glob("checkpoint-*/optimizer.pt"))
    partial = folder / "checkpoint-999"  # cut off while it was being written
    partial.mkdir()
    (partial / "trainer_state.json").write_text('{"epoch": ')
    again, resumed = train()
    for name, tensor in weights(model).items():
        torch.testing.assert_close(weights(again)[name], tensor, atol=0, rtol=0)
    pd.testing.assert_frame_equal(resumed.curves, whole.curves)
    assert resumed.best_epoch == whole.best_epoch
    assert not list(tmp_path.iterdir())  # nothing is left behind


def test_another_step_does_not_go_on_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(checkpoints.VARIABLE, str(tmp_path))
    with pytest.raises(CutOff):
        train("one", cut_off_after=1)
    with checkpoints.checkpoints("two", "model") as other:
        assert (other.kept, other.last) == (True, None)
    with checkpoints.checkpoints("one", "other") as other:
        assert other.last is None
    with checkpoints.checkpoints("", "model") as nobodys:
        assert not nobodys.kept
        assert not nobodys.folder.is_relative_to(tmp_path)
    with checkpoints.checkpoints("one", "model") as same:
        assert same.last is not None


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(checkpoints.VARIABLE, str(tmp_path / "file"))
    with (
        raises("path-unwritable", "DECANT_CHECKPOINTS"),
        checkpoints.checkpoints("step", "model"),
    ):
        pass


def test_batches_go_on_where_they_stood() -> None:
    lengths = np.random.default_rng(0).integers(2, 20, 100).astype(np.int32)
    whole, resumed = LengthBuckets(lengths, 8, seed=3), LengthBuckets(lengths, 8, seed=3)
    epochs = []
    for epoch in range(3):
        whole.set_epoch(epoch)
        epochs.append(list(whole))
    assert epochs[0] != epochs[1] != epochs[2]
    resumed.set_epoch(2)
    assert list(resumed) == epochs[2]
