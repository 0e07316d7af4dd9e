"""The one way to name a registered model."""

import pytest

from decant.tracking.model_reference import (
    ModelReference,
    names_version,
    parse_model,
    parse_version,
)
from tests.errors import raises

FORMS = {
    "tiny/3": ModelReference(name="tiny", version="3"),
    "my model@champion": ModelReference(name="my model", alias="champion"),
}


@pytest.mark.parametrize("scheme", ["", "models:/"])
@pytest.mark.parametrize("text", FORMS)
def test_a_version_by_number_or_alias_with_or_without_the_scheme(scheme: str, text: str) -> None:
    written = f"{scheme}{text}"
    assert parse_model(written) == parse_version(written) == FORMS[text]
    assert str(FORMS[text]) == f"models:/{text}"
    assert names_version(written)


def test_a_name_alone_says_no_version() -> None:
    assert parse_model("tiny") == parse_model("models:/tiny") == ModelReference(name="tiny")
    assert str(parse_model("tiny")) == "models:/tiny"
    assert not parse_model("tiny").says_which
    assert not names_version("tiny")
    for text in ("tiny", "models:/tiny"):
        with raises("model-reference-invalid", f"'{text}' does not name a version"):
            parse_version(text)


@pytest.mark.parametrize(
    "text",
    ["", "models:/", "models:/x/latest", "runs:/a/b", "x@", "x/1@y", "x@a b", "/x/1", "x/1/"],
)
def test_what_names_no_model(text: str) -> None:
    for parse in (parse_model, parse_version):
        with raises("model-reference-invalid", f"'{text}' does not name"):
            parse(text)


@pytest.mark.parametrize("path", ["artifacts/onnx/student", "student", "./x/3", "/a/3", "a/b"])
def test_paths_that_name_no_version(path: str) -> None:
    assert not names_version(path)
