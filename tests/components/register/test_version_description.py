"""A version's description in MLflow: the whole card where it fits, else shortened."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.register.model_card import (
    DESCRIPTION_CHARACTERS,
    model_card,
    version_description,
)
from components.register.version_tags import Evidence
from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json, write_json
from decant.tracking.mlflow_store import open_client
from tests.components.register.conftest import SECTION
from tests.components.register.test_model_card import MANIFEST
from tests.example_figures import figures_of, metrics
from tests.mlflow_server import postgres

ENGLISH = [
    f"class no. {number:04} of the customers' complaints about our papers" for number in range(150)
]
CHINESE = [
    f"{number:03}" + "顾客对纸张质量的投诉与建议以及其他" * 3 + "问题分类方法"
    for number in range(150)
]
STEPS = ("ingest", "tokenize", "finetune", "transfer_weights", "distill", "export_onnx", "evaluate")
TAGS = {
    "decant.teacher_run": "0a" * 16,
    "decant.test_digest": "1b" * 32,
    "decant.commit": "2c" * 20,
    "decant.identity": "3d" * 32,
    "decant.params": "4e" * 32,
    "decant.dvc_lock": "5f" * 32,
    **{f"decant.run.{step}": "6a" * 16 for step in (*STEPS, "register")},
    **{f"decant.identity.{step}": "7b" * 32 for step in STEPS},
    **{f"decant.digest.{port}": "8c" * 32 for port in ("onnx", "corpus", "evaluation", "report")},
    "decant.pin.source": "sha256:" + "9d" * 32,
    "decant.source.source": "pypi://pkg==1/pkg/a/long/path/to/reviews.csv.bz2#sha256=" + "ae" * 32,
    "mlflow.user": "ada",
}
PLACE = "`README.md` of run `0b`"


def evidence_of(labels: list[str]) -> Evidence:
    content = metrics()
    content["data"]["labels"] = labels
    return Evidence(
        figures=figures_of(content), manifest=MANIFEST | {"labels": labels}, cards={}, digests={}
    )


def described(labels: list[str], tags: dict[str, str] = TAGS) -> tuple[str, str]:
    """The description, checked for what holds of every one, and the whole card."""
    evidence = evidence_of(labels)
    whole = model_card("reviews", evidence, tags)
    text = version_description("reviews", evidence, tags, whole_card=PLACE)
    assert len(text) <= DESCRIPTION_CHARACTERS
    assert f"- teacher_run: `{'0a' * 16}`\n" in text
    assert f"- test_digest: `{'1b' * 32}`\n" in text
    if text != whole:
        note = f"Shortened to 5,000 characters. The whole card: {PLACE}."
        assert text.splitlines()[2] == note
        known = {*whole.splitlines(), note}
        new = [line for line in text.splitlines() if line not in known]
        of_lists = re.compile(r"Puts a text into one of \d+ classes.*|- and \d+ more")
        assert [line for line in new if not of_lists.fullmatch(line)] == []
        assert "\n\n\n" not in text
    return text, whole


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("labels", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_of_150_classes_with_long_names_the_first_are_shown(labels: list[str]) -> None:
    assert {len(label) for label in labels} == {60}
    text, whole = described(labels)
    assert sections(whole) == [
        *("Intended use", "Use", "Figures on the test split", "Data", "Limits", "Lineage")
    ]
    assert "Lineage" in sections(text)
    assert "Figures on the test split" in sections(text)
    (line,) = re.findall(r"^Puts a text into one of 150 classes: (.*)\.$", text, re.MULTILINE)
    shown, more = re.fullmatch(r"(.*) and (\d+) more", line).groups()  # type: ignore[union-attr]
    names = shown.strip("`").split("`, `")
    assert names == labels[: len(names)]
    assert len(names) >= 5
    assert len(names) + int(more) == 150
    assert all(label in whole for label in labels)


def test_labels_go_before_sections_and_these_in_their_order() -> None:
    few = {"decant.teacher_run": "0a" * 16, "decant.test_digest": "1b" * 32}
    evidence = evidence_of(ENGLISH)
    text, whole = described(ENGLISH, few)
    assert sections(text) == sections(whole), "fewer labels are enough"
    assert text.count("`class no.") > 5
    assert len(text) > DESCRIPTION_CHARACTERS - 70, "and no more are left out than has to be"
    steps = [sections(whole)]
    for limit in range(DESCRIPTION_CHARACTERS, 300, -20):
        text = version_description("reviews", evidence, few, whole_card=PLACE, limit=limit)
        assert len(text) <= limit
        if (left := sections(text)) != steps[-1]:
            steps.append(left)
    gone = [set(before) - set(after) for before, after in pairwise(steps)]
    assert gone == [
        *({"Use"}, {"Intended use"}, {"Limits"}, {"Data"}, {"Figures on the test split"})
    ]


def test_a_card_that_fits_is_the_description() -> None:
    text, whole = described(["fresh", "rotten"], dict(list(TAGS.items())[:4]))
    assert text == whole


def test_the_lineage_of_an_ordinary_run_goes_before_a_section() -> None:
    tags = TAGS | {f"decant.digest.part_{number}": "8c" * 32 for number in range(9)}
    text, whole = described(["fresh", "rotten"], tags)
    assert len(whole) > DESCRIPTION_CHARACTERS
    assert sections(text) == sections(whole)
    assert f"- dvc_lock: `{'5f' * 32}`" in text
    assert re.search(r"^- and \d+ more$", text, re.MULTILINE)


def test_a_path_longer_than_the_limit_is_left_out_whole() -> None:
    tags = TAGS | {"decant.source.encoder": "hf://" + "folder/" * 1000}
    text, whole = described(["fresh", "rotten"], tags)
    assert "folder/" not in text
    assert sections(text) == sections(whole)
    assert re.search(r"^- and \d+ more$", text, re.MULTILINE)
    text, _ = described(["a long name " * 300, "another " * 500])
    assert "one of 2 classes.\n" in text
    assert "Figures on the test split" in sections(text)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.text(min_size=1), min_size=2, max_size=40),
    times=st.integers(1, 200),
    uri=st.text(st.characters(exclude_categories=["C", "Z"]), max_size=6000),
)
def test_any_labels_and_paths(labels: list[str], times: int, uri: str) -> None:
    described([label * times for label in labels], TAGS | {"decant.source.source": uri})


def test_the_registered_version_names_the_run_that_has_the_whole_card(
    ports: dict[str, Path], store: str, tmp_path: Path
) -> None:
    file = ports["onnx"] / "student" / "manifest.json"
    write_json(file, read_json(file) | {"labels": CHINESE})
    run_step("register", SECTION, ports)
    client = open_client()
    version = client.get_model_version("tiny", "1")
    assert len(version.description) <= DESCRIPTION_CHARACTERS
    assert f"- test_digest: `{'ab' * 32}`\n" in version.description
    (run_id,) = re.findall(r"`README.md` of run `(\w+)`", version.description)
    card = Path(client.download_artifacts(run_id, "README.md", str(tmp_path))).read_text("utf-8")
    assert all(f"`{label}`" in card for label in CHINESE)


@pytest.mark.slow
def test_the_limit_is_one_of_characters_and_a_database_keeps_to_it(tmp_path: Path) -> None:
    """PostgreSQL refuses one character more; SQLite takes anything."""
    text = version_description("reviews", evidence_of(CHINESE), TAGS, whole_card=PLACE)
    with postgres() as uri:
        client = MlflowClient(uri, uri)
        client.create_registered_model("tiny")
        whole = "类" * DESCRIPTION_CHARACTERS
        for description in (text, whole):
            made = client.create_model_version("tiny", str(tmp_path), description=description)
            found = client.get_model_version("tiny", str(made.version))
            assert found.description == description
        with pytest.raises(MlflowException, match=r"too long|5000"):
            client.create_model_version("tiny", str(tmp_path), description=whole + "类")
