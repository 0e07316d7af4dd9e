"""What teachers say of shards: averaged, cached shard by shard, counted."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from components.distill.soft_targets import SoftTargets, soft_targets
from components.shared.encoders import load_encoder
from components.shared.errors import UserError
from components.shared.reporter import Reporter
from components.shared.teacher import MEMBERS, Teacher, TeacherConfig, load_teacher, save_teacher
from components.shared.tokens import TokenRows, pad


def write_teacher(folder: Path, encoder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    config = TeacherConfig(
        head="linear",
        head_options={"pooling": "mean", "dropout": 0.1},
        labels=("a", "b"),
        pad_id=0,
        max_length_tokens=16,
    )
    teacher = Teacher(load_encoder(encoder), config)
    torch.nn.init.normal_(teacher.output.weight)
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(encoder / name, folder / name)
    save_teacher(teacher, folder)


@pytest.fixture
def teacher(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    write_teacher(tmp_path / "teacher", tiny_encoder, 0)
    return tmp_path / "teacher"


def shard(seed: int, rows: int = 5) -> TokenRows:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 8, size=rows)
    ids = [np.r_[2, random.integers(5, 40, size=length), 3].astype(np.int32) for length in lengths]
    return TokenRows.of(ids, [-1] * rows)


SHARDS = [shard(0), shard(1, 3)]


def ask(
    teacher: Path, shards: list[TokenRows], *, features: bool = False
) -> tuple[SoftTargets, dict[str, float]]:
    reporter = Reporter(step="distill", console=Console(file=io.StringIO()))
    said = soft_targets(
        teacher,
        shards,
        features=features,
        device=torch.device("cpu"),
        bfloat16=False,
        reporter=reporter,
    )
    return said, reporter.measures


def answers(folder: Path, rows: TokenRows) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(load_teacher(folder)(torch.from_numpy(pad(rows, 0))))


def test_logits_are_the_teachers_own_and_lie_in_files(teacher: Path) -> None:
    said, _ = ask(teacher, SHARDS)
    for got, rows in zip(said.logits, SHARDS, strict=True):
        assert isinstance(got, np.memmap)
        np.testing.assert_allclose(got, answers(teacher, rows), atol=1e-5)
    assert said.features == []


def test_only_new_shards_are_labelled_and_counted(teacher: Path) -> None:
    first, measures = ask(teacher, SHARDS)
    assert (measures["labelled_shards_computed"], measures["labelled_shards"]) == (2, 2)
    assert measures["labelling_seconds"] > 0
    again, measures = ask(teacher, [*SHARDS, shard(2)])
    assert (measures["labelled_shards_computed"], measures["labelled_shards"]) == (1, 3)
    _, measures = ask(teacher, SHARDS)
    assert (measures["labelled_shards_computed"], measures["labelling_seconds"]) == (0, 0)
    for one, other in zip(first.logits, again.logits, strict=False):
        np.testing.assert_array_equal(one, other)


def test_members_logits_are_averaged_and_features_are_the_main_teachers(
    teacher: Path, tiny_encoder: Path
) -> None:
    write_teacher(teacher / MEMBERS / "2", tiny_encoder, 1)
    said, measures = ask(teacher, SHARDS, features=True)
    both = [answers(folder, SHARDS[0]) for folder in (teacher, teacher / MEMBERS / "2")]
    assert np.abs(both[0] - both[1]).max() > 0.1
    np.testing.assert_allclose(said.logits[0], (both[0] + both[1]) / 2, atol=1e-5)
    with torch.inference_mode():
        expected = load_teacher(teacher).features(torch.from_numpy(pad(SHARDS[0], 0)))
    assert said.features[0].dtype == np.float16
    np.testing.assert_allclose(said.features[0], expected, atol=5e-3)
    assert measures["labelled_shards_computed"] == 6  # two members' logits, the features


def test_a_teacher_that_diverged_is_refused(teacher: Path) -> None:
    diverged = load_teacher(teacher)
    with torch.no_grad():
        diverged.output.bias.fill_(float("nan"))
    save_teacher(diverged, teacher)
    with pytest.raises(UserError, match="its training diverged"):
        ask(teacher, SHARDS)
