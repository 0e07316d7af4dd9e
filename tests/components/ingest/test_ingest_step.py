"""The whole step on small corpora whose outcome is counted by hand."""

from pathlib import Path

import pandas as pd
import pytest

from decant.models.encoder import load_encoder
from decant.runtime.identity import content_digest


def rows(count: int, start: int = 0) -> list[tuple[str, ...]]:
    return [(f"text {index}", "ab"[index % 2]) for index in range(start, start + count)]


def test_splits_one_file(ingest, tiny_csv: Path) -> None:
    result = ingest(
        source=str(tiny_csv), local_corpus=str(tiny_csv), group_by="film", test_fraction=0.2
    )
    parts = {name: result.split(name) for name in ("train", "validation", "test")}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 288,  # 400 in 100 films of 4, each two and two: 1/5 of the films, then 1/10
        "validation": 32,
        "test": 80,
    }
    films = [set(part["group"]) for part in parts.values()]
    assert not films[0] & films[1] and not films[0] & films[2] and not films[1] & films[2]
    assert parts["test"]["label"].value_counts().to_dict() == {"negative": 40, "positive": 40}
    source = pd.read_csv(tiny_csv)
    everything = pd.concat(parts.values()).sort_values(
        "row_id", key=lambda i: i.str[12:].astype(int)
    )
    assert everything["text"].tolist() == source["text"].tolist()
    assert everything["row_id"].tolist() == [f"reviews.csv:{row}" for row in range(1, 401)]
    assert result.labels == ("negative", "positive")
    assert load_encoder(result.encoder).config.hidden_size == 32


def test_two_runs_give_the_same_content(ingest, tiny_csv: Path) -> None:
    options = {"source": str(tiny_csv), "local_corpus": str(tiny_csv), "label_budget": 50}
    first, second = ingest("first", **options), ingest("second", **options)
    assert content_digest(first.corpus) == content_digest(second.corpus)
    assert content_digest(first.encoder) == content_digest(second.encoder)
    third = ingest("third", **options, split_seed=14)
    assert set(third.ids("test")) != set(first.ids("test"))


def test_every_row_is_kept_or_rejected_with_its_reason(ingest) -> None:
    source = [
        *rows(40),
        ("  ", "a"),  # 41
        ("no label here", ""),  # 42
        ("TEXT  0 ", "a"),  # 43
        ("text 1", "a"),  # 44
        ("other", "c"),  # 45
        ("a plot", "plot"),  # 46
        ("A plot", "plot"),  # 47
    ]
    result = ingest(source=source, labels=["a", "b"], unlabelled_labels=["plot"])
    assert result.reasons == {
        "source.csv:41": "no text",
        "source.csv:42": "no label",
        "source.csv:43": "duplicate of source.csv:1",
        "source.csv:44": "duplicate of source.csv:2, whose label is 'b', not 'a'",
        "source.csv:45": "label 'c' is not among ingest.labels",
        "source.csv:47": "duplicate of source.csv:46",
    }
    assert result.ids("unlabelled") == ["source.csv:46"]
    assert result.metrics["rows_in"] == 47
    kept = sum(result.metrics[f"rows_{s}"] for s in ("train", "validation", "test", "unlabelled"))
    assert kept == 41 and result.metrics["rows_rejected"] == 6
    assert result.metrics["rejected_duplicate"] == 3


@pytest.mark.parametrize("name", ["source.csv", "source.jsonl", "source.parquet"])
def test_the_empty_mark_is_a_missing_label_in_every_format(
    ingest, tmp_path: Path, name: str
) -> None:
    frame = pd.DataFrame(
        [*rows(20), ("no label", None), ("none too", " ")], columns=["text", "label"]
    )
    match name.rpartition(".")[2]:
        case "csv":
            frame.to_csv(tmp_path / name, index=False)
        case "jsonl":
            frame.to_json(tmp_path / name, orient="records", lines=True)
        case _:
            frame.to_parquet(tmp_path / name)
    test = [("test 1", "a"), ("test 2", "b"), ("test 3", "")]
    marked = ingest(source=str(tmp_path / name), test=test, unlabelled_labels=[""])
    assert marked.ids("unlabelled") == [f"{name}:21", f"{name}:22"]
    assert marked.reasons == {"test.csv:3": "no label"}
    rejected = ingest(name="without", source=str(tmp_path / name), test=test)
    assert set(rejected.reasons) == {f"{name}:21", f"{name}:22", "test.csv:3"}


def test_given_splits_are_kept_and_training_gives_way(ingest) -> None:
    result = ingest(
        source=[*rows(20), ("Test 1", "a"), ("valid 1", "b")],
        validation=[("valid 1", "a"), ("valid 2", "b"), ("test 1", "a")],
        test=[("test 1", "a"), ("test 2", "b"), ("test 2", "b")],
    )
    assert result.ids("validation") == [f"validation.csv:{row}" for row in (1, 2, 3)]
    assert result.ids("test") == [f"test.csv:{row}" for row in (1, 2, 3)]
    assert result.ids("train") == [f"source.csv:{row}" for row in range(1, 21)]
    assert result.reasons == {
        "source.csv:21": "duplicate of validation.csv:3",
        "source.csv:22": "duplicate of validation.csv:1, whose label is 'a', not 'b'",
    }
    assert result.metrics["duplicates_dropped_for_given_splits"] == 2
    assert result.metrics["duplicates_kept_in_given_splits"] == 2  # test 1 and test 2


def test_training_rows_in_a_group_of_a_given_split_are_dropped(ingest) -> None:
    source = [(f"text {index}", "ab"[index % 2], f"film {index // 2}") for index in range(20)]
    source += [("a plot", "plot", "film v"), ("in v", "a", "film v"), ("test 1", "b", "film t")]
    source += [
        ("free", "b", ""),
        ("only twin is in t", "a", "film t"),
        ("Only twin is in t", "a", ""),
    ]
    result = ingest(
        source=source,
        validation=[("valid 1", "a", "film v"), ("valid 2", "b", "film v"), ("valid 3", "b", " ")],
        test=[("test 1", "a", "film t"), ("test 2", "b", "film t")],
        group_by="film",
        unlabelled_labels=["plot"],
    )
    assert result.reasons == {
        "source.csv:21": "leak: group 'film v' is in the split validation",
        "source.csv:22": "leak: group 'film v' is in the split validation",
        "source.csv:23": "leak: group 'film t' is in the split test",
        "source.csv:25": "leak: group 'film t' is in the split test",
    }
    kept = [*range(1, 21), 24, 26]
    assert result.ids("train") == [f"source.csv:{row}" for row in kept]
    assert len(result.ids("validation")) == 3 and len(result.ids("test")) == 2
    assert result.metrics["group_leaks_dropped_for_given_splits"] == 3
    assert result.metrics["rejected_leak"] == 4


def test_a_given_split_without_groups_drops_none(ingest) -> None:
    source = [(f"text {index}", "ab"[index % 2], f"film {index // 2}") for index in range(40)]
    result = ingest(source=source, test=rows(4, 100), group_by="film")
    assert not result.reasons
    assert "group_leaks_dropped_for_given_splits" not in result.metrics


def test_an_empty_group_is_no_group(ingest) -> None:
    source = [(f"text {index}", "ab"[index % 2], "") for index in range(40)]
    source += [("a plot", "plot", ""), ("another plot", "plot", " ")]
    result = ingest(source=source, group_by="film", unlabelled_labels=["plot"])
    assert not result.reasons
    assert result.ids("unlabelled") == ["source.csv:41", "source.csv:42"]
    assert result.split("train")["group"].isna().all()


def test_validation_is_split_off_where_only_test_is_given(ingest) -> None:
    result = ingest(source=rows(40), test=rows(4, 100), validation_fraction=0.25)
    assert (len(result.ids("train")), len(result.ids("validation"))) == (30, 10)
    assert result.split("validation")["label"].value_counts().to_dict() == {"a": 5, "b": 5}
    assert len(result.ids("test")) == 4


def test_unlabelled_files_and_their_leaks(ingest, tmp_path: Path) -> None:
    source = [(f"text {index}", "ab"[index % 2], f"film {index // 2}") for index in range(40)]
    (tmp_path / "more.txt").write_text("new text\nText  39\nnew TEXT\n\nanother\n")
    pd.DataFrame({"text": ["of film 19", "of film 0"], "film": ["film 19", "film 0"]}).to_json(
        tmp_path / "more.jsonl", orient="records", lines=True
    )
    result = ingest(
        source=source[:38],
        test=source[38:],
        group_by="film",
        unlabelled=[str(tmp_path / "more.txt"), str(tmp_path / "more.jsonl")],
        split_seed=1,
    )
    expected = {
        "more.txt:2": "leak: same text as test.csv:2",
        "more.txt:3": "duplicate of more.txt:1",
        "more.txt:4": "no text",
        "more.jsonl:1": "leak: group 'film 19' is in the split test",
    }
    if "film 0" in set(result.split("validation")["group"]):
        expected["more.jsonl:2"] = "leak: group 'film 0' is in the split validation"
    assert result.reasons == expected
    assert result.ids("unlabelled")[:2] == ["more.txt:1", "more.txt:5"]


def test_budget_turns_labelled_rows_into_unlabelled_ones(ingest) -> None:
    everything = ingest("everything", source=rows(100))
    result = ingest(source=rows(100), label_budget=10)
    assert result.split("train")["label"].value_counts().to_dict() == {"a": 5, "b": 5}
    assert sorted(result.ids("train") + result.ids("unlabelled")) == sorted(everything.ids("train"))
    assert result.ids("test") == everything.ids("test")
    assert "label" not in result.split("unlabelled").columns
    assert result.metrics["labels_withheld"] == len(result.ids("unlabelled"))
    per_class = ingest("per class", source=rows(100), label_budget=7, label_budget_per_class=True)
    assert per_class.split("train")["label"].value_counts().to_dict() == {"a": 7, "b": 7}


def test_labels_keep_their_order_and_numbers_sort_by_value(ingest) -> None:
    assert ingest("fixed", source=rows(40), labels=["b", "a"]).labels == ("b", "a")
    numbers = [(f"text {index}", str(9 + index % 3)) for index in range(60)]
    assert ingest("numbers", source=numbers).labels == ("9", "10", "11")
    signs = [(f"text {index}", ("-1", "--5", "3")[index % 3]) for index in range(60)]
    assert ingest("signs", source=signs).labels == ("--5", "-1", "3")


def test_files_of_the_same_name_and_folders(ingest, tmp_path: Path) -> None:
    for folder, start in (("one", 0), ("two", 100)):
        (tmp_path / folder).mkdir()
        for part in ("part-0.csv", "part-1.csv"):
            frame = pd.DataFrame(rows(20, start), columns=["text", "label"])
            frame.to_csv(tmp_path / folder / part, index=False)
            start += 20
        (tmp_path / folder / "README.md").write_text("no data")
    result = ingest(source=str(tmp_path / "one"), test=str(tmp_path / "two"))
    assert result.metrics["rows_in"] == 80
    assert result.ids("test")[0] == "test/part-0.csv:1"
    ids = [row for name in ("train", "validation", "test") for row in result.ids(name)]
    assert len(set(ids)) == 80


@pytest.mark.parametrize("path", ["rows.parquet", "rows.tsv"])
def test_other_formats(ingest, tmp_path: Path, path: str) -> None:
    frame = pd.DataFrame(rows(40), columns=["text", "label"])
    if path.endswith("parquet"):
        frame.to_parquet(tmp_path / path)
    else:
        frame.to_csv(tmp_path / path, sep="\t", index=False)
    assert ingest(source=str(tmp_path / path)).metrics["rows_in"] == 40


def test_further_encoders_come_beside_the_first(ingest, tiny_encoder: Path) -> None:
    result = ingest(source=rows(40), more_encoders=[str(tiny_encoder)])
    assert load_encoder(result.encoder / "more" / "1").config.hidden_size == 32
    assert content_digest(result.encoder / "more" / "1" / "model.safetensors") == content_digest(
        result.encoder / "model.safetensors"
    )
