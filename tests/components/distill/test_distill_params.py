"""The parameters of distill: schedules are a number or a pair; shares of words fit together."""

from typing import Any

import pytest

from components.distill.contract import Params
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.settings import parse
from tests.errors import raises


def params_with(*overrides: str) -> Params:
    content = read_params_file(PROJECT / "params.yaml", [f"distill.{one}" for one in overrides])
    return parse(Params, section_of(content, "distill", Params), "distill")


@pytest.mark.parametrize(
    "name", ["temperature", "hard_label_weight", "hidden_weight", "embedding_weight"]
)
@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("1", 1.0), ("[1, 0.5]", [1.0, 0.5])])
def test_a_schedule_is_a_number_or_a_pair(name: str, text: str, value: Any) -> None:
    assert getattr(params_with(f"{name}={text}"), name) == value


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("temperature=0", ["temperature.number", "greater than 0", "value 0"]),
        ("temperature=[4, 0]", ["temperature.pair.1", "greater than 0", "value 0"]),
        ("temperature=[4]", ["temperature.pair", "at least 2", "[4]"]),
        ("hard_label_weight=[0, 1, 0]", ["hard_label_weight.pair", "at most 2"]),
        ("hard_label_weight=[0, 2]", ["hard_label_weight.pair.1", "less than or equal to 1"]),
        ("hidden_weight=-1", ["hidden_weight.number", "greater than or equal to 0"]),
        ("hidden_weight=much", ["hidden_weight.number", "'much'"]),
    ],
)
def test_a_wrong_schedule_is_explained_in_one_line(override: str, values: list[str]) -> None:
    with raises("parameter-value", *values) as error:
        params_with(override)
    assert len(error.value.problem.splitlines()) == 1


def test_no_word_is_masked_and_replaced() -> None:
    mask, replace = "augmentation.mask_probability=0.8", "augmentation.replace_probability="
    augmentation = params_with(mask, f"{replace}0.2").augmentation
    assert augmentation.replace_probability == 0.2
    with raises("parameter-value", "distill.augmentation", "1.6", "at most 1") as error:
        params_with(mask, f"{replace}0.8")
    assert len(error.value.problem.splitlines()) == 1
