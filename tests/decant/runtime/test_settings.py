"""Typed parameters: what is refused, and how the message reads."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from decant.runtime.identity import canonical_json
from decant.runtime.settings import parse, settings
from tests.errors import raises


@settings
class Inner:
    copies: Annotated[int, Field(ge=0)]


@settings
class Example:
    seed: int
    epochs: Annotated[int, Field(ge=1)]
    rate: float
    kind: Literal["a", "b"]
    widths: tuple[int, ...]
    inner: Inner
    budget: int | None


GOOD = {
    "seed": 1,
    "epochs": 2,
    "rate": 1,
    "kind": "a",
    "widths": [1, 2],
    "inner": {"copies": 0},
    "budget": None,
}


def test_a_section_becomes_frozen_typed_params() -> None:
    params = parse(Example, GOOD, "step")
    assert params.widths == (1, 2)
    assert params.rate == 1.0
    assert params.inner == Inner(copies=0)
    with pytest.raises(AttributeError):
        params.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "code", "values"),
    [
        (
            {"epochs": 0},
            "parameter-value",
            ["step.epochs", "greater than or equal to 1", "value 0"],
        ),
        ({"epochs": "3"}, "parameter-value", ["step.epochs", "integer", "value '3'"]),
        ({"epochs": 2.5}, "parameter-value", ["step.epochs", "integer", "2.5"]),
        ({"kind": "c"}, "parameter-value", ["step.kind", "'a' or 'b'", "'c'"]),
        ({"epoch": 3}, "parameter-unknown", ["step.epoch:", "value 3", "seed, epochs"]),
        (
            {"inner": {"copies": -1}},
            "parameter-value",
            ["step.inner.copies", "greater than or equal to 0", "-1"],
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_what_is_allowed(
    change: dict[str, object], code: str, values: list[str]
) -> None:
    with raises(code, *values):
        parse(Example, {**GOOD, **change}, "step")


def test_every_parameter_must_be_in_the_file() -> None:
    with raises("parameter-missing", "step.rate"):
        parse(Example, {key: value for key, value in GOOD.items() if key != "rate"}, "step")


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": [None, 0.5, "ü"]}) == '{"a":[null,0.5,"ü"],"b":1}'
    assert canonical_json(parse(Example, GOOD, "step")) == canonical_json(
        parse(Example, dict(reversed(GOOD.items())), "step")
    )
