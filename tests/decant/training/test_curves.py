"""The learning curves, of one target and of several, as DVC reads them."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from torch import Tensor, nn

from decant.data.tokens import TokenRows
from decant.runtime.reporter import Reporter
from decant.tasks.task import Task
from decant.training.curves import write_curves
from decant.training.examples import Examples
from decant.training.fit import fit
from decant.training.losses import label_loss
from tests.decant.tasks.targets import MOOD, SEVERAL, STARS
from tests.decant.training.test_fit import PLAN


class Linear(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(12, 3)
        self.output = nn.Linear(3, outputs)

    def features(self, input_ids: Tensor) -> Tensor:
        return self.embedding(input_ids).mean(dim=1)


def test_of_several_targets_each_has_its_own_curve(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    mood = np.arange(16) % 2
    labels = np.column_stack([mood, draw.integers(0, 2, (16, 3)), draw.normal(size=16)])
    ids = [np.array([1 + row % 2, 3 + row % 7], dtype=np.int32) for row in range(16)]
    rows = Examples(TokenRows.of(ids, labels.astype(np.float32)))
    points: list[str] = []
    result = fit(
        Linear(len(SEVERAL.outputs)),
        SEVERAL,
        rows,
        rows,
        loss=label_loss(SEVERAL),
        plan=PLAN,
        device="cpu",
        pad_id=0,
        seed=0,
        name="student",
        reporter=Reporter(
            step="test",
            console=Console(file=io.StringIO()),
            on_point=lambda curve, *_: points.append(curve),
        ),
    )
    each = [f"validation_{one.metric}_{one.name}" for one in SEVERAL.targets]
    assert {f"student_{name}" for name in each} <= set(points)
    best = result.curves.set_index("epoch").loc[result.best_epoch]
    assert dict(result.validation) == {name: best[name] for name in ("validation_score", *each)}
    weights = [one.weight for one in SEVERAL.targets]
    mean = np.average([result.validation[name] for name in each], weights=weights)
    assert np.isclose(result.validation_score, mean)
    write_curves("student", SEVERAL, result.curves, tmp_path)
    assert set(each) <= set(pd.read_csv(tmp_path / "curves.csv"))


def test_dvc_finds_the_score_of_every_task(tmp_path: Path) -> None:
    for target in (MOOD, STARS):
        column = f"validation_{target.metric}"
        curves = pd.DataFrame(
            {"epoch": [1, 2], "train_loss": 0.5, "validation_loss": 0.4, column: [0.25, 0.75]}
        )
        write_curves("teacher", Task((target,)), curves, tmp_path)
        table = pd.read_csv(tmp_path / "curves.csv")
        assert table["validation_score"].tolist() == table[column].tolist() == [0.25, 0.75]


def test_a_control_of_one_target_has_no_figures_of_the_others() -> None:
    draw = np.random.default_rng(0)
    labels = np.column_stack(
        [np.arange(16) % 2, draw.integers(0, 2, (16, 3)), draw.normal(size=16)]
    )
    ids = [np.array([1 + row % 2, 3 + row % 7], dtype=np.int32) for row in range(16)]
    rows = Examples(TokenRows.of(ids, labels.astype(np.float32)))
    alone = SEVERAL.only(SEVERAL.targets[0].name)
    result = fit(
        Linear(len(SEVERAL.outputs)),
        alone,
        rows,
        rows,
        loss=label_loss(alone),
        plan=PLAN,
        device="cpu",
        pad_id=0,
        seed=0,
        name="alone",
        reporter=Reporter(step="test", console=Console(file=io.StringIO())),
    )
    assert set(result.validation) == {f"validation_{alone.metric}"}
    assert set(result.curves) == {
        "epoch",
        "train_loss",
        "validation_loss",
        f"validation_{alone.metric}",
    }
