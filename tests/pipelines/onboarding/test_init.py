"""The command from the outside: what it shows, asks and writes, and that ingest takes it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from decant.data.corpus import read_schema, read_split
from decant.runner.run_step import run_step
from decant.runtime.errors import UserError
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.steps import load_step
from tests.errors import assert_error
from tests.pipelines.onboarding.conftest import Init, labels, table, texts

Written = Callable[[str], dict[str, Any]]


def ingested(file: Path, folder: Path) -> Path:
    """The corpus that ingest makes with a parameter file."""
    section = section_of(read_params_file(file), "ingest", load_step("ingest").params)
    run_step("ingest", section, {"corpus": folder / "corpus", "encoder": folder / "encoder"})
    return folder / "corpus"


def test_a_csv_to_parameters_to_a_corpus(
    init: Init, project: Path, tmp_path: Path, tiny_csv: Path
) -> None:
    (project / "reviews.csv").write_bytes(tiny_csv.read_bytes())
    result = init("reviews.csv")
    assert result.exit_code == 0, result.output
    assert "reviews.csv   400 rows, csv" in result.output
    assert "decant run --params reviews.yaml" in result.output
    lines = (project / "reviews.yaml").read_text("utf-8").splitlines()
    assert lines[3:] == [
        "ingest:",
        "  source: reviews.csv # the file",
        "  local_corpus: reviews.csv # what DVC watches for changes",
        "  label_column: label # named so; 2 classes: negative 200, positive 200",
        "  group_by: film # 4.0 rows each, which stay in one split",
        "  labels: null # all that are found",
        "  unlabelled_labels: [] # every label counts",
        "  label_budget: null # all labels are used",
    ]
    corpus = ingested(project / "reviews.yaml", tmp_path / "out")
    schema = read_schema(corpus)
    assert schema.task.outputs == ("negative", "positive")
    assert (schema.text_column, schema.group_column) == ("text", "film")
    sizes = [len(read_split(corpus, split)) for split in ("train", "validation", "test")]
    assert sum(sizes) == 400 and min(sizes) > 0


def test_what_is_shown(init: Init, project: Path) -> None:
    kept = texts(60)
    rows = [*kept, kept[0].upper(), kept[1], "", "without a label"]
    given = [*labels(60, "pos", "neg"), "pos", "pos", "pos", ""]
    table(project / "mine.csv", {"review": rows, "stars": given})
    result = init("mine.csv", "--label-column", "stars")
    assert result.exit_code == 0, result.output
    shown = result.output
    # The second twin has another label: the first of its rows is `neg`.
    assert "64 = 61 kept + 3 rejected" in shown
    assert "2 repeat an earlier text (1 of them with another label)" in shown
    assert "1 without a text" in shown
    assert "1 texts, for distillation" in shown
    assert "labels missing    1" in shown
    assert "Latin 100.0%" in shown
    assert "estimated" not in shown  # the encoder is a local folder
    # Of 60 rows 0.143 are the test split, of the other 51 a tenth: rounded up, 9 and 6.
    assert re.search(r"\ball +45 +6 +9\b", shown)


def test_given_splits_of_a_folder(
    init: Init, project: Path, written: Written, tmp_path: Path
) -> None:
    folder = project / "data" / "corpus" / "mine"
    for seed, name in enumerate(("train", "dev", "test")):
        table(folder / f"{name}.tsv", {"text": texts(40, seed), "label": labels(40, "a", "b")})
    (folder / "labels.txt").write_text("a\nb\n")
    (folder / "README.md").write_text("# Mine\n")
    result = init("data/corpus/mine")
    assert result.exit_code == 0, result.output
    assert "not read: labels.txt" in result.output
    found = written("mine.yaml")
    assert found["ingest.source"] == "data/corpus/mine/train.tsv"
    assert found["ingest.validation"] == "data/corpus/mine/dev.tsv"
    assert found["ingest.test"] == "data/corpus/mine/test.tsv"
    assert "ingest.local_corpus" not in found  # data/corpus is what DVC watches already
    assert "ingest.format" not in found
    corpus = ingested(project / "mine.yaml", tmp_path / "out")
    assert [len(read_split(corpus, split)) for split in ("train", "validation", "test")] == [40] * 3


def test_a_test_file_without_labels_is_more_text(
    init: Init, project: Path, written: Written
) -> None:
    table(project / "mine/train.csv", {"text": texts(60), "label": labels(60, "a", "b")})
    table(project / "mine/test.csv", {"text": texts(20, 1)})
    result = init("mine")
    assert result.exit_code == 0, result.output
    assert "test.csv has no labels ('label')" in result.output
    found = written("mine.yaml")
    assert found["ingest.unlabelled"] == ["mine/test.csv"]
    assert "ingest.test" not in found
    assert found["ingest.local_corpus"] == "mine"


def test_a_format_that_the_name_does_not_tell(
    init: Init, project: Path, written: Written, tmp_path: Path
) -> None:
    file = table(project / "mine.tsv", {"text": texts(60), "label": labels(60, "a", "b")})
    file.rename(project / "export.dat")
    assert init("export.dat").exit_code == 0
    assert written("export.yaml")["ingest.format"] == "tsv"
    assert len(read_split(ingested(project / "export.yaml", tmp_path / "out"), "train")) > 30


def test_write_changes_the_values_in_params_and_nothing_else(
    init: Init, project: Path, tmp_path: Path
) -> None:
    table(project / "data/corpus/mine.csv", {"text": texts(60), "label": labels(60, "no", "yes")})
    before = (project / "params.yaml").read_text("utf-8").splitlines()
    result = init("data/corpus/mine.csv", "--write", "--max-length-tokens", "32")
    assert result.exit_code == 0, result.output
    assert "next: dvc repro" in result.output
    after = (project / "params.yaml").read_text("utf-8").splitlines()
    assert len(after) == len(before)
    changed = {
        old.strip().partition(":")[0]: (old, new)
        for old, new in zip(before, after, strict=True)
        if old != new
    }
    assert set(changed) == {
        "source",
        "label_column",
        "group_by",
        "labels",
        "unlabelled_labels",
        "label_budget",
        "max_length_tokens",
    }
    old, new = changed["unlabelled_labels"]
    assert new == (
        '  unlabelled_labels: [] # label values that mark text without a label; "": a missing one'
    )
    for old, new in changed.values():  # the comments stay
        assert new.partition(" # ")[2] == old.partition(" # ")[2]
    assert not (project / "mine.yaml").exists()
    corpus = ingested(project / "params.yaml", tmp_path / "out")
    assert read_schema(corpus).task.outputs == ("no", "yes")


def test_write_again_for_other_data_leaves_nothing_behind(init: Init, project: Path) -> None:
    shipped = (project / "params.yaml").read_text("utf-8")
    rows = {"review": texts(90), "label": labels(90, "a", "b", "n/a")}
    table(project / "first.csv", rows)
    assert init("first.csv", "--write", "--unlabelled-label", "n/a").exit_code == 0
    first = read_params_file(project / "params.yaml")["ingest"]
    assert (first["text_column"], first["unlabelled_labels"]) == ("review", ["n/a"])
    second = {"text": texts(60), "category": labels(60, "a", "b")}
    table(project / "data/corpus/second.csv", second)
    assert init("data/corpus/second.csv", "--write").exit_code == 0
    found = read_params_file(project / "params.yaml")["ingest"]
    assert (found["text_column"], found["label_column"]) == ("text", "category")
    assert (found["unlabelled_labels"], found["group_by"]) == ([], None)
    assert len((project / "params.yaml").read_text("utf-8").splitlines()) == len(
        shipped.splitlines()
    )


def test_quick_writes_the_preset_with_its_reasons(
    init: Init, project: Path, written: Written
) -> None:
    table(project / "mine.csv", {"text": texts(60), "label": labels(60, "a", "b")})
    assert init("mine.csv", "--quick").exit_code == 0
    found = written("mine.yaml")
    assert found["evaluate.quick"] is True
    assert found["register.enabled"] is False
    assert found["finetune.training.epochs"] == 2
    assert found["ingest.label_column"] == "label"
    text = (project / "mine.yaml").read_text("utf-8")
    assert "decant init --quick" in text
    assert "  quick: true # the report states it" in text
    assert all(" # " in line for line in text.splitlines() if ": " in line and line[0] == " ")


def test_questions_on_a_terminal(init: Init, project: Path, written: Written) -> None:
    rows = {
        "first": texts(60),
        "second": texts(60, 1),
        "topic": labels(60, "x", "y", "z"),
        "mood": labels(60, "good", "bad"),
    }
    table(project / "mine.csv", rows)
    result = init("mine.csv", answers=["9", "second", "1"])
    assert result.exit_code == 0, result.output
    assert "'9' is not one of them" in result.output
    found = written("mine.yaml")
    assert found["ingest.text_column"] == "second"
    assert found["ingest.label_column"] == "topic"
    answered = init("mine.csv", answers=["n"])  # replace mine.yaml?
    assert isinstance(answered.exception, UserError)
    assert_error(answered.exception, "output-taken", "mine.yaml")


@pytest.mark.parametrize(
    ("answer", "kept", "marks"), [("y", None, ["n/a"]), ("n", None, []), ("", None, ["n/a"])]
)
def test_a_label_that_may_mean_none(
    init: Init, project: Path, answer: str, kept: object, marks: list[str]
) -> None:
    table(project / "mine.csv", {"text": texts(60), "label": labels(60, "a", "b", "n/a")})
    assert init("mine.csv", answers=[answer]).exit_code == 0
    section = read_params_file(project / "mine.yaml")["ingest"]
    assert (section["labels"], section["unlabelled_labels"]) == (kept, marks)


def test_a_group_that_is_not_named_so_is_asked_for(init: Init, project: Path) -> None:
    rows = {
        "text": texts(90),
        "label": labels(90, "a", "b"),
        "shop": [f"shop {index // 3}" for index in range(90)],
    }
    table(project / "mine.csv", rows)
    unsure = init("mine.csv")
    assert isinstance(unsure.exception, UserError)
    assert_error(unsure.exception, "group-column-unclear", "shop", "--no-groups")
    for words, answers, expected in (
        (["--no-groups"], None, None),
        (["--group-column", "shop"], None, "shop"),
        (["--yes"], None, "shop"),
        ([], [""], "shop"),
        ([], ["2"], None),
    ):
        assert init("mine.csv", "--force", *words, answers=answers).exit_code == 0
        assert read_params_file(project / "mine.yaml")["ingest"]["group_by"] == expected


def test_an_existing_file_is_not_replaced_unasked(init: Init, project: Path) -> None:
    table(project / "mine.csv", {"text": texts(60), "label": labels(60, "a", "b")})
    (project / "mine.yaml").write_text("seed: 1\n")
    refused = init("mine.csv")
    assert isinstance(refused.exception, UserError)
    assert_error(refused.exception, "output-taken", "mine.yaml", "--force")
    assert (project / "mine.yaml").read_text() == "seed: 1\n"
    assert init("mine.csv", "--output", "sub/other.yaml").exit_code == 0
    assert YAML(typ="safe").load(project / "sub/other.yaml")["ingest"]["source"] == "mine.csv"
    assert init("mine.csv", "--force").exit_code == 0
    assert read_params_file(project / "mine.yaml")["seed"] == 13


@pytest.mark.parametrize(
    "words", [["--group-column", "label", "--no-groups"], ["--write", "--output", "x.yaml"]]
)
def test_options_that_contradict_each_other(init: Init, project: Path, words: list[str]) -> None:
    table(project / "mine.csv", {"text": texts(60), "label": labels(60, "a", "b")})
    result = init("mine.csv", *words)
    assert isinstance(result.exception, UserError)
    assert_error(result.exception, "option-conflict", words[0])


def test_long_texts_raise_the_limit_as_far_as_the_encoder_goes(
    init: Init, project: Path, written: Written
) -> None:
    long = [" ".join(["good"] * 100) + f" {index}" for index in range(60)]
    table(project / "mine.csv", {"text": long, "label": labels(60, "a", "b")})
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("max_length_tokens: 64", "max_length_tokens: 16"))
    result = init("mine.csv")
    assert result.exit_code == 0, result.output
    assert "100.0% are longer than tokenize.max_length_tokens, 16" in result.output
    assert written("mine.yaml")["tokenize.max_length_tokens"] == 64  # its positions


def test_what_is_missing_is_used_without_a_label(
    init: Init, project: Path, written: Written, tmp_path: Path
) -> None:
    rows = {"text": texts(90), "label": [*labels(60, "a", "b"), *[None] * 30]}
    for name in ("mine.jsonl", "mine.parquet", "mine.csv"):
        table(project / name, rows)
        result = init(name, "--force")
        assert result.exit_code == 0, result.output
        assert written("mine.yaml")["ingest.unlabelled_labels"] == [""]
        corpus = ingested(project / "mine.yaml", tmp_path / name)
        assert len(read_split(corpus, "unlabelled")) == 30


def test_a_link_is_named_as_it_is(init: Init, project: Path, tmp_path: Path) -> None:
    elsewhere = table(
        tmp_path / "disk/real.csv", {"text": texts(60), "label": labels(60, "a", "b")}
    )
    (project / "mine.csv").symlink_to(elsewhere)
    assert init("mine.csv").exit_code == 0
    section = read_params_file(project / "mine.yaml")["ingest"]
    assert (section["source"], section["local_corpus"]) == ("mine.csv", "mine.csv")
    ingested(project / "mine.yaml", tmp_path / "out")


def test_data_outside_of_the_folder_is_named_in_full(
    init: Init, project: Path, tmp_path: Path
) -> None:
    file = table(tmp_path / "disk/mine.csv", {"text": texts(60), "label": labels(60, "a", "b")})
    assert init("../disk/mine.csv").exit_code == 0
    section = read_params_file(project / "mine.yaml")["ingest"]
    assert (section["source"], section["local_corpus"]) == (str(file), str(file))


def test_a_known_name_is_a_header_whatever_the_others_are(init: Init, project: Path) -> None:
    rows = {"text": texts(60), "label": labels(60, "a", "b"), "2024": labels(60, 1, 2, 3)}
    table(project / "mine.csv", rows)
    assert init("mine.csv").exit_code == 0
