"""What teachers say of shards: averaged, cached shard by shard, counted."""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from components.distill import soft_targets as module
from components.distill.array_files import map_array
from components.distill.soft_targets import SoftTargets, soft_targets
from decant.data.tokens import TokenRows, pad
from decant.models.encoder import load_encoder
from decant.models.teacher import MEMBERS, Teacher, TeacherConfig, load_teacher, save_teacher
from decant.runtime.log_lines import logged_by
from decant.runtime.reporter import Reporter
from tests.damages import DAMAGES, Damage
from tests.errors import raises


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


def label(
    teacher: Path, shards: list[TokenRows], *, features: bool = False
) -> tuple[SoftTargets, dict[str, float]]:
    reporter = Reporter(step="distill", console=Console(file=io.StringIO()))
    targets = soft_targets(
        teacher,
        shards,
        features=features,
        device=torch.device("cpu"),
        bfloat16=False,
        reporter=reporter,
    )
    return targets, reporter.measures


def answers(folder: Path, rows: TokenRows) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(load_teacher(folder)(torch.from_numpy(pad(rows, 0))))


def test_logits_are_the_teachers_own_and_lie_in_files(teacher: Path) -> None:
    targets, _ = label(teacher, SHARDS)
    for got, rows in zip(targets.logits, SHARDS, strict=True):
        assert not got.flags.owndata and not got.flags.writeable
        np.testing.assert_allclose(got, answers(teacher, rows), atol=1e-5)
    assert targets.features == []


def test_only_new_shards_are_labelled_and_counted(teacher: Path) -> None:
    first, measures = label(teacher, SHARDS)
    assert (measures["labelled_shards_computed"], measures["labelled_shards"]) == (2, 2)
    assert measures["labelling_seconds"] > 0
    again, measures = label(teacher, [*SHARDS, shard(2)])
    assert (measures["labelled_shards_computed"], measures["labelled_shards"]) == (1, 3)
    _, measures = label(teacher, SHARDS)
    assert (measures["labelled_shards_computed"], measures["labelling_seconds"]) == (0, 0)
    for one, other in zip(first.logits, again.logits, strict=False):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_answers_are_reported_and_computed_again(
    teacher: Path, tiny_encoder: Path, tmp_path: Path, damage: Damage
) -> None:
    """Logits of two teachers, their means, and features: four kinds of files."""
    write_teacher(teacher / MEMBERS / "2", tiny_encoder, 1)
    first, _ = label(teacher, SHARDS, features=True)
    expected = [array.copy() for array in (*first.logits, *first.features)]
    files = sorted((tmp_path / "cache" / "logits").glob("*.npy"))
    assert len(files) == 8
    for file in files[::2]:
        damage(file)
    lines: list[str] = []
    with logged_by(lines.append):
        again, _ = label(teacher, SHARDS, features=True)
    for one, other in zip(expected, (*again.logits, *again.features), strict=True):
        np.testing.assert_array_equal(one, other)
    if damage is not Path.unlink:
        assert sorted(line.split()[0] for line in lines) == [str(file) for file in files[::2]]


def test_members_logits_are_averaged_and_features_are_the_main_teachers(
    teacher: Path, tiny_encoder: Path
) -> None:
    write_teacher(teacher / MEMBERS / "2", tiny_encoder, 1)
    targets, measures = label(teacher, SHARDS, features=True)
    both = [answers(folder, SHARDS[0]) for folder in (teacher, teacher / MEMBERS / "2")]
    assert np.abs(both[0] - both[1]).max() > 0.1
    np.testing.assert_allclose(targets.logits[0], (both[0] + both[1]) / 2, atol=1e-5)
    with torch.inference_mode():
        expected = load_teacher(teacher).features(torch.from_numpy(pad(SHARDS[0], 0)))
    assert targets.features[0].dtype == np.float16
    np.testing.assert_allclose(targets.features[0], expected, atol=5e-3)
    assert measures["labelled_shards_computed"] == 6  # two members' logits, the features


def test_a_teacher_that_diverged_is_refused(teacher: Path) -> None:
    diverged = load_teacher(teacher)
    with torch.no_grad():
        diverged.output.bias.fill_(3e38)  # with a weight of the same size no float32 holds the sum
        diverged.output.weight.fill_(3e38)
    save_teacher(diverged, teacher)
    with raises("training-diverged", "logits", "learning_rate"):
        label(teacher, SHARDS)


def test_a_mean_lies_in_a_file_and_is_made_once(
    teacher: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    write_teacher(teacher / MEMBERS / "2", tiny_encoder, 1)
    first, _ = label(teacher, SHARDS)
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache/logits").iterdir()}
    arrays = [file for file in written if file.suffix == ".npy"]
    assert len(arrays) == 6  # of two shards: two members' logits and the mean
    assert len(written) == 2 * len(arrays)  # beside each its digest
    again, _ = label(teacher, SHARDS)
    assert {file: file.stat().st_mtime_ns for file in written} == written
    for one, other in zip(first.logits, again.logits, strict=True):
        assert not one.flags.owndata and not one.flags.writeable
        np.testing.assert_array_equal(one, other)


def write_other_tokenizer(source: Path, target: Path, swapped: tuple[str, str]) -> None:
    """The same tokenizer with the ids of two pieces swapped."""
    content = json.loads(source.read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    one, other = swapped
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    target.write_text(json.dumps(content), "utf-8")


def test_a_member_reads_ids_of_its_own_tokenizer(
    teacher: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = teacher / MEMBERS / "2"
    write_teacher(member, tiny_encoder, 1)
    write_other_tokenizer(teacher / "tokenizer.json", member / "tokenizer.json", ("film", "good"))
    vocabulary = json.loads((teacher / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    film, good = vocabulary["film"], vocabulary["good"]
    rows = TokenRows.of([np.array([2, film, film, good, 3], dtype=np.int32)], [-1])
    own = TokenRows.of([np.array([2, good, good, film, 3], dtype=np.int32)], [-1])
    expected = (answers(teacher, rows) + answers(member, own)) / 2
    assert np.abs(answers(member, rows) - answers(member, own)).max() > 1e-3
    targets, _ = label(teacher, [rows])
    np.testing.assert_allclose(targets.logits[0], expected, atol=1e-5)

    def refuse(*_: object) -> None:
        raise AssertionError("retokenised although all is in the cache")

    monkeypatch.setattr(module, "Retokenizer", refuse)
    _, measures = label(teacher, [rows])
    assert measures["labelled_shards_computed"] == 0


@pytest.mark.parametrize("changed", ["teacher", "member"])
def test_another_tokenizer_of_either_labels_again(
    teacher: Path, tiny_encoder: Path, changed: str
) -> None:
    """But not the main teacher, whose ids the rows already are."""
    member = teacher / MEMBERS / "2"
    write_teacher(member, tiny_encoder, 1)
    label(teacher, SHARDS)
    file = {"teacher": teacher, "member": member}[changed] / "tokenizer.json"
    write_other_tokenizer(file, file, ("film", "good"))
    _, measures = label(teacher, SHARDS)
    assert (measures["labelled_shards_computed"], measures["labelled_shards"]) == (2, 4)


def test_shards_labelled_by_several_processes_are_the_same_files(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two ranks takes every second missing shard; what they leave is what one leaves."""
    many = [shard(seed, 3) for seed in range(5)]
    label(teacher, many, features=True)
    alone = {file.name: file.read_bytes() for file in (tmp_path / "cache/logits").iterdir()}
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "shared"))

    def in_two_ranks(files: Sequence[Path], compute: Callable[[list[int]], None]) -> int:
        missing = [index for index, file in enumerate(files) if not file.is_file()]
        for rank in (1, 0):
            compute(missing[rank::2])
        return len(missing)

    monkeypatch.setattr(module, "fill", in_two_ranks)
    targets, measures = label(teacher, many, features=True)
    assert measures["labelled_shards_computed"] == 10
    shared = {file.name: file.read_bytes() for file in (tmp_path / "shared/logits").iterdir()}
    assert shared == alone
    for got, rows in zip(targets.logits, many, strict=True):
        np.testing.assert_allclose(got, answers(teacher, rows), atol=1e-5)


def test_mapped_arrays_need_no_open_file(tmp_path: Path) -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))]
    for index, array in enumerate(arrays):
        np.save(tmp_path / f"{index}.npy", array)
    before = len(list(Path("/dev/fd").iterdir()))
    mapped = [map_array(tmp_path / f"{index % 2}.npy") for index in range(50)]
    assert len(list(Path("/dev/fd").iterdir())) == before
    for got in mapped:
        np.testing.assert_array_equal(got, arrays[0])
