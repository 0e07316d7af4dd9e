"""A training that was cut off ends as if it had not been."""

import dataclasses
import errno
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from decant.data.tokens import TokenRows
from decant.runtime import cache_folder, publishing
from decant.runtime.log_lines import logged_by
from decant.runtime.reporter import Reporter
from decant.tasks.task import Task
from decant.training import checkpoints, saving
from decant.training.examples import Examples, LengthBuckets
from decant.training.fit import FitResult, TrainingPlan, fit
from decant.training.losses import label_loss
from tests.damages import Damage, cut_in_half, flip_a_bit
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


TASK = Task.of_classes(["bad", "good"])
EPOCH = 8  # steps: 30 rows in batches of 4


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


class CutOffLoss:
    """Of labels, until so many training steps were made."""

    def __init__(self, steps: int) -> None:
        self.steps, self.own = steps, label_loss(TASK)

    def __call__(self, logits: Tensor, *rest: Any) -> Tensor:
        if logits.requires_grad:
            self.steps -= 1
            if self.steps < 0:
                raise CutOff
        return self.own(logits, *rest)


@dataclasses.dataclass
class Trained:
    weights: dict[str, Tensor]
    result: FitResult
    points: set[tuple[str, int, float]]
    random: Tensor

    def assert_equals(self, other: "Trained") -> None:
        """To the last bit, and what is drawn afterwards is the same too."""
        for name, tensor in self.weights.items():
            torch.testing.assert_close(other.weights[name], tensor, atol=0, rtol=0)
        pd.testing.assert_frame_equal(other.result.curves, self.result.curves, check_exact=True)
        assert other.result.best_epoch == self.result.best_epoch
        assert other.result.validation == self.result.validation
        assert other.points == self.points
        assert torch.equal(other.random, self.random)


def train(
    identity: str = "step", *, steps: int = 10**6, plan: TrainingPlan = PLAN, threads: int = 1
) -> Trained:
    """Cut off after so many steps."""
    points: set[tuple[str, int, float]] = set()
    reporter = Reporter(
        step="test",
        console=Console(file=io.StringIO()),
        on_point=lambda *point: points.add(point),
        work=identity,
        threads={"torch": threads},
    )
    model = Model()
    result = fit(
        model,
        TASK,
        rows(),
        rows(),
        loss=CutOffLoss(steps),
        plan=plan,
        device="cpu",
        pad_id=0,
        seed=0,
        name="model",
        reporter=reporter,
    )
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return Trained(weights, result, points, torch.get_rng_state())


@pytest.fixture(scope="module")
def whole() -> Trained:
    return train("")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where checkpoints are kept, after every step."""
    monkeypatch.delenv(checkpoints.VARIABLE, raising=False)
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path))
    monkeypatch.setenv(saving.VARIABLE, "0")
    monkeypatch.setattr(checkpoints, "_HELD", {})
    monkeypatch.setattr(publishing, "_sync", lambda _: None)  # many seconds on some disks
    return tmp_path / "checkpoints"


@pytest.fixture
def as_another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """It holds nothing, and has verified nothing."""

    def forget() -> None:
        for _, lock in checkpoints._HELD.values():
            lock.release()
        monkeypatch.setattr(checkpoints, "_HELD", {})
        monkeypatch.setattr(cache_folder, "_VERIFIED", {})

    return forget


def kept(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*/*/*/checkpoint-*"))


@pytest.mark.parametrize("steps", [3, EPOCH, EPOCH + 1, 2 * EPOCH + 5, 4 * EPOCH - 1])
def test_it_goes_on_in_the_middle_of_an_epoch(
    steps: int, root: Path, as_another_process: Callable[[], None], whole: Trained
) -> None:
    with pytest.raises(CutOff):
        train(steps=steps)
    names = kept(root)
    assert {f"checkpoint-{steps}", f"checkpoint-{steps}.sha256"} <= set(names)
    assert len(names) <= 4  # the last and the best, each with its digest
    as_another_process()
    resumed = train(steps=4 * EPOCH - steps)  # one more step would be one too many
    resumed.assert_equals(whole)


def test_cut_off_again_and_again(
    root: Path, as_another_process: Callable[[], None], whole: Trained
) -> None:
    for _ in range(2):
        with pytest.raises(CutOff):
            train(steps=11)
        as_another_process()
    train(steps=4 * EPOCH - 22).assert_equals(whole)


def test_between_saves_there_is_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(saving.VARIABLE, "1000")
    with pytest.raises(CutOff):
        train(steps=EPOCH + 3)
    assert kept(root) == [f"checkpoint-{EPOCH}", f"checkpoint-{EPOCH}.sha256"]


def test_a_full_disk_within_an_epoch_ends_no_training(
    root: Path, monkeypatch: pytest.MonkeyPatch, whole: Trained
) -> None:
    save = torch.save

    def full(content: Any, file: Any, **options: Any) -> None:
        if "checkpoint-3/optimizer" in str(file):
            raise OSError(errno.ENOSPC, "No space left on device", file)
        save(content, file, **options)

    monkeypatch.setattr(torch, "save", full)
    lines: list[str] = []
    with logged_by(lines.append):
        train().assert_equals(whole)
    assert len(lines) == 1 and str(root) in lines[0] and "No space" in lines[0]
    assert len(kept(root)) <= 4


@pytest.mark.parametrize("value", ["-1", "nan", "soon", ""])
def test_what_is_no_time(value: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(saving.VARIABLE, value)
    with raises("variable-value", saving.VARIABLE, f"'{value}'"):
        train()


@pytest.mark.parametrize("patience", [4, 1])
def test_a_finished_training_is_not_made_again(
    patience: int, root: Path, as_another_process: Callable[[], None], tmp_path: Path
) -> None:
    """Until the step has published its outputs: another model of it may still train."""
    plan = dataclasses.replace(PLAN, epochs=6, patience_epochs=patience)
    first = train(plan=plan)
    assert (len(first.result.curves) < plan.epochs) == (patience == 1)  # it stopped early
    as_another_process()
    (tmp_path / "checkpoints").rename(tmp_path / "moved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(checkpoints.VARIABLE, str(tmp_path / "moved"))
        train(plan=plan, steps=0).assert_equals(first)
        checkpoints.remove_checkpoints("step")
    assert not list((tmp_path / "moved").iterdir())


@pytest.mark.parametrize(
    ("which", "part", "damage"),
    [
        ("last", "model.safetensors", flip_a_bit),
        ("last", "optimizer.pt", cut_in_half),
        ("last", "rng_state.pth", Path.unlink),
        ("last", "../{}.sha256", Path.unlink),  # killed before all was on the disk
        ("best", "model.safetensors", flip_a_bit),
    ],
)
def test_a_damaged_one_is_said_and_not_used(
    which: str,
    part: str,
    damage: Damage,
    root: Path,
    as_another_process: Callable[[], None],
    whole: Trained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CutOff):
        train(steps=3 * EPOCH + 3)
    monkeypatch.setenv(saving.VARIABLE, "1000")
    found = sorted(root.glob("*/*/*/checkpoint-*/"), key=lambda path: int(path.name[11:]))
    assert len(found) == 2
    folder = found[-1] if which == "last" else found[0]
    damage(folder / part.format(folder.name))
    as_another_process()
    lines: list[str] = []
    with logged_by(lines.append):
        train().assert_equals(whole)
    assert len(lines) == 1 and str(folder) in lines[0]


def test_another_step_does_not_go_on_from_it(
    root: Path, as_another_process: Callable[[], None]
) -> None:
    with pytest.raises(CutOff):
        train("one", steps=3)
    as_another_process()
    for identity, name, device in [
        ("two", "model", "cpu"),
        ("one", "other", "cpu"),
        ("one", "model", "cuda"),
    ]:
        with checkpoints.checkpoints(identity, name, device) as other:
            assert (other.kept, other.last) == (True, None)
    with checkpoints.checkpoints("", "model") as nobodys:
        assert not nobodys.kept
        assert not nobodys.folder.is_relative_to(root)
    with checkpoints.checkpoints("one", "model", threads={"torch": 1}) as same:
        assert same.last is not None and same.done_steps == 3


def test_another_number_of_threads_begins_anew_and_says_which_would_go_on(
    root: Path, as_another_process: Callable[[], None], whole: Trained
) -> None:
    lines: list[str] = []
    with pytest.raises(CutOff):
        train(steps=EPOCH + 3, threads=1)
    as_another_process()
    with logged_by(lines.append), pytest.raises(CutOff):
        train(steps=2, threads=4)  # a pod that came back on a larger node
    (line,) = lines
    assert f"kept up to step {EPOCH + 3} with device cpu, processes 1, threads torch=1" in line
    assert "with device cpu, processes 1, threads torch=4 it begins anew" in line
    as_another_process()
    train(steps=4 * EPOCH - EPOCH - 3, threads=1).assert_equals(whole)  # its own is still there


HOLDER = """
import sys
from decant.training.checkpoints import checkpoints
with checkpoints("step", "model") as own:
    print(own.folder, flush=True)
    sys.stdin.read()
"""


def test_two_processes_at_one_identity_do_not_meet(
    root: Path, as_another_process: Callable[[], None]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        theirs = Path(other.stdout.readline().strip())
        with checkpoints.checkpoints("step", "model") as ours:
            assert ours.folder.parent.parent == theirs.parent.parent
            assert ours.folder != theirs
        checkpoints.remove_checkpoints("step")
        assert theirs.parent.is_dir() and not ours.folder.parent.exists()
        other.kill()
    with checkpoints.checkpoints("step", "model") as next_one:
        assert next_one.folder == theirs
    checkpoints.remove_checkpoints("step")
    assert not list(root.iterdir())


@pytest.mark.parametrize("linked", [True, False])
def test_from_the_checkpoint_of_a_process_that_still_works(
    linked: bool, root: Path, whole: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whose lock has stayed on a network volume, which may have no links."""
    with pytest.raises(CutOff):
        train(steps=2 * EPOCH + 3)
    theirs = dict(checkpoints._HELD)
    monkeypatch.setattr(checkpoints, "_HELD", {})  # another process, and the lock stays
    monkeypatch.setattr(cache_folder, "_VERIFIED", {})
    if not linked:
        monkeypatch.setattr(os, "link", _no_links)
    before = kept(root)
    train(steps=2 * EPOCH - 3).assert_equals(whole)
    checkpoints.remove_checkpoints("step")
    assert kept(root) == before
    assert theirs


def _no_links(*_: object) -> None:
    raise PermissionError


def test_abandoned_ones_are_removed_after_a_week(
    root: Path, as_another_process: Callable[[], None]
) -> None:
    for identity in ("old", "new", "used"):
        with pytest.raises(CutOff):
            train(identity, steps=1)
    used = checkpoints._HELD.pop(root / checkpoints._step_folder("used").name)
    as_another_process()
    checkpoints._HELD[used[0].parent] = used
    eight_days_ago = time.time() - 8 * 86400
    for identity in ("old", "used"):
        for path in checkpoints._step_folder(identity).rglob("*"):
            os.utime(path, (eight_days_ago, eight_days_ago))
    mine = root / "mine" / "0"
    mine.mkdir(parents=True)
    os.utime(mine, (0, 0))
    lines: list[str] = []
    with logged_by(lines.append), checkpoints.checkpoints("other", "model"):
        pass
    assert mine.is_dir(), "the user's own"
    mine.parent.rename(root.parent / "mine")
    assert len(lines) == 1 and "1 step" in lines[0] and str(root) in lines[0]
    there = {folder.name for folder in root.iterdir()}
    expected = {checkpoints._step_folder(identity).name for identity in ("new", "used", "other")}
    assert there == expected


def test_a_folder_that_cannot_be_made(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that a user names is an error, the usual one a warning."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "file"))
    lines: list[str] = []
    with logged_by(lines.append), checkpoints.checkpoints("step", "model") as nowhere:
        assert not nowhere.kept
    assert len(lines) == 1 and str(tmp_path / "file") in lines[0]
    monkeypatch.setenv(checkpoints.VARIABLE, str(tmp_path / "file"))
    with (
        raises("path-unwritable", "DECANT_CHECKPOINTS"),
        checkpoints.checkpoints("step", "model"),
    ):
        pass


def test_a_pod_keeps_them_on_a_volume_alone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with checkpoints.checkpoints("step", "model") as lost_with_the_pod:
        assert not lost_with_the_pod.kept
    monkeypatch.setenv(checkpoints.VARIABLE, str(tmp_path / "volume"))
    with checkpoints.checkpoints("step", "model") as own:
        assert own.kept and own.folder.is_relative_to(tmp_path / "volume")


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
