"""What a training run hands on: groups, the loss's own parameters, progress, the best epoch."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from decant.data.tokens import TokenRows
from decant.runtime.reporter import Reporter
from decant.tasks.task import Task
from decant.training.examples import Examples
from decant.training.fit import FitResult, TrainingPlan, default_groups, fit
from decant.training.losses import DistillationLoss, Loss, label_loss
from tests.errors import raises

TASK = Task.of_classes(["bad", "good"])
PLAN = TrainingPlan(
    epochs=2,
    batch_size=4,
    learning_rate=0.1,
    schedule="constant_with_warmup",
    warmup_share=0.0,
    weight_decay=0.5,
    max_gradient_norm=1.0,
    patience_epochs=5,
    precision="float32",
)


class MeanOfEmbeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(12, 3)
        self.output = nn.Linear(3, 2)

    def features(self, input_ids: Tensor) -> Tensor:
        return self.embedding(input_ids).mean(dim=1)

    def forward(self, input_ids: Tensor) -> Tensor:
        logits: Tensor = self.output(self.features(input_ids))
        return logits


def examples(rows: int = 16, **targets: list[np.ndarray]) -> Examples:
    """Rows of one length; the first id gives the label away."""
    ids = [np.array([1 + row % 2, 3 + row % 7], dtype=np.int32) for row in range(rows)]
    return Examples(TokenRows.of(ids, [row % 2 for row in range(rows)]), **targets)


def train(model: nn.Module, loss: Loss, rows: Examples, plan: TrainingPlan = PLAN) -> FitResult:
    return fit(
        model,
        TASK,
        rows,
        rows,
        loss=loss,
        plan=plan,
        device="cpu",
        pad_id=0,
        seed=0,
        name="model",
        reporter=Reporter(step="test", console=Console(file=io.StringIO())),
        parameter_groups=default_groups(model, plan),
    )


def test_groups_spare_biases_and_slow_one_part() -> None:
    model = MeanOfEmbeddings()
    groups = default_groups(model, PLAN, slower=model.embedding, share=0.1)
    of = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert of[id(model.embedding.weight)] == (pytest.approx(0.01), 0.5)
    assert of[id(model.output.weight)] == (0.1, 0.5)
    assert of[id(model.output.bias)] == (0.1, 0.0)


def test_the_loss_hears_how_much_of_the_training_is_over() -> None:
    heard = []

    def loss(
        logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        if logits.requires_grad:
            heard.append(progress)
        return logits.square().mean()

    train(MeanOfEmbeddings(), loss, examples())
    assert heard == [step / 8 for step in range(8)]  # 2 epochs of 4 batches


def test_the_map_of_hidden_matching_is_trained_with_the_model() -> None:
    random = np.random.default_rng(0)
    rows = examples(
        teacher_logits=[random.normal(size=(n, 2)).astype(np.float32) for n in (10, 6)],
        teacher_features=[random.normal(size=(n, 5)).astype(np.float16) for n in (10, 6)],
    )
    loss = DistillationLoss(
        TASK,
        "mse",
        temperature=1.0,
        hard_label_weight=0.0,
        hidden_weight=1.0,
        features=3,
        teacher_features=5,
    )
    assert loss.map is not None
    before = loss.map.weight.detach().clone()
    model = MeanOfEmbeddings()
    train(model, loss, rows)
    assert not torch.equal(loss.map.weight, before)
    assert all(not name.startswith("loss") for name in model.state_dict())


def test_the_model_has_the_weights_of_the_best_epoch() -> None:
    model, rows = MeanOfEmbeddings(), examples()
    result = train(model, label_loss(TASK), rows)
    ids = torch.from_numpy(np.stack(list(rows.rows))).long()
    with torch.inference_mode():
        right = (model(ids).argmax(1).numpy() == rows.rows.labels).mean()
    assert result.curves["epoch"].tolist() == [1, 2]
    assert right == pytest.approx(result.validation_score)
    assert result.validation_score == result.curves["validation_accuracy"].max()


def soft() -> Loss:
    return DistillationLoss(
        TASK,
        "mse",
        temperature=1.0,
        hard_label_weight=0.0,
        hidden_weight=0.0,
        features=3,
        teacher_features=0,
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_at_once_and_keeps_the_batch(
    number: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row of the teacher's answers is damaged; the batch that has it is the one."""
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path))
    ids = [np.array([1 + row % 2, 3 + row % 7], dtype=np.int32) for row in range(16)]
    ids[13] = np.array([2, 11], dtype=np.int32)
    answers = np.zeros((16, 2), dtype=np.float32)
    answers[13, 1] = number
    rows = Examples(TokenRows.of(ids, [row % 2 for row in range(16)]), teacher_logits=[answers])
    model = MeanOfEmbeddings()
    with raises("training-diverged", "model", "epoch 1", str(tmp_path), "learning_rate") as caught:
        train(model, soft(), rows)
    (file,) = (tmp_path / "diverged").glob("*.json")
    kept = json.loads(file.read_text("utf-8"))
    assert f"step {kept['step']}" in str(caught.value) and str(file) in str(caught.value)
    (found,) = [row for row in kept["batch"] if row["row"] == 13]
    assert found["input_ids"] == [2, 11] and len(kept["batch"]) == 4
    assert found["teacher_logits"] == [0.0, f"{number:g}"]
    assert "batch_before" not in kept
    assert all(torch.isfinite(weights).all() for weights in model.parameters())


def test_weights_that_are_no_numbers_name_the_batch_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path))

    def loss(
        logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        """The square root has an infinite slope at 0: the loss is finite, its gradient is not."""
        return (logits * 0).abs().sqrt().sum()

    with raises("training-diverged", "step 2", "embedding.weight", "step before"):
        train(MeanOfEmbeddings(), loss, examples())
    (file,) = (tmp_path / "diverged").glob("*.json")
    kept = json.loads(file.read_text("utf-8"))
    assert (kept["step"], len(kept["batch"]), len(kept["batch_before"])) == (2, 4, 4)


def test_the_last_steps_weights_are_looked_at_too() -> None:
    """Validation follows it, and then the model is handed on."""

    def loss(
        logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        if not logits.requires_grad:
            return logits.new_tensor(0.5)
        return (logits * 0).abs().sqrt().sum()

    with raises("training-diverged", "after epoch 1"):
        train(MeanOfEmbeddings(), loss, examples(rows=4))  # one batch
