"""What a training run hands on: groups, the loss's own parameters, progress, the best epoch."""

import io
from collections.abc import Mapping

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
