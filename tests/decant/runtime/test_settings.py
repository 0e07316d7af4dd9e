"""Typed parameters: what is refused, and how the message reads."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json
from decant.runtime.settings import (
    parse,
    read_params_file,
    section_of,
    settings,
)


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
    ("change", "message"),
    [
        ({"epochs": 0}, "step.epochs: Input should be greater than or equal to 1 (value 0)"),
        ({"epochs": "3"}, "step.epochs: Input should be a valid integer (value '3')"),
        ({"epochs": 2.5}, "step.epochs: Input should be a valid integer"),
        ({"kind": "c"}, "step.kind: Input should be 'a' or 'b' (value 'c')"),
        ({"epoch": 3}, "step.epoch: unknown parameter (value 3); known: seed, epochs"),
        ({"inner": {"copies": -1}}, "step.inner.copies: Input should be greater than or equal to"),
    ],
)
def test_what_is_wrong_is_named_with_value_and_remedy(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        parse(Example, {**GOOD, **change}, "step")
    assert message in str(caught.value)


def test_every_parameter_must_be_in_the_file() -> None:
    with pytest.raises(UserError, match=r"step\.rate: missing"):
        parse(Example, {key: value for key, value in GOOD.items() if key != "rate"}, "step")


def test_overrides_are_yaml_and_must_name_what_exists(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("seed: 1\nstep: {epochs: 2, list: [1], inner: {x: null}}\n")
    content = read_params_file(
        file, ["step.epochs=5", "step.inner.x=1e-4", "seed=7", "step.list=[3, 4]"]
    )
    assert content == {"seed": 7, "step": {"epochs": 5, "list": [3, 4], "inner": {"x": 0.0001}}}
    for bad in ("step.epoch=1", "stop.epochs=1", "step.epochs", "=1", "step.epochs=[1"):
        with pytest.raises(UserError):
            read_params_file(file, [bad])


def test_a_missing_or_broken_file_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no parameter file"):
        read_params_file(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(UserError, match="no valid YAML"):
        read_params_file(tmp_path / "bad.yaml")


def test_the_shared_seed_reaches_only_steps_that_draw() -> None:
    content = {"seed": 3, "step": {"epochs": 1}, "inner": {"copies": 1}}
    assert section_of(content, "step", Example) == {"epochs": 1, "seed": 3}
    assert section_of(content, "inner", Inner) == {"copies": 1}
    with pytest.raises(UserError, match="'seed' is missing"):
        section_of({"step": {}}, "step", Example)


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": [None, 0.5, "ü"]}) == '{"a":[null,0.5,"ü"],"b":1}'
    assert canonical_json(parse(Example, GOOD, "step")) == canonical_json(
        parse(Example, dict(reversed(GOOD.items())), "step")
    )
