"""Texts that are none or nearly repeat held-out ones, labels in texts, draws of many rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest import splits
from components.ingest.signatures import jaccard, signed
from decant.runtime.identity import content_digest
from decant.tasks.spelling import respelled
from tests.components.ingest.conftest import Ingest
from tests.errors import raises

WORDS = [
    "the",
    "film",
    "has",
    "a",
    "clever",
    "plot",
    "and",
    "good",
    "actors",
    "but",
    "it",
    "is",
    "long",
    "dull",
    "sad",
    "funny",
    "lovely",
]


def distinct(count: int, seed: int = 0) -> list[str]:
    """Texts of twelve words that have little in common."""
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, 12)) + f" {number:04d}" for number in range(count)]


def labelled(texts: list[str]) -> list[tuple[str, ...]]:
    return [(text, "ab"[number % 2]) for number, text in enumerate(texts)]


def test_texts_without_a_character_to_read_are_no_texts(ingest: Ingest) -> None:
    odd = ["\x00\x01", "\u200b\u200d", "\u00a0\u3000", "\u0301\u0302", "\ufeff", "\u2800", "\u3164"]
    result = ingest(source=[*labelled(distinct(40)), *((text, "a") for text in odd), ("!", "a")])
    assert set(result.reasons.values()) == {"no text"}
    assert set(result.reasons) == {f"source.csv:{41 + place}" for place in range(len(odd))}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("STRASSE im Mai", "strasse  IM\u00a0mai "),
        ("ΟΔΟΣ ΣΟΦΙΑΣ", "οδος σοφιας"),
        ("ДОБРЫЙ ДЕНЬ", "добрый\u2003день"),  # noqa: RUF001
        ("一个 电影", "一个\u3000电影"),
    ],
)
def test_texts_of_any_script_that_differ_in_case_or_blanks_are_one(
    ingest: Ingest, one: str, other: str
) -> None:
    result = ingest(source=[*labelled(distinct(40)), (one, "a"), (other, "a")])
    assert result.reasons == {"source.csv:42": "duplicate of source.csv:41"}


def test_training_texts_that_nearly_repeat_a_test_text_are_dropped(
    ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = distinct(60), distinct(10, seed=1)
    near = f"{test[3]} oh"
    far = " ".join(reversed(test[3].split()))
    options = {
        "source": [*labelled(train), (near, "b"), (far, "b")],
        "test": labelled(test),
        "validation": labelled(distinct(6, seed=2)),
    }
    result = ingest(**options)
    found = jaccard(near.replace(" ", ""), test[3].replace(" ", ""))
    assert 0.8 <= found < 1 and jaccard(far, test[3]) < 0.5
    assert result.reasons == {
        "source.csv:61": f"nearly the text of test.csv:4 (similarity {found:.2f})"
    }
    assert result.metrics["near_duplicates"] == result.metrics["rejected_near_duplicate"] == 1
    capsys.readouterr()
    reported = ingest("reported", **options, near_duplicates="report")
    assert not reported.reasons and reported.metrics["near_duplicates"] == 1
    assert "source.csv:61 of test.csv:4" in " ".join(capsys.readouterr().out.split())
    assert "near_duplicates" not in ingest("ignored", **options, near_duplicates="ignore").metrics
    strict = ingest("strict", **options, near_duplicate_similarity=0.99)
    assert not strict.reasons
    options["source"][60] = (near, "a")
    assert not ingest("of another class", **options).reasons, "one word may decide"


def test_the_same_text_with_other_blanks_and_punctuation_is_nearly_the_same(
    ingest: Ingest,
) -> None:
    """Two data sets of one source, of which one was split into words: SST-2 and reviews."""
    written = "You come away from his film overwhelmed, hopeful and, perhaps, even illuminated."
    in_words = (
        "you come away from his film overwhelmed , hopeful and , perhaps , even illuminated ."
    )
    assert jaccard(written.lower(), in_words) < 0.8
    result = ingest(
        source=[*labelled(distinct(60)), (in_words, "a"), (":-) ;-)", "b")],
        test=[(written, "a"), ("(-: (-;", "b"), *labelled(distinct(4, seed=1))],
        validation=labelled(distinct(4, seed=2)),
    )
    assert result.reasons == {"source.csv:61": "nearly the text of test.csv:1 (similarity 1.00)"}


def test_texts_that_differ_in_a_number_are_different(
    ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "my order number {} has not arrived yet and nobody answers the phone"
    train, test = ([said.format(n) for n in numbers] for numbers in (range(40), range(100, 104)))
    options = {"test": labelled(test), "validation": labelled(distinct(4, seed=5))}
    result = ingest(source=labelled(train), **options)
    assert not result.reasons
    capsys.readouterr()
    many = [f"{text}!" for text in test]
    ingest("many", source=labelled([*distinct(20), *many]), **options)
    told = " ".join(capsys.readouterr().out.split())
    assert "(17%) nearly repeat" in told and "stay" in told and "drop_all" in told
    every = ingest(
        "all", source=labelled([*distinct(20), *many]), near_duplicates="drop_all", **options
    )
    assert every.metrics["rejected_near_duplicate"] == 4


def test_near_duplicates_among_unlabelled_chinese_texts(ingest: Ingest, tmp_path: Path) -> None:
    test = "这个酒店的房间很干净,服务员的态度也非常好,早餐的种类很多,下次还会再来住的。"
    more = [test.removesuffix("。") + "!!", "完全不同的一句话,说的是另一件事情。"]
    (tmp_path / "more.txt").write_text("\n".join(more), "utf-8")
    result = ingest(
        source=labelled(distinct(40)),
        test=[(test, "a"), ("别的评论", "b")],
        unlabelled=[str(tmp_path / "more.txt")],
    )
    assert list(result.reasons) == ["more.txt:1"]
    assert result.split("unlabelled")["text"].tolist() == more[1:]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_equal_texts_have_equal_signatures_beside_any_neighbours(texts: list[str]) -> None:
    together = signed(np.arange(len(texts)), texts)
    for place, text in enumerate(texts):
        alone = signed(np.arange(1), [text])
        assert (together.keys[place] == alone.keys[0]).all()
        assert (together.marks[place] == alone.marks[0]).all()


def test_the_estimate_is_near_the_similarity() -> None:
    """Of 32 hashes: the standard deviation is 0.09 at most."""
    texts = distinct(200)
    changed = [text.replace("film", "movie").replace("dull", "bad") for text in texts]
    one, other = signed(np.arange(200), texts), signed(np.arange(200), changed)
    estimates = (one.marks == other.marks).mean(axis=1)
    exact = np.array([jaccard(*pair) for pair in zip(texts, changed, strict=True)])
    assert np.abs(estimates - exact).max() < 0.35
    assert abs((estimates - exact).mean()) < 0.03


def test_a_text_that_contains_its_label_is_warned_of(
    ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = distinct(60)
    given = [(f"{text}; {'ab'[n % 2] * 3}", "ab"[n % 2] * 3) for n, text in enumerate(texts)]
    result = ingest(source=given)
    assert result.metrics["label_in_text_share"] == 1
    assert "contain their own label" in capsys.readouterr().out
    assert ingest("without", source=labelled(texts)).metrics["label_in_text_share"] <= 1
    assert "contain their own label" not in capsys.readouterr().out


@pytest.mark.parametrize("grouped", [False, True])
def test_draws_of_very_many_rows(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, grouped: bool
) -> None:
    """The engine's own draw, which otherwise begins at a million rows."""
    monkeypatch.setattr(splits, "MOST_ROWS_AT_ONCE", 10)
    monkeypatch.setattr(splits, "MOST_GROUPS_AT_ONCE", 10)
    rows = [
        (text, label, f"film {n // 5}") for n, (text, label) in enumerate(labelled(distinct(400)))
    ]
    options = {"source": rows, "group_by": "film" if grouped else None, "test_fraction": 0.2}
    result = ingest(**options)
    sizes = {name: len(result.split(name)) for name in ("train", "validation", "test")}
    assert sum(sizes.values()) == 400
    assert sizes["test"] == 80 and sizes["validation"] == pytest.approx(32, abs=4)
    if grouped:
        films = [set(result.split(name)["group"]) for name in sizes]
        assert not films[0] & films[1] and not films[0] & films[2] and not films[1] & films[2]
    else:
        assert set(result.split("test")["label"].value_counts()) == {40}
    assert result.ids("test") == ingest("again", **options).ids("test")
    other = ingest("other", **options, split_seed=14)
    assert result.ids("test") != other.ids("test")


def test_classes_too_small_for_their_share_can_still_be_split(ingest: Ingest) -> None:
    """20 classes of three rows: a stratified draw of a tenth has fewer rows than classes."""
    rows = [(text, f"class {n % 20}") for n, text in enumerate(distinct(60))]
    result = ingest(source=rows, test_fraction=0.1)
    assert len(result.split("test")) == 6
    assert set(result.split("train")["label"]) == {f"class {n}" for n in range(20)}


def test_rare_classes_stay_in_training_with_their_groups(ingest: Ingest) -> None:
    rows = [(text, "ab"[n % 2], f"film {n // 4}") for n, text in enumerate(distinct(80))]
    rows[10] = (rows[10][0], "rare", "film 2")
    result = ingest(source=rows, group_by="film", rare_classes="train_only")
    train = result.split("train")
    assert "rare" in set(train["label"])
    assert (train["group"] == "film 2").sum() == 4
    with raises("class-single", "1 class left"):
        ingest(
            "one",
            source=[*labelled(distinct(8))[::2], ("other", "c"), ("last", "c")],
            rare_classes="drop",
        )


def test_the_number_of_threads_changes_nothing(
    ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the engine's; rows enough for several of its parts."""
    from decant.tables import _engine

    frame = pd.DataFrame(labelled(distinct(4000) * 70), columns=["text", "label"])
    frame["text"] += [f" {n}" for n in range(len(frame))]
    frame["film"] = [f"film {n % 900}" for n in range(len(frame))]
    frame.to_csv(tmp_path / "many.csv", index=False)
    digests = []
    for threads in (1, 4):
        monkeypatch.setitem(_engine._SETTINGS, "threads", threads)
        result = ingest(
            f"with {threads}",
            source=str(tmp_path / "many.csv"),
            group_by="film",
            label_budget=500,
            near_duplicates="ignore",
        )
        digests.append(content_digest(result.corpus))
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("value", "one"),
    [
        ("1", "1"),
        ("1.0", "1"),
        (" 1.00 ", "1"),
        ("-0.0", "0"),
        ("1.50", "1.50"),
        ("3.10", "3.10"),
        ("1.500", "1.500"),
        ("100.0", "100"),
        ("007", "007"),
        ("1e5", "1e5"),
        ("1.0.0", "1.0.0"),
        ("TRUE", "true"),
        ("False", "false"),
        ("Truely", "Truely"),
        ("NA", "NA"),
        ("None", "None"),
        ("null", "null"),
        ("nan", "nan"),
        ("\u3000是 ", "是"),
        (" ", ""),
    ],
)
def test_spellings(value: str, one: str) -> None:
    assert respelled([value]) == {value: one}


@given(st.text(max_size=10))
def test_a_spelling_is_its_own_spelling(value: str) -> None:
    once = respelled([value])[value]
    assert respelled([once])[once] == once


def test_a_class_needs_a_row_for_each_split_that_is_made(ingest: Ingest) -> None:
    rows = [*labelled(distinct(40)), ("two of a kind", "c"), ("the second of them", "c")]
    given = labelled(distinct(6, seed=3))
    with raises("classes-rare", "fewer than 3 rows", "'c' (2)"):
        ingest("none given", source=rows)
    assert "c" in ingest("one given", source=rows, test=given).labels
    with raises("classes-rare", "fewer than 2 rows", "'c' (1)"):
        ingest("too few", source=rows[:-1], test=given)
    both = ingest("both", source=rows[:-1], test=given, validation=labelled(distinct(6, seed=4)))
    assert "c" in both.labels
    with raises("classes-rare", "fewer than 5 rows"):
        ingest("explicit", source=rows, test=given, min_rows_per_class=5)
