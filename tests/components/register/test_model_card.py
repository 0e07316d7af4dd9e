"""The card, as people read it and as the Hugging Face Hub reads it."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from components.register.hub_metadata import front_matter
from components.register.model_card import model_card
from components.register.version_tags import Evidence
from tests.example_figures import figures_of, metrics

MANIFEST: dict[str, Any] = {
    "architecture": "cnn, 256 wide",
    "encoder": "bert, 6 layers, 384 wide",
    "labels": ["fresh", "rotten"],
    "max_length_tokens": 64,
    "parameters": 3_796_866,
    "size_bytes": 4_077_395,
}
HUB_TAGS = {
    "decant.source.source": "hf://datasets/org/reviews@v1/train.csv",
    "decant.source.encoder": "hf://google/bert_small@main",
    "decant.pin.source": "sha256:ab",
}
FILE_TAGS = {
    "decant.source.source": "pypi://pkg==1/pkg/reviews.csv.bz2#sha256=ab",
    "decant.source.encoder": "data/encoder",
}


@pytest.fixture
def evidence() -> Evidence:
    """Of a default run, with figures whose rounding can be read."""
    content = metrics()
    content["student"] |= {"accuracy": 0.78125, "macro_f1": 0.7654321, "ece": 0.02}
    content["controls"]["undistilled"] |= {"accuracy": 0.7, "accuracy_interval": [0.68, 0.72]}
    return Evidence(figures=figures_of(content), manifest=MANIFEST, cards={}, digests={})


def read_by_the_hub(folder: Path, evidence: Evidence, tags: dict[str, str]) -> ModelCard:
    file = folder / "README.md"
    text = front_matter("reviews", evidence, tags) + model_card("reviews", evidence, tags)
    file.write_text(text, "utf-8")
    return ModelCard.load(file)


def test_the_hub_finds_the_figures_the_data_and_the_base_model(
    tmp_path: Path, evidence: Evidence
) -> None:
    card = read_by_the_hub(tmp_path, evidence, HUB_TAGS)
    data = card.data
    assert data.base_model == "google/bert_small"
    assert data.datasets == ["org/reviews"]
    assert (data.pipeline_tag, data.library_name) == ("text-classification", "onnx")
    assert data.tags == ["decant", "knowledge-distillation", "onnx", "cnn"]
    assert data.model_name == "reviews"
    found = {result.metric_type: result.metric_value for result in data.eval_results}
    assert found == {"accuracy": 0.7812, "f1": 0.7654, "expected_calibration_error": 0.02}
    for result in data.eval_results:
        assert (result.dataset_type, result.dataset_split) == ("org/reviews", "test")
        assert (result.dataset_name, result.dataset_revision) == (
            "test split of train.csv",
            "sha256:ab",
        )
    assert card.text.lstrip().startswith("# reviews\n")


def test_nothing_is_guessed(tmp_path: Path, evidence: Evidence) -> None:
    for tags, name in ((FILE_TAGS, "test split of reviews.csv.bz2"), ({}, "test split")):
        data = read_by_the_hub(tmp_path, evidence, tags).data
        assert not data.base_model and not data.datasets
        assert not data.license and not data.language
        assert {(result.dataset_type, result.dataset_name) for result in data.eval_results} == {
            ("other", name)
        }


def test_every_control_stands_once(evidence: Evidence) -> None:
    text = model_card("reviews", evidence, {})
    rows = [line for line in text.splitlines() if "on the labels alone" in line]
    assert rows == ["| control: the same student on the labels alone | 70.0 % | 68.0 to 72.0 % |"]


def test_the_limits_name_the_worst_class_and_those_missed() -> None:
    content = metrics()
    content["student"]["worst_class"] = {"label": "spam\n", "recall": 0.0, "test_rows": 1030}
    content["student"]["missed_classes"] = [
        {"label": f"class {number}", "test_rows": 10 - number, "teacher_right": number}
        for number in range(7)
    ]

    def limits() -> list[str]:
        found = Evidence(figures=figures_of(content), manifest=MANIFEST, cards={}, digests={})
        text = model_card("reviews", found, {})
        return text.partition("## Limits\n\n")[2].partition("\n\n")[0].splitlines()[4:-1]

    assert limits() == [
        "- Its worst class is `spam`: it finds 0.0 % of its 1,030 test rows.",
        "- Of 7 of its classes it had no test row right: `class 0`, `class 1`, `class 2`, "
        "`class 3`, `class 4` and 2 more.",
    ]
    del content["student"]["worst_class"], content["student"]["missed_classes"]
    assert limits() == [], "an evaluation of an earlier version"


def test_the_card_of_known_figures_byte_by_byte(evidence: Evidence) -> None:
    """golden/model_card.md was written before all of the card's words stood in its template."""
    golden = Path(__file__).parent / "golden" / "model_card.md"
    text = front_matter("reviews", evidence, HUB_TAGS) + model_card("reviews", evidence, HUB_TAGS)
    assert text == golden.read_text("utf-8")
